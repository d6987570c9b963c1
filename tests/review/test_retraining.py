from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from annoseq.config import ColumnsConfig, NetworkConfig, TaggerConfig
from annoseq.data.examples import parse_pair
from annoseq.data.pairs import Pair
from annoseq.errors import OutputError, ReviewError, TrainingError
from annoseq.models.model_config import ModelConfig
from annoseq.review import actions
from annoseq.review.project import ReviewProject
from annoseq.review.retraining import Retraining, RetrainingOptions
from annoseq.tokenization.hash_features import FeatureHasher
from annoseq.tokenization.length_stats import LengthStats
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from tests.review.annotators import word_annotator
from tests.review.projects import make_store, prediction, reopened, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from annoseq.inference.annotator import Annotator
    from annoseq.review.retraining_run import RetrainingRun

TEXTS = [f"Note {number} of Ames and Bond" for number in range(20)]


def config_of(folder: Path) -> None:
    from annoseq.config import BatchConfig, DataConfig, TrainingConfig

    folder.mkdir()
    config = ModelConfig(
        task="annotate",
        length_stats=LengthStats(),
        fingerprint="",
        data=DataConfig(),
        columns=ColumnsConfig(source="note"),
        network=NetworkConfig.of(TaggerConfig()),
        training=TrainingConfig(),
        batching=BatchConfig(),
        epochs=3,
    )
    (folder / "config.json").write_text(config.model_dump_json())


@pytest.fixture
def project(tmp_path: Path) -> ReviewProject:
    """A project of which everything is decided: Ames and Bond are names. The model finds Ames."""
    config_of(tmp_path / "model")
    old = word_annotator("Ames").annotate(TEXTS, advance=lambda _: None)
    found = [prediction(*(each.spans or ())) for each in old]
    store = make_store(
        tmp_path / "review.db", rows_of(TEXTS), found, random_share=0.4, model=tmp_path / "model"
    )
    project = ReviewProject(store)
    for id_, text in enumerate(TEXTS, start=1):
        start = text.index("Bond")
        for action in (
            actions.Accept(span="m1"),
            actions.Add(start=start, end=start + 4, label="NAME"),
            actions.Done(),
        ):
            project.act("ada", id_, action, revision=project.history("ada", id_).revision)
    return project


class FakeTraining:
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.pairs: list[Pair] = []
        self.run: RetrainingRun | None = None
        self.may_end = threading.Event()
        self.may_end.set()

    def __call__(
        self, run: RetrainingRun, pairs: Sequence[Pair], report: Callable[[float], None]
    ) -> None:
        self.pairs, self.run = [*pairs], run
        report(0.5)
        assert self.may_end.wait(10)


def loader(pattern: str) -> Callable[[Path], Annotator]:
    return lambda _: word_annotator(pattern)


def test_a_better_model_is_taken_into_use(project: ReviewProject) -> None:
    training = FakeTraining()
    retraining = Retraining(project, run=training, load=loader("Ames|Bond"))
    assert retraining.is_possible
    retraining.start()
    retraining.wait()
    status = retraining.status
    assert (status.state, status.progress, status.message) == ("done", 1.0, "model-2 is in use")
    assert status.gain is not None
    assert status.gain["before"] == pytest.approx(2 / 3, abs=1e-6)
    assert status.gain["after"] == 1
    assert status.gain["p_value"] is not None
    assert status.gain["p_value"] < 0.05
    again = reopened(project)
    assert again.models[-1].path.endswith("/review-models/model-2")
    assert len(again.prediction(1).spans) == 2
    assert Retraining(again).status == status


def test_the_random_share_is_never_trained_on(project: ReviewProject) -> None:
    training = FakeTraining()
    retraining = Retraining(project, run=training, load=loader("Ames"))
    retraining.start()
    retraining.wait()
    others = [each.text for each in project.documents.values() if not each.in_random_share]
    assert [pair.source for pair in training.pairs] == others
    assert len(others) == 12
    assert all("{{NAME}}Bond{{/NAME}}" in pair.target for pair in training.pairs)


def test_a_worse_model_is_kept_beside_and_not_used(project: ReviewProject) -> None:
    retraining = Retraining(project, run=FakeTraining(), load=loader("nothing"))
    retraining.start()
    retraining.wait()
    assert retraining.status.state == "done"
    assert retraining.status.message == "model-2 is worse on the random share and not in use"
    assert retraining.status.gain is not None
    assert len(project.models) == 1


def test_spans_that_a_flat_model_cannot_learn_are_counted(project: ReviewProject) -> None:
    number = next(each.id for each in project.documents.values() if not each.in_random_share)
    revision = project.history("ada", number).revision
    length = len(project.documents[number].text)
    project.act("ada", number, actions.Add(start=0, end=length, label="ALL"), revision=revision)
    annotator = word_annotator("Ames|Bond")
    hasher = FeatureHasher(buckets=1024)
    annotator.tokenizer = TaggerTokenizer(("ALL", "NAME"), LengthStats(depth=1), hasher)
    retraining = Retraining(project, run=FakeTraining(), load=lambda _: annotator)
    retraining.start()
    retraining.wait()
    assert retraining.status.message == (
        "model-2 is in use; 2 spans left out, nested deeper than the model knows: export the pairs "
        "and train a new model to find them"
    )


def test_pairs_to_replay_are_trained_on_besides(project: ReviewProject) -> None:
    replayed = parse_pair(Pair("Dr Cole", "Dr {{NAME}}Cole{{/NAME}}", row=7))
    training = FakeTraining()
    options = RetrainingOptions(replay=(replayed,))
    retraining = Retraining(project, options, run=training, load=loader("Ames"))
    retraining.start()
    retraining.wait()
    last = training.pairs[-1]
    assert (last.source, last.document, last.start) == ("Dr Cole", "replayed row 7", 0)


def test_one_retraining_runs_at_a_time(project: ReviewProject) -> None:
    training = FakeTraining()
    training.may_end.clear()
    retraining = Retraining(project, run=training, load=loader("nothing"))
    retraining.start()
    assert not retraining.is_possible
    with pytest.raises(ReviewError, match="a retraining is running"):
        retraining.start()
    training.may_end.set()
    retraining.wait()
    assert retraining.is_possible


def test_a_failure_is_told(project: ReviewProject) -> None:
    def fail(_: RetrainingRun, __: object, ___: object) -> None:
        raise TrainingError("the training ended with exit code 2: the disk is full.")

    retraining = Retraining(project, run=fail, load=loader("Ames"))
    retraining.start()
    retraining.wait()
    assert retraining.status.state == "failed"
    assert retraining.status.message == ("the training ended with exit code 2: the disk is full.")


def test_an_internal_error_is_told_without_what_it_says(project: ReviewProject) -> None:
    def fail(_: RetrainingRun, __: object, ___: object) -> None:
        raise KeyError("Ms Ames")

    retraining = Retraining(project, run=fail, load=loader("Ames"))
    retraining.start()
    retraining.wait()
    assert retraining.status.message == "internal error (KeyError)"


def test_too_little_to_learn_from_is_refused(tmp_path: Path) -> None:
    config_of(tmp_path / "model")
    store = make_store(tmp_path / "r.db", rows_of(TEXTS), model=tmp_path / "model")
    with pytest.raises(ReviewError) as error:
        Retraining(ReviewProject(store)).start()
    assert str(error.value) == (
        "0 documents outside of the random share decided, and 2 with a span are needed to learn "
        "from. Review more documents."
    )


def test_a_model_that_is_no_folder_is_refused(project: ReviewProject, tmp_path: Path) -> None:
    (tmp_path / "model" / "config.json").unlink()
    with pytest.raises(ReviewError, match="so that its training cannot go on"):
        Retraining(project).start()


def test_a_damaged_model_is_refused(project: ReviewProject, tmp_path: Path) -> None:
    (tmp_path / "model" / "config.json").write_text(json.dumps({"format": 9}))
    with pytest.raises(ReviewError, match=r"its config\.json cannot be read"):
        Retraining(project).start()


def test_rows_to_replay_that_are_in_the_random_share_are_not_trained_on(
    project: ReviewProject,
) -> None:
    training = FakeTraining()
    replay = [parse_pair(Pair(text, text, row)) for row, text in enumerate([*TEXTS, "other"], 1)]
    retraining = Retraining(
        project, RetrainingOptions(tuple(replay)), run=training, load=loader("Ames|Bond")
    )
    retraining.start()
    retraining.wait()
    drawn = {each.text for each in project.documents.values() if each.in_random_share}
    trained = [pair.source for pair in training.pairs]
    assert len(drawn) == 8
    assert not drawn & {*trained}
    assert len(trained) == 12 + 12 + 1


def test_a_retraining_whose_end_cannot_be_written_does_not_run_for_ever(
    project: ReviewProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    retraining = Retraining(project, run=FakeTraining(), load=loader("Ames|Bond"))

    def full(*_: object) -> None:
        raise OutputError("no room on the disk")

    monkeypatch.setattr(project.store, "set_meta", full)
    retraining.start()
    retraining.wait()
    assert (retraining.status.state, retraining.status.message) == ("failed", "no room on the disk")

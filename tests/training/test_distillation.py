"""Cross-fitted teachers, and taggers that learn from them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from annoseq.config import DataConfig, DistillationConfig, TrainingConfig
from annoseq.errors import ModelError, OptionError, TrainingError
from annoseq.inference.annotator import Annotator
from annoseq.models.ensemble_folder import EnsembleModel, Folds, find_difference
from annoseq.models.serialization import TrainedModel
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from annoseq.torchrun import TorchrunEnvironment
from annoseq.training import distillation as module
from annoseq.training import teachers as teachers_module
from annoseq.training.checkpoint import read_checkpoint, write_checkpoint
from annoseq.training.cross_fitting import CrossFitting
from annoseq.training.distillation import Distillation
from annoseq.training.document_folds import fold_numbers
from annoseq.training.run_folder import TrainingRuns
from annoseq.training.teachers import Teacher
from tests.training.test_held_out import SETTINGS, dataset_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from annoseq.tokenization.dataset import Dataset
    from annoseq.training.learner import Learner

FOLDS = Folds(count=2, seed=1)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return dataset_of(8)


@pytest.fixture(scope="module")
def teachers(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a cross-fitted ensemble."""
    folder = tmp_path_factory.mktemp("teachers")
    runs = TrainingRuns(folder / "folds", "ensemble")
    runs.begin({}, overwrite=False)
    fitting = CrossFitting.of(dataset, FOLDS, SETTINGS, runs)
    done: list[int] = []
    fitting.work(report=done.append)
    fitting.work(report=done.append)  # nothing is left to do
    assert done == [1, 2]
    ensemble, folders = fitting.ensemble()
    ensemble.save(folder / "teachers", sources=folders, card="# Card\n")
    return folder / "teachers"


def tagger_of(dataset: Dataset) -> tuple[Learner, TaggerTokenizer]:
    """Return a learner without teachers, and its tokenizer."""
    learner = SETTINGS.make(dataset)
    assert isinstance(learner.tokenizer, TaggerTokenizer)
    return learner, learner.tokenizer


def test_members_are_trained_without_their_fold(dataset: Dataset, teachers: Path) -> None:
    fold_of = fold_numbers(dataset, count=2, seed=1)
    assert sorted(set(fold_of)) == [0, 1]
    rows = [
        json.loads((teachers.parent / "folds" / "runs" / f"00{number}.json").read_text())["rows"]
        for number in (1, 2)
    ]
    assert rows == [fold_of.count(1), fold_of.count(0)]
    by_document = {
        example.document: fold for example, fold in zip(dataset.train, fold_of, strict=True)
    }
    assert [by_document[example.document] for example in dataset.train] == fold_of


def test_an_ensemble_is_a_model_wherever_one_is_named(teachers: Path) -> None:
    annotator = Annotator.load(teachers, device="cpu")
    assert annotator.annotate("Dr. Ames", advance=lambda _: None).text == "Dr. Ames"
    assert annotator.is_tagger
    with pytest.raises(OptionError, match="an ensemble has no network of its own"):
        _ = annotator.model
    again = EnsembleModel.load(teachers)
    assert again.folds is not None
    assert again.folds.model_copy(update={"checksum": None}) == FOLDS
    assert again.fingerprint == annotator.fingerprint
    assert repr(again) == "<EnsembleModel: 2 taggers, 0 writers>"


def test_the_member_that_has_not_seen_a_row_teaches_it(dataset: Dataset, teachers: Path) -> None:
    learner, tokenizer = tagger_of(dataset)
    distillation = Distillation(teachers=(teachers,))
    lessons = distillation.prepare(dataset, tokenizer, learner.compute)
    members = [TrainedModel.load(teachers / "members" / str(number)) for number in (1, 2)]
    fold_of = fold_numbers(dataset, count=2, seed=1)
    for row, fold in enumerate(fold_of):
        piece = teachers_module.Piece(dataset.train[row].source, row=row)
        reader = teachers_module._open_reader(members[fold], tokenizer, learner.compute)
        (expected,) = teachers_module._read_group(
            [piece], [[reader]], learner.compute, 1.0, lambda _: None
        )
        assert lessons.targets[row].places.tolist() == expected.places.tolist()
        assert lessons.targets[row].confidence == pytest.approx(expected.confidence, abs=1e-4)
    assert lessons.summary() == f"teachers; {len(fold_of)} training rows"


def test_the_folds_are_those_of_the_teachers(
    dataset: Dataset, teachers: Path, tmp_path: Path
) -> None:
    _, tokenizer = tagger_of(dataset)
    by_row = replace(dataset, config=DataConfig(task="annotate", split_by="row"))
    fold_of = fold_numbers(dataset, count=2, seed=1)
    assert fold_numbers(by_row, count=2, seed=1) != fold_of
    assert Teacher.load(teachers, by_row, tokenizer).folds == fold_of
    other = replace(dataset, train=[replace(row, document=None) for row in dataset.train])
    with pytest.raises(OptionError) as caught:
        Teacher.load(teachers, other, tokenizer)
    assert str(caught.value) == (
        f"--teacher {teachers}: its members were trained on other rows of this table, or on rows "
        "of other documents, so that rows would be taught by one that has seen them. Use the "
        "--document, --normalize and --skip-bad that it was cross-fitted with."
    )
    file = json.loads((teachers / "ensemble.json").read_text())
    del file["folds"]["checksum"]
    (tmp_path / "ensemble.json").write_text(json.dumps(file))
    (tmp_path / "members").symlink_to(teachers / "members")
    assert Teacher.load(tmp_path, dataset, tokenizer).folds == fold_of


def test_unlabelled_texts_follow_the_training_rows(dataset: Dataset, teachers: Path) -> None:
    learner, tokenizer = tagger_of(dataset)
    texts = ("Seen by Dr. Ford.", "", "Dr. Moss")

    def lessons(least: float) -> module.Lessons:
        config = DistillationConfig(least_confidence=least, teacher_weight=0.25)
        distillation = Distillation(teachers=(teachers,), unlabelled=texts, config=config)
        return distillation.prepare(dataset, tokenizer, learner.compute)

    rows = len(dataset.train)
    every = lessons(0.0)
    assert [len(one.source) for one in every.unlabelled] == [6, 3]
    assert every.weights == [0.25] * rows + [1.0] * 2
    none = lessons(0.999)
    assert (none.unlabelled, none.left_out, len(none.targets)) == ([], 2, rows)
    assert none.summary().endswith("0 unlabelled rows (2 of too low confidence left out)")


def test_a_long_unlabelled_text_is_encoded_once(
    dataset: Dataset, teachers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner, tokenizer = tagger_of(dataset)
    texts = ("Seen by Dr. Ford. " * 20, "Dr. Moss", "Seen by Dr. Ford. " * 20)
    read: list[int] = []
    encode_texts = TaggerTokenizer.encode_texts

    def encode_and_count(self: TaggerTokenizer, texts: Sequence[str]) -> object:
        read.append(len(texts))
        return encode_texts(self, texts)

    monkeypatch.setattr(TaggerTokenizer, "encode_texts", encode_and_count)
    pieces, encodings = module._unlabelled_pieces(texts, tokenizer)
    assert read == [3]
    assert len(pieces) == len(encodings) == 9
    for piece, encoding in zip(pieces, encodings, strict=True):
        ids = encode_texts(tokenizer, [piece.text])[1][piece.first : piece.last]
        assert encoding.source == ids.tolist()
        assert encoding.target == [(0,)] * len(ids)
    lessons = Distillation(teachers=(teachers,), unlabelled=texts).prepare(
        dataset, tokenizer, learner.compute
    )
    assert lessons.unlabelled == encodings


def test_a_training_with_teachers_is_resumed_with_the_same_settings(
    dataset: Dataset, teachers: Path, tmp_path: Path
) -> None:
    begun = Distillation(teachers=(teachers,), unlabelled=("Dr. Moss",), cache=tmp_path / "targets")
    path = tmp_path / "m.training"
    write_checkpoint(path, plan=SETTINGS.make(dataset, begun)._plan(2, 1e-2), state={})
    assert read_checkpoint(path, plan=SETTINGS.make(dataset, begun)._plan(2, 1e-2)) == {}
    for named, other in {
        "teacher_weight 0.5, and now it is 0.75": DistillationConfig(teacher_weight=0.75),
        "least_confidence 0.0, and now it is 0.9": DistillationConfig(least_confidence=0.9),
        r"unlabelled texts 1 \(sha256 \w{12}\), and now it is not given": begun.config,
    }.items():
        texts = () if other == begun.config else begun.unlabelled
        learner = SETTINGS.make(dataset, replace(begun, config=other, unlabelled=texts))
        with pytest.raises(TrainingError, match=f"was begun with {named}. Resume with the same"):
            read_checkpoint(path, plan=learner._plan(2, 1e-2))


def test_a_refused_resumption_keeps_what_the_teachers_expect(
    dataset: Dataset, teachers: Path, tmp_path: Path
) -> None:
    path, cache = tmp_path / "m.training", tmp_path / "targets"
    begun = Distillation(teachers=(teachers,), unlabelled=("Dr. Moss",), cache=cache)
    pupil = SETTINGS.make(dataset, begun)
    write_checkpoint(path, plan=pupil._plan(2, 1e-2), state={})
    kept = cache.read_bytes()
    resumed = replace(begun, resumes=path)
    for other, told in (
        (replace(resumed, unlabelled=("Dr. Ford",)), r"unlabelled texts 1 \(sha256 \w{12}\), and"),
        (replace(resumed, teachers=(teachers / "members" / "1",)), "teachers teachers .*, and now"),
        (replace(resumed, config=DistillationConfig(teacher_temperature=2)), "teacher_temp"),
    ):
        with pytest.raises(TrainingError, match=f"m.training was begun with {told}"):
            SETTINGS.make(dataset, other)
    rows = replace(dataset, train=dataset.train[1:], fingerprint="sha256:other")
    with pytest.raises(TrainingError, match="was begun with pairs "):
        SETTINGS.make(rows, resumed)
    plain = SETTINGS.make(dataset)._plan(3, 1e-2)
    with pytest.raises(TrainingError, match=r"teachers teachers \(sha256 \w+\), and now it is not"):
        read_checkpoint(path, plan=plain)
    assert cache.read_bytes() == kept
    SETTINGS.make(dataset, resumed)
    write_checkpoint(path, plan=plain, state={})
    with pytest.raises(TrainingError, match="teachers not given, and now it is teachers"):
        SETTINGS.make(dataset, resumed)


def test_unlabelled_texts_count_among_the_rows_that_decide_on_epochs(
    dataset: Dataset, teachers: Path
) -> None:
    settings = replace(SETTINGS, training=TrainingConfig())
    few, many, long = (
        settings.make(dataset, Distillation(teachers=(teachers,), unlabelled=texts))
        for texts in (("Dr. Moss",), ("Dr. Moss",) * 600, ("Dr. Moss. " * 6_000,))
    )
    assert (few.config.epochs, many.config.epochs) == (50, 49)
    assert long.lessons is not None
    assert len(long.lessons.targets) > 600  # windows
    assert long.config.epochs == 42


def test_teachers_of_other_pairs_are_told(dataset: Dataset, teachers: Path) -> None:
    learner, tokenizer = tagger_of(dataset)
    other = replace(dataset, train=dataset.train[1:], fingerprint="sha256:other")
    lessons = Distillation(teachers=(teachers,)).prepare(other, tokenizer, learner.compute)
    assert lessons.summary().endswith(
        "; 1 teacher of other pairs: if validation rows are among these, the scores flatter"
    )


def test_what_teachers_expect_is_computed_once(
    dataset: Dataset, teachers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner, tokenizer = tagger_of(dataset)
    distillation = Distillation(teachers=(teachers,), cache=tmp_path / "targets")
    first = distillation.prepare(dataset, tokenizer, learner.compute)
    monkeypatch.setattr(module, "ask_teachers", None)
    again = distillation.prepare(dataset, tokenizer, learner.compute)
    assert [row.places.tolist() for row in again.targets] == [
        row.places.tolist() for row in first.targets
    ]
    warmer = replace(distillation, config=DistillationConfig(teacher_temperature=2))
    with pytest.raises(TypeError):
        warmer.prepare(dataset, tokenizer, learner.compute)


def test_of_several_processes_one_keeps_what_teachers_expect(
    dataset: Dataset, teachers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner, tokenizer = tagger_of(dataset)
    distillation = Distillation(teachers=(teachers,), cache=tmp_path / "targets")
    for rank, is_kept in ((1, False), (0, True)):
        environment = TorchrunEnvironment(rank=rank, local_rank=rank, world_size=2)
        monkeypatch.setattr(module, "torchrun_environment", lambda one=environment: one)
        distillation.prepare(dataset, tokenizer, learner.compute)
        assert (tmp_path / "targets").exists() == is_kept


def test_a_pupil_learns_from_teachers_and_names_them(
    dataset: Dataset, teachers: Path, tmp_path: Path
) -> None:
    pupil = SETTINGS.make(dataset, Distillation(teachers=(teachers,), unlabelled=("Dr. Moss",)))
    plain = SETTINGS.make(dataset)
    for learner in (pupil, plain):
        learner.fit_one_cycle(report=lambda _: None)
    weights, others = (learner.network.state_dict() for learner in (pupil, plain))
    assert any(not torch.equal(weights[name], others[name]) for name in weights)
    pupil.save(tmp_path / "pupil")
    (record,) = TrainedModel.load(tmp_path / "pupil").config.teachers
    assert (record.name, record.members, record.folds) == ("teachers", 2, 2)
    card = (tmp_path / "pupil" / "card.md").read_text()
    assert "- **teachers**: teachers (2 taggers, each text by the one that was not trained" in card


def test_teachers_that_have_seen_the_validation_rows_are_refused(
    dataset: Dataset, teachers: Path
) -> None:
    other = replace(dataset, train=dataset.valid, valid=dataset.train)
    learner, tokenizer = tagger_of(dataset)
    with pytest.raises(OptionError, match="trained on rows of this table that are now kept"):
        Distillation(teachers=(teachers,)).prepare(other, tokenizer, learner.compute)


def test_teachers_and_pupils_need_the_same_labels(teachers: Path) -> None:
    other = dataset_of(8, has_names=False)
    learner, tokenizer = tagger_of(other)
    with pytest.raises(OptionError, match="do not have the same labels: only one of them knows"):
        Distillation(teachers=(teachers,)).prepare(other, tokenizer, learner.compute)


def test_members_need_the_same_rows_for_validation(dataset: Dataset, tmp_path: Path) -> None:
    config = DataConfig(task="annotate", valid_share=0.5)
    other = replace(dataset, valid=dataset.valid[:1], config=config)
    for name, data in (("one", dataset), ("two", other)):
        SETTINGS.make(data).save(tmp_path / name)
    models = [TrainedModel.load(tmp_path / name) for name in ("one", "two")]
    with pytest.raises(OptionError, match="two and one were trained on other pairs, or kept other"):
        EnsembleModel.of(models, ["one", "two"])
    with pytest.raises(OptionError, match="at least 2 members"):
        EnsembleModel.of(models[:1], ["one"])
    with pytest.raises(OptionError, match=r"again has the same weights as one\. Name each"):
        EnsembleModel.of([models[0], models[0]], ["one", "again"])


def test_each_teacher_is_named_once(dataset: Dataset, teachers: Path) -> None:
    again = teachers / "members" / ".."
    with pytest.raises(OptionError) as caught:
        SETTINGS.make(dataset, Distillation(teachers=(teachers, again)))
    assert str(caught.value) == (
        f"--teacher {again} has the same weights as --teacher {teachers}. Name each model once."
    )


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{}",
        '{"members": 3}',
        '{"members": [["a", "b"]], "vote_weight": 1e308}',
        '{"members": [["a", "b"]], "vote_weight": NaN}',
    ],
)
def test_a_damaged_ensemble_is_refused(damage: str, teachers: Path, tmp_path: Path) -> None:
    (tmp_path / "ensemble.json").write_text(damage)
    with pytest.raises(ModelError, match=r"ensemble\.json is damaged or of another version"):
        Annotator.load(tmp_path)


def test_a_member_that_was_exchanged_is_refused(teachers: Path, tmp_path: Path) -> None:
    file = json.loads((teachers / "ensemble.json").read_text())
    file["members"][1][1] = "0" * 64
    (tmp_path / "ensemble.json").write_text(json.dumps(file))
    (tmp_path / "members").symlink_to(teachers / "members")
    with pytest.raises(ModelError, match="is not the model that was saved with this ensemble"):
        Annotator.load(tmp_path)


def test_the_same_labels_in_another_order_are_a_difference(dataset: Dataset) -> None:
    _, tokenizer = tagger_of(dataset)
    one, other = (replace(tokenizer, labels=labels) for labels in (("A", "B"), ("B", "A")))
    assert find_difference(one, one) is None
    assert find_difference(one, other) == (
        "know the same labels in another order, since the training of one went on with new "
        "labels. Train both from the start."
    )

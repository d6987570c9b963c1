"""A tagger learns by the same learner as all networks."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import pytest
import torch

from annoseq.config import (
    AttentionConfig,
    BatchConfig,
    DataConfig,
    GruConfig,
    NetworkConfig,
    TaggerConfig,
    TrainingConfig,
)
from annoseq.data.markup import strip_tags
from annoseq.data.pairs import Pair, Pairs
from annoseq.errors import OptionError, PairsError
from annoseq.inference.annotator import Annotator
from annoseq.models.serialization import TrainedModel
from annoseq.models.tagger import Tagger
from annoseq.tokenization import hash_features as features
from annoseq.tokenization.dataset import Dataset
from annoseq.tokenization.gazetteer import LexiconFeatures
from annoseq.tokenization.hash_features import PRIVACY_NOTE
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from annoseq.training.learner import Learner
from tests.models.tiny import TINY_TAGGER as SMALL
from tests.tiny import TINY, same_weights

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.training.recorder import Epoch

AMES = "Dr. {{NAME}}Ames{{/NAME}}, {{AGE}}31{{/AGE}}y"
NESTED = "{{NAME}}Dr. {{NAME}}Zoë{{/NAME}}{{/NAME}} {{AGE}}7{{/AGE}}"
TINY_TAGGER = SMALL.model_copy(update={"dropout": 0.1})
BATCHING = BatchConfig(batch_size=6)
QUICK = TrainingConfig(max_lr=3e-2)
STARTS, ENDS = ["Berma", "Cordo", "Falku", "Gostri", "Hilpa"], ["vander", "lotsky", "mirrow"]
NAMES = [start + end for start in STARTS for end in ENDS]


def silent(line: str) -> None:
    pass


def table(*targets: str) -> Pairs:
    rows = [Pair(strip_tags(target), target, row) for row, target in enumerate(targets, 1)]
    return Pairs(rows, name="few")


def of(train: Pairs, valid: Pairs) -> Dataset:
    return Dataset.from_pairs(train, valid=valid, config=DataConfig(task="annotate"))


def never(*_: object, **__: object) -> Seq2SeqTokenizer:
    raise AssertionError("no vocabulary is to be built")


def test_a_tagger_needs_no_vocabulary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Seq2SeqTokenizer, "fit", never)
    pairs = table("Dr. {{NAME}}Ames{{/NAME}}, {{AGE}}7{{/AGE}}", NESTED)
    learner = some_learner(of(pairs, pairs))
    learner.fit_one_cycle(1, report=silent)
    assert len(learner.predictions()) == 2
    learner.save(tmp_path / "model")


def some_learner(
    dataset: Dataset,
    *,
    base: TrainedModel | None = None,
    training: TrainingConfig = QUICK,
    lexicon_features: LexiconFeatures | None = None,
) -> Learner:
    return Learner(
        dataset,
        base=base,
        model=None if base else TINY_TAGGER,
        training=training,
        batching=BATCHING,
        lexicon_features=lexicon_features,
    )


def tried(learner: Learner, epochs: int = 1) -> Learner:
    learner.fit_one_cycle(epochs, report=silent)
    return learner


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Names that stand behind a title, ages, and neither."""
    return of(notes(NAMES[:12]), notes(NAMES[12:]))


def notes(names: list[str]) -> Pairs:
    return table(
        *(f"Dr. {{{{NAME}}}}{name}{{{{/NAME}}}} came" for name in names),
        *(f"aged {{{{AGE}}}}{age}{{{{/AGE}}}} years" for age in range(20, 28)),
        *(f"no {word} seen today" for word in ("visitor", "doctor", "nurse", "patient")),
    )


@pytest.fixture(scope="module")
def learned(dataset: Dataset) -> Learner:
    return tried(some_learner(dataset), 10)


@pytest.fixture(scope="module")
def folder(learned: Learner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tagger") / "model"
    learned.save(path)
    return path


def scores(learner: Learner) -> list[tuple[float, ...]]:
    """Return the epochs without their times."""
    return [
        (row.epoch, row.train_loss, row.valid_loss, *row.scores.values())
        for row in learner.recorder.epochs
    ]


def test_it_learns_to_find_the_spans(learned: Learner) -> None:
    loss, score = learned.validate()
    values = score.values()
    assert values.keys() == {"span_precision", "span_recall", "span_f1"}
    assert values["span_f1"] > 0.8
    assert loss < learned.recorder.epochs[0].valid_loss / 2
    best = max(learned.recorder.epochs, key=lambda row: row.scores["span_f1"])
    assert values["span_f1"] == best.score


def test_its_predictions_are_the_texts_with_tags(learned: Learner, dataset: Dataset) -> None:
    predictions = learned.predictions()
    assert [one.source for one in predictions] == [pair.source for pair in dataset.valid]
    assert all(strip_tags(one.output) == one.source for one in predictions)
    exact = sum(one.is_exact for one in predictions)
    assert predictions.accuracy.exact.value == exact / len(predictions) > 0.5


def test_an_annotator_finds_what_validation_found(learned: Learner, folder: Path) -> None:
    predictions = learned.predictions()
    found = Annotator.load(folder).annotate([one.source for one in predictions])
    assert [one.annotated for one in found] == [one.output for one in predictions]


def test_no_file_of_the_model_holds_a_word_of_the_texts(folder: Path, dataset: Dataset) -> None:
    content = b"\n".join(path.read_bytes() for path in sorted(folder.iterdir())).lower()
    texts = " ".join(pair.source for pair in (*dataset.train, *dataset.valid))
    secret = {word.lower() for word in texts.split() if len(word) > 5}  # shorter: by chance
    assert len(secret) > 15
    assert [word for word in secret if word.encode() in content] == []


def test_the_card_tells_what_it_was_measured_by(folder: Path) -> None:
    card = (folder / "card.md").read_text()
    assert "- **network**: tagger, 10 epochs\n" in card
    assert PRIVACY_NOTE in card
    assert "- **lists and patterns**: none\n" in card
    assert "| span precision | span recall | span f1 |" in card
    assert "your own lists" not in card


def test_it_repeats_itself_and_resumes_to_the_same_weights(
    dataset: Dataset, tmp_path: Path
) -> None:
    whole, again = (tried(some_learner(dataset), 2) for _ in range(2))
    assert same_weights(whole.network, again.network)

    def interrupt(epoch: Epoch) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "m.training"
    with pytest.raises(KeyboardInterrupt):
        some_learner(dataset).fit_one_cycle(
            2, checkpoint=path, report=silent, after_epoch=interrupt
        )
    resumed = some_learner(dataset)
    resumed.fit_one_cycle(2, checkpoint=path, resume=True, report=silent)
    assert same_weights(resumed.network, whole.network)
    assert scores(resumed) == scores(whole)
    assert b"Berma" not in path.read_bytes()


def test_training_goes_on_from_a_tagger(folder: Path, dataset: Dataset) -> None:
    base = TrainedModel.load(folder)
    learner = some_learner(dataset, base=base)
    assert same_weights(learner.network, base.network)
    assert learner.model_config == NetworkConfig.of(TINY_TAGGER)
    before = {name: value.clone() for name, value in base.network.state_dict().items()}
    tried(learner)
    assert learner.epochs == 11
    assert not same_weights(learner.network, base.network)
    after = base.network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_an_annotator_that_forgets_words_does_not_disturb_a_learner(
    folder: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = TrainedModel.load(folder)
    undisturbed = tried(some_learner(dataset, base=base))
    learner = some_learner(dataset, base=base)
    monkeypatch.setattr(features, "_MAX_TOKENS", 3)
    for text in ("some words of another text", "and of a third"):
        Annotator(base).annotate([text])
    assert same_weights(tried(learner).network, undisturbed.network)


def test_a_range_test_leaves_the_weights_as_they_were(dataset: Dataset) -> None:
    learner, fresh = some_learner(dataset), some_learner(dataset)
    finding = learner.lr_find(steps=8)
    assert len(finding.losses) > 5
    assert same_weights(learner.network, fresh.network)
    assert same_weights(tried(learner).network, tried(fresh).network)


def test_blank_rows_are_left_out_and_counted() -> None:
    dataset = of(table(AMES, "", " \t", "\n"), table(AMES, "", "\u2003"))
    assert dataset.blank_rows == 5
    learner = tried(some_learner(dataset), 2)
    (output,) = [prediction.output for prediction in learner.predictions()]
    assert strip_tags(output) == strip_tags(AMES)
    assert torch.isfinite(torch.tensor(scores(learner))).all()


@pytest.mark.parametrize(("train", "valid"), [((AMES,), ("", "")), (("", ""), (AMES,))])
def test_rows_that_are_all_empty_are_refused(
    train: tuple[str, ...], valid: tuple[str, ...]
) -> None:
    with pytest.raises(PairsError, match="all of its rows are blank"):
        some_learner(of(table(*train), table(*valid)))


def test_rows_without_a_span_train_a_tagger_that_finds_none() -> None:
    learner = tried(some_learner(of(table("Dr. Ames", "a b"), table("Dr. Ames"))))
    assert [one.output for one in learner.predictions()] == ["Dr. Ames"]
    assert scores(learner)[0][1:] == (0.0, 0.0, 0.0, 0.0, 0.0)


def test_spans_that_cannot_be_found_count_as_missed() -> None:
    """Labels that training lacks, and a depth and a nesting of its own."""
    valid = table(
        "{{X}}Dr. {{NAME}}Ames{{/NAME}}{{/X}}",
        "{{AGE}}Dr. {{AGE}}Ames{{/AGE}}{{/AGE}}",
        "{{NAME}}Dr. {{NAME}}{{NAME}}Ames{{/NAME}} x{{/NAME}}{{/NAME}}",
    )
    learner = tried(some_learner(of(table(AMES, NESTED), valid)))
    assert torch.isfinite(torch.tensor(scores(learner))).all()
    assert learner.validate()[1].gold == 7  # type: ignore[attr-defined]


def test_a_label_that_is_new_is_added_to_those_of_a_base_model(folder: Path) -> None:
    rows = table("{{WARD}}C4{{/WARD}}", "x")
    base = TrainedModel.load(folder)
    learner = some_learner(of(rows, rows), base=base)
    before, after = base.tokenizer, learner.tokenizer
    assert isinstance(before, TaggerTokenizer)
    assert isinstance(after, TaggerTokenizer)
    assert [*after.labels] == [*before.labels, "WARD"]


def test_lists_of_a_base_model_are_settled(folder: Path, dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(OptionError) as caught:
        some_learner(
            dataset,
            base=TrainedModel.load(folder),
            lexicon_features=LexiconFeatures([tmp_path / "names.txt"]),
        )
    assert str(caught.value) == (
        "--lexicon, --patterns and --gazetteers were settled when the model was first trained. "
        "Leave them off, or train a new model."
    )


def test_another_list_is_another_run(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("Ames\n")
    learner = some_learner(dataset, lexicon_features=LexiconFeatures([path]))
    signature = learner.tokenizer.signature()
    assert signature != some_learner(dataset).tokenizer.signature()
    path.write_text("Ames\nBond\n")
    assert (
        some_learner(dataset, lexicon_features=LexiconFeatures([path])).tokenizer.signature()
        != signature
    )


def test_a_list_helps_with_names_that_training_lacks(tmp_path: Path) -> None:
    """Of words that look alike those in the list are names: the mark alone tells."""
    words = ["".join(some) for some in product("bd", "ae", "ln", "ou", "rs")]
    listed = [word for place, word in enumerate(words) if place.bit_count() % 2]
    path = tmp_path / "names.txt"
    path.write_text("\n".join(listed))

    def rows(some: list[str]) -> Pairs:
        return table(*(f"x {{{{N}}}}{w}{{{{/N}}}}" if w in listed else f"x {w}" for w in some))

    data = of(rows(words[:24] * 2), rows(words[24:]))
    learner = tried(some_learner(data, lexicon_features=LexiconFeatures([path])), 6)
    assert learner.validate()[1].values()["span_f1"] == 1.0


def test_lists_are_for_the_tagger(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(OptionError) as caught:
        Learner(dataset, model=TINY, lexicon_features=LexiconFeatures([tmp_path / "names.txt"]))
    assert str(caught.value) == (
        "--lexicon, --patterns and --gazetteers are for the tagger, and the model is gru. Leave "
        "them off, or use --model tagger."
    )


def test_the_model_is_chosen_by_the_task() -> None:
    auto = NetworkConfig()
    assert auto.resolve_auto(task="annotate").model == "tagger"
    assert auto.resolve_auto(task="translate").model == "attention"
    narrow = NetworkConfig(tagger=TaggerConfig(hidden=16))
    assert narrow.resolve_auto(task="annotate").tagger.hidden == 16
    assert NetworkConfig(model="gru").resolve_auto(task="annotate").model == "gru"
    assert NetworkConfig(gru=GruConfig(hidden=8)).resolve_auto(task="annotate").model == "gru"
    with pytest.raises(OptionError, match="the tagger adds tags to a text"):
        narrow.resolve_auto(task="translate")
    assert NetworkConfig.of(AttentionConfig()).resolve_auto(task="annotate").model == "attention"


def test_the_tagger_does_not_translate() -> None:
    rows = table("a", "b")
    pairs = Pairs([replace(pair, target="x") for pair in rows], name="few")
    with pytest.raises(OptionError) as caught:
        Learner(Dataset.from_pairs(pairs, valid=pairs), model=TINY_TAGGER)
    assert str(caught.value) == (
        "the tagger adds tags to a text, and here the target is not the source plus tags. "
        "Use --model attention."
    )


@pytest.mark.parametrize(("rows", "epochs"), [(1, 50), (500, 50), (10_000, 12), (50_000, 6)])
def test_the_fewer_rows_the_more_epochs(rows: int, epochs: int) -> None:
    settled = TrainingConfig().resolve_auto(model="tagger", rows=rows)
    assert settled.epochs == epochs
    assert TrainingConfig(epochs=3).resolve_auto(model="tagger", rows=rows).epochs == 3
    assert TrainingConfig().resolve_auto(model="gru", rows=rows).epochs == 5


def test_a_learner_of_the_annotate_task_has_a_tagger(dataset: Dataset) -> None:
    learner = Learner(dataset, model=NetworkConfig(tagger=TINY_TAGGER))
    assert isinstance(learner.network, Tagger)
    assert (learner.model_config.model, learner.config.max_lr) == ("tagger", 3e-3)

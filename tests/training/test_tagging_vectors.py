"""A tagger that reads words by the vectors of a file."""

from __future__ import annotations

import json
from itertools import product
from typing import TYPE_CHECKING

import pytest

from annoseq.errors import OptionError, TrainingError, VectorsError
from annoseq.inference.annotator import Annotator
from annoseq.models.serialization import TrainedModel
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from annoseq.training.learner import Learner
from annoseq.vectors.lookup import TokenVectors
from tests.tiny import same_weights
from tests.training.test_objectives import (
    BATCHING,
    QUICK,
    TINY_TAGGER,
    of,
    scores,
    silent,
    table,
)

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.data.pairs import Pairs
    from annoseq.tokenization.dataset import Dataset
    from annoseq.training.recorder import Epoch

WORDS = ["".join(some) for some in product("bd", "ae", "ln", "ou", ("rim", "sik"))]
NAMES = [word for place, word in enumerate(WORDS) if place.bit_count() % 2]
"""Words that look like the others: their vectors alone tell."""
TRAINED, UNSEEN = WORDS[:24], WORDS[24:]


def rows(some: list[str]) -> Pairs:
    return table(*(f"x {{{{N}}}}{w}{{{{/N}}}}" if w in NAMES else f"x {w}" for w in some))


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return vectors of all words, in two bundles."""
    path = tmp_path_factory.mktemp("vectors") / "v.vec"
    lines = [
        f"{word} {3 if word in NAMES else -3} {place / 32} 1\n" for place, word in enumerate(WORDS)
    ]
    path.write_text(f"{len(lines)} 3\n{''.join(lines)}")
    return path


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return of(rows(TRAINED * 2), rows(UNSEEN))


def some_learner(
    dataset: Dataset,
    vectors: Path | None = None,
    *,
    base: TrainedModel | None = None,
) -> Learner:
    model = None if base else TINY_TAGGER
    return Learner(
        dataset, base=base, model=model, training=QUICK, batching=BATCHING, vectors=vectors
    )


@pytest.fixture(scope="module")
def learned(dataset: Dataset, vectors: Path) -> Learner:
    learner = some_learner(dataset, vectors)
    learner.fit_one_cycle(6, report=silent)
    return learner


@pytest.fixture(scope="module")
def folder(learned: Learner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tagger") / "model"
    learned.save(path)
    return path


def test_words_that_training_lacks_are_known_by_their_vectors(
    learned: Learner, dataset: Dataset
) -> None:
    assert learned.validate()[1].values()["span_f1"] == 1.0
    without = some_learner(dataset)
    without.fit_one_cycle(6, report=silent)
    assert without.validate()[1].values()["span_f1"] < 0.9


def test_it_is_told_for_how_many_words_there_was_a_vector(learned: Learner) -> None:
    assert learned.vectors is not None
    assert learned.vectors.summary() == (
        "32 words with a vector, 0 composed of subwords, 1 without"
    )


def test_a_loaded_tagger_finds_the_same_spans(
    learned: Learner, folder: Path, dataset: Dataset
) -> None:
    texts = [one.source for one in learned.predictions()]
    outputs = [one.output for one in learned.predictions()]
    assert [one.annotated for one in Annotator.load(folder).annotate(texts)] == outputs
    again = TrainedModel.load(folder)
    assert same_weights(again.network, learned.network)


def test_the_folder_names_the_file_and_holds_no_word_of_it(folder: Path, vectors: Path) -> None:
    record = json.loads((folder / "config.json").read_text())["vectors"]
    assert (record["path"], record["format"], record["width"]) == (str(vectors), "vec", 3)
    assert vectors.name not in {path.name for path in folder.iterdir()}
    content = b"\n".join(path.read_bytes() for path in folder.iterdir()).lower()
    assert [word for word in WORDS if word.encode() in content] == []
    card = (folder / "card.md").read_text()
    assert (
        f"- **word vectors**: v.vec, 3 wide, sha256 {record['fingerprint'][:12]} of size and "
        "samples; needed to annotate, and not in this folder\n"
    ) in card


def test_a_file_that_has_moved_is_named(folder: Path, vectors: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved.vec"
    vectors.rename(moved)
    try:
        with pytest.raises(VectorsError) as caught:
            Annotator.load(folder)
        found = Annotator.load(folder, vectors=moved).annotate([f"x {UNSEEN[0]}"])
    finally:
        moved.rename(vectors)
    assert str(caught.value) == (
        f"{folder}: its word vectors, v.vec, cannot be read at {vectors}, where they were in "
        "training. Name the file with --vectors."
    )
    assert found == Annotator.load(folder).annotate([f"x {UNSEEN[0]}"])


def test_another_file_is_not_taken_for_it(folder: Path, vectors: Path, tmp_path: Path) -> None:
    other = tmp_path / "v.vec"
    other.write_text(vectors.read_text().replace(" 3 ", " 2 "))
    with pytest.raises(VectorsError, match=r"not the word vectors that .* was trained with, v\.v"):
        Annotator.load(folder, vectors=other)


def test_a_model_that_reads_no_vectors_takes_none(
    dataset: Dataset, vectors: Path, tmp_path: Path
) -> None:
    learner = some_learner(dataset)
    learner.save(tmp_path / "model")
    assert json.loads((tmp_path / "model" / "config.json").read_text())["vectors"] is None
    assert "- **word vectors**: none\n" in (tmp_path / "model" / "card.md").read_text()
    with pytest.raises(OptionError) as caught:
        Annotator.load(tmp_path / "model", vectors=vectors)
    assert str(caught.value) == (
        f"{tmp_path / 'model'}: this model needs no file of word vectors: it was trained without, "
        "or has taken them into its weights. Leave --vectors off."
    )


def test_training_goes_on_with_the_same_vectors(
    folder: Path, dataset: Dataset, vectors: Path, tmp_path: Path
) -> None:
    base = TrainedModel.load(folder)
    assert isinstance(base.tokenizer, TaggerTokenizer)
    learner = some_learner(dataset, base=base)
    assert isinstance(learner.vectors, TokenVectors)
    assert learner.vectors is not base.tokenizer.feature_hasher.vectors
    learner.fit_one_cycle(1, report=silent)
    learner.save(tmp_path / "more")
    config = TrainedModel.load(tmp_path / "more").config
    assert (config.epochs, config.vectors) == (7, base.config.vectors)
    taken_up = Learner.load(folder, dataset, vectors=vectors)
    assert same_weights(taken_up.network, base.network)


def test_it_resumes_to_the_same_weights_and_with_the_same_vectors_only(
    dataset: Dataset, vectors: Path, tmp_path: Path
) -> None:
    whole = some_learner(dataset, vectors)
    whole.fit_one_cycle(2, report=silent)

    def interrupt(epoch: Epoch) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "m.training"
    with pytest.raises(KeyboardInterrupt):
        some_learner(dataset, vectors).fit_one_cycle(
            2, checkpoint=path, report=silent, after_epoch=interrupt
        )
    assert not [word for word in WORDS if word.encode() in path.read_bytes()]
    moved = tmp_path / "v.vec"
    moved.write_bytes(vectors.read_bytes())
    resumed = some_learner(dataset, moved)
    resumed.fit_one_cycle(2, checkpoint=path, resume=True, report=silent)
    assert same_weights(resumed.network, whole.network)
    assert scores(resumed) == scores(whole)
    moved.write_text(vectors.read_text().replace(" 3 ", " 2 "))
    with pytest.raises(TrainingError, match="was begun with vectors "):
        some_learner(dataset, moved).fit_one_cycle(2, checkpoint=path, resume=True, report=silent)
    with pytest.raises(TrainingError, match=r"was begun with (model|vectors) .*, and now it is "):
        some_learner(dataset).fit_one_cycle(2, checkpoint=path, resume=True, report=silent)

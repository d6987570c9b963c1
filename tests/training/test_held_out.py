"""Models trained on some documents of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.config import (
    BatchConfig,
    DataConfig,
    DeviceConfig,
    NetworkConfig,
    TaggerConfig,
    TrainingConfig,
)
from annoseq.data.pairs import Pair, Pairs
from annoseq.errors import OptionError, PairsError
from annoseq.tokenization.dataset import Dataset
from annoseq.training.document_folds import DocumentCorpus
from annoseq.training.held_out import train_on_documents
from annoseq.training.learner_settings import LearnerSettings

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = LearnerSettings(
    network=NetworkConfig.of(TaggerConfig(hidden=8, embedding=8, buckets=1024)),
    training=TrainingConfig(epochs=2, max_lr=1e-2),
    batching=BatchConfig(batch_size=8),
    device=DeviceConfig(device="cpu"),
)
NAMES = ("Ames", "Bond", "Cole", "Dale", "Earl", "Ford")


def dataset_of(documents: int, *, has_names: bool = True) -> Dataset:
    """Make a dataset of documents of two short rows each."""
    pairs: list[Pair] = []
    for number in range(documents):
        name = NAMES[number % len(NAMES)]
        tagged = f"{{{{NAME}}}}{name}{{{{/NAME}}}}" if has_names else name
        for text, target in ((f"Dr. {name}", f"Dr. {tagged}"), ("Seen today.", "Seen today.")):
            pairs.append(Pair(text, target, row=len(pairs) + 1, document=f"d{number}"))
    return Dataset.from_pairs(
        Pairs(pairs, name="short"), config=DataConfig(task="annotate", valid_share=0.25)
    )


def corpus_of(documents: int, *, has_names: bool = True) -> DocumentCorpus:
    dataset = dataset_of(documents, has_names=has_names)
    examples = sorted((*dataset.train, *dataset.valid), key=lambda example: example.row)
    return DocumentCorpus.of(dataset, examples, needed=2)


def test_documents_are_kept_whole_and_in_order() -> None:
    corpus = corpus_of(6)
    assert [len(rows) for rows in corpus.documents] == [2] * 6
    assert [example.row for example in corpus.rows((4, 1))] == [3, 4, 9, 10]


def test_the_folds_are_equal_parts_of_all_documents() -> None:
    folds = corpus_of(7).folds(3, seed=1)
    assert sorted(number for fold in folds for number in fold) == list(range(7))
    assert sorted(map(len, folds)) == [2, 2, 3]
    assert folds == corpus_of(7).folds(3, seed=1)
    assert folds != corpus_of(7).folds(3, seed=2)


def test_too_few_documents_are_told() -> None:
    dataset = dataset_of(4)
    with pytest.raises(PairsError) as caught:
        DocumentCorpus.of(dataset, (*dataset.train, *dataset.valid), needed=10)
    assert str(caught.value) == (
        "the table has 4 documents, and at least 10 are needed. "
        "Add documents, or split by row (--split-by row)."
    )


def test_translations_have_no_spans_to_score() -> None:
    pairs = Pairs([Pair("one", "eins", row=1), Pair("two", "zwei", row=2)], name="words")
    dataset = Dataset.from_pairs(pairs)
    with pytest.raises(OptionError) as caught:
        DocumentCorpus.of(dataset, dataset.train, needed=1)
    assert str(caught.value) == (
        "these pairs are of the translate task, and spans are scored. "
        "Give pairs whose target is the source plus tags."
    )


def test_only_the_chosen_documents_are_trained_on(tmp_path: Path) -> None:
    learner = train_on_documents(corpus_of(8), (0, 1, 2, 3), SETTINGS, tmp_path / "checkpoint")
    assert learner is not None
    rows = {example.row for example in (*learner.dataset.train, *learner.dataset.valid)}
    assert rows == set(range(1, 9))
    assert learner.epochs == 2
    assert (tmp_path / "checkpoint").exists()


def test_documents_without_spans_teach_nothing(tmp_path: Path) -> None:
    corpus = corpus_of(4, has_names=False)
    assert train_on_documents(corpus, (0, 1, 2), SETTINGS, tmp_path / "checkpoint") is None


def test_a_damaged_checkpoint_costs_no_more_than_its_run(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    checkpoint.write_bytes(b"no checkpoint")
    learner = train_on_documents(corpus_of(8), (0, 1, 2, 3), SETTINGS, checkpoint)
    assert learner is not None
    assert learner.epochs == 2

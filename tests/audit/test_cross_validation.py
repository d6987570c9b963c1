"""Predictions by models that have not seen the rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from annoseq.audit.cross_validation import (
    CrossValidation,
    HeldOutRow,
    read_rows,
    write_rows,
)
from annoseq.config import NetworkConfig
from annoseq.data.markup import Span
from annoseq.errors import OptionError, TrainingError
from annoseq.training.run_folder import TrainingRuns
from tests.tiny import TINY
from tests.training.test_held_out import SETTINGS, corpus_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> TrainingRuns:
    folder = TrainingRuns(tmp_path / "folds", "audit")
    folder.begin({}, overwrite=False)
    return folder


def test_every_row_is_predicted_once_in_the_order_of_the_table(folder: TrainingRuns) -> None:
    corpus = corpus_of(8)
    runs = CrossValidation(corpus, tuple(corpus.folds(2, seed=1)), SETTINGS, folder)
    seen: list[int] = []
    runs.work(report=seen.append)
    runs.work(report=seen.append)
    assert seen == [1, 2]
    predictions = runs.predictions()
    assert [example.row for example, _ in predictions] == list(range(1, 17))
    for example, row in predictions:
        assert all(0 < (span.score or 0) <= 1 for span in row.candidates)
        assert all(span.end <= len(example.source) for span in row.tokens)


def test_a_missing_fold_is_told(folder: TrainingRuns) -> None:
    corpus = corpus_of(4)
    runs = CrossValidation(corpus, tuple(corpus.folds(2, seed=1)), SETTINGS, folder)
    with pytest.raises(TrainingError) as caught:
        runs.predictions()
    assert str(caught.value) == (
        f"{folder.record(1)} is missing or damaged. Delete it if it is there, and --resume trains "
        "its fold."
    )
    write_rows([], folder.record(1))
    with pytest.raises(TrainingError, match="is missing or damaged"):
        runs.predictions()


def test_pairs_without_spans_cannot_be_audited(folder: TrainingRuns) -> None:
    corpus = corpus_of(4, has_names=False)
    runs = CrossValidation(corpus, tuple(corpus.folds(2, seed=1)), SETTINGS, folder)
    with pytest.raises(OptionError) as caught:
        runs.work(report=lambda number: None)
    assert str(caught.value) == (
        "the documents of a fold have no span to train on, so that nothing can be audited. "
        "Give annotated pairs."
    )


def test_a_model_that_writes_cannot_audit(folder: TrainingRuns) -> None:
    corpus = corpus_of(6)
    settings = replace(SETTINGS, network=NetworkConfig.of(TINY))
    runs = CrossValidation(corpus, tuple(corpus.folds(2, seed=1)), settings, folder)
    with pytest.raises(OptionError) as caught:
        runs.work(report=lambda number: None)
    assert str(caught.value) == (
        "an audit needs the probability of every span, which taggers know. Leave --model off, or "
        "give --model tagger."
    )


def test_predictions_come_back_from_their_file(tmp_path: Path) -> None:
    row = HeldOutRow((Span(0, 3, "NAME", 0.5),), (), (Span(0, 3, "", 0.25),))
    write_rows([row], tmp_path / "rows.json")
    (found,) = read_rows(tmp_path / "rows.json")
    assert found == row
    assert found.best[0].score == 0.5

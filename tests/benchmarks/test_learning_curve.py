"""Comparison of forecasts with what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from annoseq.data.markup import Span, render
from annoseq.data.pairs import Pair, Pairs
from annoseq.evaluation.learning_curve import Estimate
from annoseq.tokenization.dataset import Dataset
from annoseq.training.document_folds import DocumentCorpus
from benchmarks.curve_resamplings import Design, Resampling, settings_for
from benchmarks.learning_curve import Outcome, make_table, power_law_interval
from benchmarks.linear_tagger import LinearTaggers

if TYPE_CHECKING:
    from pathlib import Path


def test_the_table_counts_the_intervals_that_hold() -> None:
    outcomes = [
        Outcome(Estimate(0.8, 0.7, 0.9), 0.85, (0.79, 0.81)),
        Outcome(Estimate(0.8, 0.7, 0.9), 0.95, (0.7, 1.0)),
    ]
    lines = make_table({"notes": outcomes, "letters": []}).splitlines()
    assert lines[2:] == ["| notes | 0.900 | -0.1000 | 0.1000 | 1 of 2 | 0.200 | 1 of 2 | 0.160 |"]
    assert "| all |" in make_table({"notes": outcomes, "letters": outcomes})


def test_a_perfect_power_law_has_a_narrow_interval() -> None:
    sizes = np.array([8.0, 16, 32, 64, 128])
    low, high = power_law_interval(sizes, 0.95 - 1.2 * sizes**-0.5, 256)
    assert low <= 0.95 - 1.2 * 256**-0.5 + 0.01
    assert high - low < 0.02


@pytest.mark.parametrize(("rows", "epochs"), [(10, 30), (900, 5), (100_000, 4)])
def test_more_rows_have_fewer_epochs(rows: int, epochs: int) -> None:
    assert settings_for(rows).training.epochs == epochs


def test_a_resampling_knows_half_of_its_data(tmp_path: Path) -> None:
    text, gold = "Dr. Ada Ames", [Span(4, 12, "NAME")]
    pairs = [Pair(text, render(text, gold), n + 1, f"d{n}") for n in range(100)]
    dataset = Dataset.from_pairs(Pairs(pairs, name="notes"))
    corpus = DocumentCorpus.of(dataset, [*dataset.train, *dataset.valid], needed=100)
    taggers = LinearTaggers()
    resampling = Resampling(corpus, 1, Design("linear", 60, 30, 4, 2), tmp_path, taggers)
    whole, *runs = resampling.units()
    assert len(whole.subset.training) == 60
    assert len(whole.subset.held_back) == 30
    assert len(runs) == 8
    assert {len(run.corpus.documents) for run in runs} == {30}
    assert not resampling.is_finished
    assert len({unit.folder.path for unit in (whole, *runs)}) == 9
    whole.begin()
    whole.train()
    measured = resampling.whole()
    assert measured is not None
    assert (measured.documents, len(measured.counts), measured.f1) == (60, 30, 1.0)

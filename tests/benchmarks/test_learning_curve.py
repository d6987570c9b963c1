"""Comparison of forecasts with what was measured."""

from __future__ import annotations

import numpy as np
import pytest

from annoseq.evaluation.learning_curve import Estimate
from benchmarks.learning_curve import Outcome, make_table, power_law_interval, settings_for


def test_the_table_counts_the_intervals_that_hold() -> None:
    outcomes = [
        Outcome(Estimate(0.8, 0.7, 0.9), 0.85, (0.79, 0.81)),
        Outcome(Estimate(0.8, 0.7, 0.9), 0.95, (0.7, 1.0)),
    ]
    lines = make_table(outcomes).splitlines()
    assert "| annoseq curve | 1 of 2 | 0.200 | 0.1000 |" in lines
    assert "| residuals of one power law | 1 of 2 | 0.160 |  |" in lines


def test_a_perfect_power_law_has_a_narrow_interval() -> None:
    sizes = np.array([8.0, 16, 32, 64, 128])
    low, high = power_law_interval(sizes, 0.95 - 1.2 * sizes**-0.5, 256)
    assert low <= 0.95 - 1.2 * 256**-0.5 + 0.01
    assert high - low < 0.02


@pytest.mark.parametrize(("rows", "epochs"), [(10, 16), (900, 10), (100_000, 6)])
def test_more_rows_have_fewer_epochs(rows: int, epochs: int) -> None:
    assert settings_for(rows).training.epochs == epochs

"""The benchmark of `annoseq train --workers`: its ratios."""

from __future__ import annotations

from benchmarks.train_workers import Measured, parse_arguments, table_rows


def test_ratios_are_those_of_each_round() -> None:
    alone = [[Measured(400.0, 9.0, 0.5)], [Measured(200.0, 9.0, 0.5)]]
    both = [[Measured(600.0, 5.0, 0.5), Measured(600.0, 6.0, 0.5)]] * 2
    assert table_rows({1: alone, 2: both}) == [
        ["1", "300", "1.00", "9.0 s", "1.00", "0.5000"],
        ["2", "600", "2.25", "6.0 s", "1.50", "0.5000"],
    ]


def test_two_workers_are_the_default() -> None:
    options = parse_arguments([])
    assert (options.workers, options.rows, options.core) == ([2], 4_000, None)

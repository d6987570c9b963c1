"""The benchmark of `--workers`: its table and its ratios."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from benchmarks.workers import Run, parse_arguments, table_rows, write_table

if TYPE_CHECKING:
    from pathlib import Path


def test_a_table_is_repeated(tmp_path: Path) -> None:
    source, target = tmp_path / "dev.csv", tmp_path / "notes.csv"
    source.write_text("orig_text\na\nbb\nccc\n")
    assert write_table(source, target, times=2, limit=2) == (4, 6)
    with target.open(newline="") as file:
        assert [row["orig_text"] for row in csv.DictReader(file)] == ["a", "bb", "a", "bb"]


def test_ratios_are_those_of_each_round() -> None:
    alone = [Run(10.0, 9.0, 2**30), Run(20.0, 9.0, 2**30)]
    both = [Run(5.0, 11.0, 2**31), Run(16.0, 11.0, 2**31)]
    assert table_rows({1: alone, 2: both}, 1_000) == [
        ["1", "15.0 s", "67", "1.00", "9.0 s", "1,024 MiB"],
        ["2", "10.5 s", "95", "1.62", "11.0 s", "2,048 MiB"],
    ]


def test_two_workers_are_the_default() -> None:
    options = parse_arguments([])
    assert (options.workers, options.core) == ([2], None)

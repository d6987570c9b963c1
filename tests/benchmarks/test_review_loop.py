"""Loop of review and retraining."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.review_loop import (
    Step,
    curve_table,
    difference_table,
    estimate_table,
    main,
)


def results() -> dict[Step, dict[str, Any]]:
    found: dict[Step, dict[str, Any]] = {}
    for seed, gain in ((1, 0.1), (2, -0.02)):
        found[Step("start", seed, 20)] = {"f1": 0.4}
        found[Step("random", seed, 40)] = {"f1": 0.5}
        found[Step("uncertain", seed, 40)] = {"f1": 0.5 + gain}
        found[Step("mixed", seed, 40)] = {
            "f1": 0.6,
            "share": [1, 2, 3, 4, 5],
            "estimate": {"f1": 0.55, "low": 0.5, "high": 0.58 + gain},
        }
    return found


def test_the_curves_have_the_mean_and_the_spread_over_seeds() -> None:
    table = curve_table(results(), [20, 40]).splitlines()
    assert table[2].startswith("| 20 | 0.400 (0.400 to 0.400) |")
    assert "| 0.540 (0.480 to 0.600) |" in table[3]


def test_the_orders_are_compared_seed_by_seed() -> None:
    table = difference_table(results(), [20, 40])
    assert "| 40 | uncertain | +0.040 | +0.100, -0.020 |" in table


def test_the_intervals_that_hold_the_score_are_counted() -> None:
    assert "The interval holds the F1 on dev in 1 of 2." in estimate_table(results())


@pytest.mark.e2e
def test_the_loop_runs_from_end_to_end(tmp_path: Any) -> None:
    lines = ["doc_id,start,orig_text,annotated_text"]
    for number in range(40):
        name = f"Name{number % 7}"
        lines.append(f"d{number // 2},{number % 2},Dr {name},Dr {{{{NAME}}}}{name}{{{{/NAME}}}}")
    for table in ("train.csv", "dev.csv"):
        (tmp_path / table).write_text("\n".join(lines) + "\n")
    options = ("--points", "4", "8", "--seeds", "1", "--epochs", "1", "--jobs", "1")
    places = ("--data", tmp_path, "--results", tmp_path / "runs", "--out", tmp_path / "r.md")
    for _ in range(2):  # the second time, all is done
        assert main([*options, *map(str, places)]) == 0
    assert "| 8 |" in (tmp_path / "r.md").read_text()
    assert (tmp_path / "r.png").exists()

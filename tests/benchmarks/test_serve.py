from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from annoseq.errors import OptionError
from benchmarks.serve import LoadResult, load_rows, main, memory_row, percentile, read_statistics

if TYPE_CHECKING:
    from pathlib import Path


def entry(name: str, times: dict[str, int], *, failures: int = 0) -> dict[str, Any]:
    return {
        "name": name,
        "start_time": 100.0,
        "last_request_timestamp": 110.0,
        "num_failures": failures,
        "response_times": times,
    }


def test_statistics_of_locust_are_read() -> None:
    entries = [entry("/annotate", {"5": 90, "70.0": 10}, failures=1), entry("429", {"2": 40})]
    result = read_statistics(f"noise\n{json.dumps(entries)}", cpu=2.0, memory=[1.0])
    assert (result.rate, result.cpu_ms, result.failures) == (10.0, 20.0, 1)
    assert (result.answered.total(), result.refused.total()) == (100, 40)
    assert load_rows({8: result}) == [["8", "10", "5 ms", "70 ms", "20.0 ms", "1"]]


def test_no_statistics_are_an_error() -> None:
    with pytest.raises(OptionError, match="locust printed no statistics"):
        read_statistics("Traceback", cpu=0.0, memory=[])


@pytest.mark.parametrize(("share", "expected"), [(0.5, 5), (0.98, 5), (0.99, 7), (1.0, 90)])
def test_a_percentile_is_the_time_that_a_share_needs(share: float, expected: int) -> None:
    assert percentile(Counter({90: 1, 5: 98, 7: 1}), share) == expected
    assert percentile(Counter(), share) == 0


def test_memory_is_told_by_fifths() -> None:
    memory = [float(step) for step in range(100, 111)]
    assert memory_row(memory, 1_000) == [
        "1,000",
        *("100 MiB", "102 MiB", "104 MiB", "106 MiB", "108 MiB", "110 MiB"),
        "+8 MiB",
    ]


def test_without_answers_there_is_no_division() -> None:
    assert LoadResult(1.0, Counter(), Counter(), 0, 1.0, []).cpu_ms == 1_000.0


def test_a_missing_locust_is_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("benchmarks.serve.find_spec", lambda _: None)
    assert main(["--out", str(tmp_path / "report.md")]) == 2
    assert capsys.readouterr().err == (
        "error: benchmarks.serve needs locust, which is not installed. Run: pip install locust\n"
    )

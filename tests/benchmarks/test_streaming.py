"""The benchmark runs, and its numbers make sense."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from benchmarks.streaming import Run, main, peak_memory, results

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_a_short_run_writes_its_report(tmp_path: Path) -> None:
    out = tmp_path / "report.md"
    assert main(["--rows", "10", "30", "--out", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) rows \| ([\d,.]+) MiB \| \d+ s \| \d+ \|$", text, re.MULTILINE)
    assert [count for count, _ in rows] == ["10", "30"]
    assert all(50 < float(peak.replace(",", "")) < 5_000 for _, peak in rows)
    assert "within 10% of each other." in text
    assert "NOT" not in text
    for fact in ("data", "seed: 42", "processor", "versions: torch", "date", "command"):
        assert f"\n- {fact}" in text


def test_growth_is_seen() -> None:
    assert "1.200, NOT within 10%" in results([Run(10, 100, 1), Run(100, 120, 1)])
    assert "0.950, within 10%" in results([Run(10, 100, 1), Run(100, 95, 1)])


def test_the_peak_does_not_fall() -> None:
    before = peak_memory()
    filled = b"x" * (before + 2**24)
    assert peak_memory() >= len(filled)
    del filled
    assert peak_memory() > before + 2**24


def test_a_number_must_be_above_0(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--rows", "0", "10"])
    assert stop.value.code == 2
    assert "numbers above 0 were expected" in capsys.readouterr().err

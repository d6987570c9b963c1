from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import threads

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_speeds_with_one_and_two_threads_are_compared(tmp_path: Path) -> None:
    out = tmp_path / "report.md"
    words = ["--rows", "40", "--models", "tagger", "--out", str(out)]
    assert threads.main(words) == 0
    report = out.read_text(encoding="utf-8")
    row = next(line for line in report.splitlines() if line.startswith("| `tagger` |"))
    assert len(row.split("|")) == 9
    assert "--models tagger" in report


def test_a_table_without_rows_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        threads.main(["--rows", "0"])
    assert "--rows: a number above 0 was expected" in capsys.readouterr().err

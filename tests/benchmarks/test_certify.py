from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from annoseq.data.pairs import Pairs, write_pairs
from benchmarks import certify
from tests.calibrated import calibrated_model, pairs

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e


def test_bounds_are_simulated(tmp_path: Path) -> None:
    calibrated_model(is_cautious=True).save(tmp_path / "model", card="")
    folder = tmp_path / "corpus" / "pairs"
    folder.mkdir(parents=True)
    rows = [replace(pair, document=str(pair.row // 2)) for pair in pairs(160)]
    for name in ("train", "dev"):
        write_pairs(Pairs(rows, name=name), folder / f"{name}.csv", overwrite=False)
    out = tmp_path / "report.md"
    words = ["--data", str(folder), "--model", str(tmp_path / "model"), "--out", str(out)]
    words += ["--samples", "20", "--repeats", "2", "--other", str(folder)]
    assert certify.main(words) == 0
    report = out.read_text(encoding="utf-8")
    table = [line.split(" | ") for line in report.splitlines() if line.startswith("| ")][2:]
    bounds, shift = table[:8], table[10:]
    assert [row[:2] for row in shift] == [
        *(["| the same documents", "25"], ["| without accents", "25"], ["| in upper case", "25"]),
        *(["| of corpus", "25"], ["| of corpus", "50"]),
    ]
    assert all(0 <= float(row[2]) <= 1 for row in bounds + shift)
    assert "- shift test: 2 random halves, 2 of them with a bound" in report
    assert "- corpus: corpus, 81 dev documents with 240 identifiers" in report

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
    assert certify.main([*words, "--samples", "20"]) == 0
    report = out.read_text(encoding="utf-8")
    table = [line.split(" | ") for line in report.splitlines() if line.startswith("| ")][2:]
    assert len(table) == 8
    assert all(0 <= float(row[2]) <= 1 for row in table)
    assert "- corpus: corpus, 81 dev documents with 240 identifiers" in report

"""The report of taggers with word embeddings of an encoder, of tiny taggers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.data.pairs import Pair, Pairs, write_pairs
from annoseq.sample import sample_pairs
from benchmarks import word_embeddings
from tests.vectors.test_static_embeddings import write_folder

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e


def test_taggers_with_and_without_word_embeddings(tmp_path: Path) -> None:
    rows = sample_pairs(30, seed=1)
    pairs = Pairs(
        [Pair(one.source, one.target, row=row, document=f"d{row}") for row, one in enumerate(rows)],
        name="sample",
    )
    folder = tmp_path / "data" / "ncbi_disease" / "pairs"
    folder.mkdir(parents=True)
    for name in ("train", "dev"):
        write_pairs(pairs, folder / f"{name}.csv", overwrite=False)
    static = write_folder(tmp_path / "static")
    paths = {"--data": tmp_path / "data", "--results": tmp_path / "results", "--encoder": static}
    options = [text for name, path in paths.items() for text in (name, str(path))]
    options += ["--out", str(tmp_path / "report.md"), "--epochs", "1"]
    for system in ("plain", "vectors"):
        assert word_embeddings.main([*options, "--only", f"{system}-ncbi_disease-42"]) == 0
    assert word_embeddings.main([*options, "--join"]) == 0
    report = (tmp_path / "report.md").read_text()
    assert "| ncbi_disease | tagger | " in report
    assert "| ncbi_disease | tagger with word embeddings | " in report
    assert "- word embeddings: static, sha256 " in report

"""The report of taggers with word embeddings of an encoder, of tiny taggers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import word_embeddings
from tests.benchmarks.sample_corpora import write_corpora
from tests.vectors.test_static_embeddings import write_folder

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e


def test_taggers_with_and_without_word_embeddings(tmp_path: Path) -> None:
    data = write_corpora(tmp_path / "data", "ncbi_disease")
    static = write_folder(tmp_path / "static")
    paths = {"--data": data, "--results": tmp_path / "results", "--encoder": static}
    options = [text for name, path in paths.items() for text in (name, str(path))]
    options += ["--out", str(tmp_path / "report.md"), "--epochs", "1"]
    for system in ("plain", "vectors"):
        assert word_embeddings.main([*options, "--only", f"{system}-ncbi_disease-42"]) == 0
    assert word_embeddings.main([*options, "--join"]) == 0
    report = (tmp_path / "report.md").read_text()
    assert "| ncbi_disease | tagger | " in report
    assert "| ncbi_disease | tagger with word embeddings | " in report
    assert "- word embeddings: static, sha256 " in report

"""Round trip of the MEDDOCAN corpus, if it is present, compared with published pairs."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.conversion import read_corpus
from tests.cli.command import run
from tests.formats.documents import OPTIONS, normal

if TYPE_CHECKING:
    from annoseq.formats.documents import Document
    from annoseq.formats.registry import CorpusFormat

CORPUS = Path(__file__).parents[3] / "shared" / "data" / "meddocan"
FEW = 25
"""Number of documents of the quick test."""
EXPECTED: dict[CorpusFormat, tuple[str, str]] = {
    "brat": ("brat", "pairs"),
    "meddocan": ("xml", "pairs_hier"),
}

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")


def rows(table: Path) -> list[list[str]]:
    with table.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


def some_of(source: Path, target: Path) -> set[str]:
    """Link the first documents of a folder into another; return their names."""
    target.mkdir()
    names = sorted({path.stem for path in source.iterdir()})[:FEW]
    for path in source.iterdir():
        if path.stem in names:
            (target / path.name).symlink_to(path)
    return set(names)


def check(name: CorpusFormat, source: Path, expected: list[list[str]], folder: Path) -> None:
    lines, whole, back = folder / "lines.csv", folder / "whole.csv", folder / "back"
    assert run("import", name, source, lines).err.startswith(f"Wrote {lines}: ")
    assert rows(lines) == expected
    result = run("import", name, source, whole, "--unit", "document")
    assert result.err.startswith(f"Wrote {whole}: ")
    assert run("export", name, whole, back).err.startswith(f"Wrote {back}: ")
    assert documents(name, back) == documents(name, source)
    from_lines = folder / "from lines"
    assert run("export", name, lines, from_lines).code == 0
    again = {one.id: one.mentions for one in documents(name, from_lines)}
    assert again == {one.id: one.mentions for one in documents(name, source)}


def documents(name: CorpusFormat, folder: Path) -> list[Document]:
    return [normal(one) for one in read_corpus(name, folder, OPTIONS, ConversionLosses())]


@pytest.mark.parametrize("name", EXPECTED)
def test_some_documents_are_read_and_come_back(name: CorpusFormat, tmp_path: Path) -> None:
    source, pairs = EXPECTED[name]
    names = some_of(CORPUS / "corpus" / "dev" / source, tmp_path / "some")
    head, *table = rows(CORPUS / pairs / "dev.csv")
    expected = [head, *(row for row in table if row[0] in names)]
    check(name, tmp_path / "some", expected, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["train", "dev"])
@pytest.mark.parametrize("name", EXPECTED)
def test_all_documents_are_read_and_come_back(
    name: CorpusFormat, part: str, tmp_path: Path
) -> None:
    source, pairs = EXPECTED[name]
    expected = rows(CORPUS / pairs / f"{part}.csv")
    start = time.process_time()
    check(name, CORPUS / "corpus" / part / source, expected, tmp_path)
    assert time.process_time() - start < 60

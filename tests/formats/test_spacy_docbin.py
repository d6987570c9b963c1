from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.documents import Document
from tests.cli.command import refusal, run
from tests.formats.documents import mention, read_from, there_and_back
from tests.formats.malformed import LATIN, TEXT, UTF16, ZIP, check_refusal

if TYPE_CHECKING:
    from pathlib import Path

MALFORMED: list[tuple[bytes, str]] = [
    (data, "this is not a file of spaCy's DocBin, or it is damaged")
    for data in (b"", b"\0", b"x" * 99, LATIN, UTF16, TEXT.encode(), b"\x78\x9c", b"\x78\x9c\x03\0")
]
MALFORMED += [
    (ZIP, "this is a zip archive"),
    (b"\x1f\x8bxx", "the gzip compression is damaged or cut off"),
]


@pytest.fixture
def spacy() -> Any:
    return pytest.importorskip("spacy")


def test_entities_and_span_groups_are_read(spacy: Any, tmp_path: Path) -> None:
    doc = spacy.tokens.Doc(spacy.vocab.Vocab(), words=["😀", "Ames", "Bo"])
    doc.ents = [doc.char_span(2, 6, label="NAME")]
    spans = [(2, 6, "NAME"), (2, 9, "PAIR"), (7, 9, "")]
    doc.spans["sc"] = [doc.char_span(start, end, label=label) for start, end, label in spans]
    path, losses = tmp_path / "a.spacy", ConversionLosses()
    spacy.tokens.DocBin(docs=[doc]).to_disk(path)
    assert read_from("spacy", path, losses=losses) == [
        Document("1", "😀 Ames Bo ", (mention(2, 6, "NAME"), mention(2, 9, "PAIR")))
    ]
    assert losses.lines() == [f"1 span without a label, left out (first: {path}: document 1)"]


@pytest.mark.usefixtures("spacy")
def test_mentions_within_words_come_back(tmp_path: Path) -> None:
    documents = [
        Document("a", "  Dr.Ames\t😀", (mention(5, 7, "A"), mention(7, 9, "B"))),
        Document("b", "Ames Bo", (mention(0, 7, "A"), mention(0, 4, "B"))),
    ]
    assert there_and_back("spacy", documents, tmp_path) == documents


@pytest.mark.usefixtures("spacy")
@pytest.mark.parametrize(("content", "message"), MALFORMED)
def test_malformed_input_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    check_refusal("spacy", content, message, tmp_path)


def test_a_missing_spacy_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    message = refusal(run("import", "spacy", tmp_path / "a.spacy", tmp_path / "pairs.csv"))
    assert message == (
        "this format needs spaCy, which is not installed. Install it: pip install 'annoseq[spacy]'."
    )

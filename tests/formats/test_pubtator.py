from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.errors import FormatError
from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.documents import Document
from tests.formats.documents import mention, read_from, there_and_back
from tests.formats.malformed import LATIN, NOT_UTF8, ZIP, check_refusal

if TYPE_CHECKING:
    from pathlib import Path


SAMPLE = """1|t|Naloxone 😀
1|a|In rats it helped.
1\t0\t8\tNaloxone\tChemical\tD009270
1\t14\t18\trats\tSpecies
1\tCID\tD009270\tD006973

2|t|Alone
"""
MALFORMED: list[tuple[bytes, str]] = [
    (b"1|t|Dr. X\n1\t4\t9\tX\tNAME\n", "line 2: found the offsets 4 to 9"),
    (b"1|t|Dr. X\n1\t4\t5\tY\tNAME\n", "line 2: the text at its offsets is not the text"),
    (b"1|t|Dr. X\n2\t4\t5\tX\tNAME\n", "line 2: this line does not belong to the document above"),
    (b"1|t|Dr. X\n1\t4\tx\tX\tNAME\n", "line 2: this is no annotation"),
    (b"1|t|Dr. X\n1 4 5 X NAME\n", "line 2: this line does not belong to the document above"),
    (b"1|a|Dr. X\n", "line 1: this document has no title"),
    (b"1|t|Dr. X\n1|a|a\n1|a|b\n", "line 3: this document has such a line already"),
    (b"1|t|a\n\n2|t|b\n\n1|t|c\n", "two documents have the id '1'"),
    (b"Dr. X\n", "line 1: this line does not belong"),
    (b"", "there is no line such as 1|t|Title in it"),
    (LATIN, NOT_UTF8),
    (b"1|t|a\0\n", "line 1: found a NUL character"),
    (ZIP, "this is a zip archive"),
]


def test_a_sample_is_read_to_exact_spans(tmp_path: Path) -> None:
    path, losses = tmp_path / "a.txt", ConversionLosses()
    path.write_text(SAMPLE)
    assert read_from("pubtator", path, losses=losses) == [
        Document(
            "1",
            "Naloxone 😀\nIn rats it helped.",
            (mention(0, 8, "Chemical"), mention(14, 18, "Species")),
        ),
        Document("2", "Alone"),
    ]
    assert [line.partition(" (")[0] for line in losses.lines()] == [
        "1 identifier of a concept, left out: only spans are read",
        "1 relation of PubTator, left out: only spans are read",
    ]


def test_a_title_and_an_abstract_come_back(tmp_path: Path) -> None:
    document = Document("1", "a\tb\n😀 c", (mention(0, 5, "X"), mention(4, 7, "two words")))
    assert there_and_back("pubtator", [document], tmp_path) == [document]
    assert (tmp_path / "corpus.txt").read_text().splitlines() == [
        "1|t|a\tb",
        "1|a|😀 c",
        "1\t0\t5\ta b 😀\tX",
        "1\t4\t7\t😀 c\ttwo words",
        "",
    ]


def test_further_line_ends_are_a_loss(tmp_path: Path) -> None:
    losses = ConversionLosses()
    documents = [Document("1", "a\nb\nc\nd")]
    assert there_and_back("pubtator", documents, tmp_path, losses=losses) == [
        Document("1", "a\nb c d")
    ]
    assert losses.lines() == ["2 line ends after the first of a text, written as spaces (first: 1)"]


def test_an_id_that_the_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="its id is empty, or has a vertical line, a tab"):
        there_and_back("pubtator", [Document("a|b", "x")], tmp_path)


@pytest.mark.parametrize("end", [b"", b"\r\n"])
def test_relations_of_five_columns_are_left_out_and_crlf_needs_no_end(
    end: bytes, tmp_path: Path
) -> None:
    path, losses = tmp_path / "a.txt", ConversionLosses()
    lines = b"1|t|Zinc.|1|a|Colds.|1\t6\t11\tColds\tX\tD2|1\tAssociation\t12\tD2\tNovel"
    lines = lines.replace(b".|1", b".\r\n1").replace(b"D2|1", b"D2\r\n1")
    path.write_bytes(lines + end)
    assert read_from("pubtator", path, losses=losses) == [
        Document("1", "Zinc.\nColds.", (mention(6, 11, "X"),))
    ]
    assert "1 relation of PubTator, left out: only spans are read" in losses.lines()[1]


@pytest.mark.parametrize(("content", "message"), MALFORMED)
def test_malformed_input_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    check_refusal("pubtator", content, message, tmp_path)

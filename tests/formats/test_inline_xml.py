from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.documents import Document
from tests.formats.documents import mention, read_from, there_and_back, write_files
from tests.formats.malformed import LATIN, MALFORMED_XML, TEXT, UTF16, Files, check_refusal

if TYPE_CHECKING:
    from pathlib import Path


SAMPLE = '<document>😀 <P><NAME TYPE="DOCTOR" id="1">Am</NAME>es</P> &amp; <X/>Bo</document>'
MALFORMED: list[tuple[Files, str]] = [
    ({"a.xml": f"<d>{TEXT}".encode()}, "line 1: this is not well-formed XML: no element found"),
    ({"a.xml": b"<d><A>x</B></d>"}, "this is not well-formed XML: mismatched tag, at character 9"),
    ({"a.xml": b"<d><A>x<B>y</A></B></d>"}, "this is not well-formed XML: mismatched tag"),
    ({"a.xml": b"<d>a & b</d>"}, "this is not well-formed XML: not well-formed (invalid token)"),
    ({"a.xml": b'<d xmlns:x="y"><x:A>b</x:A></d>'}, "found an element with a namespace"),
    *[
        ({"a.xml": b"<d>" + data + b"</d>"}, "not well-formed XML")
        for data in (LATIN, b"\0", UTF16)
    ],
    *MALFORMED_XML,
]


def test_a_sample_is_read_to_exact_spans(tmp_path: Path) -> None:
    losses = ConversionLosses()
    source = write_files(tmp_path, {"d.xml": SAMPLE.encode()})
    assert read_from("inline-xml", source, losses=losses) == [
        Document("d", "😀 Ames & Bo", (mention(2, 6, "P"), mention(2, 4, "NAME:DOCTOR")))
    ]
    assert [line.partition(" (")[0] for line in losses.lines()] == [
        "1 attribute other than the type, left out",
        "1 element around nothing, left out",
    ]


def test_special_characters_come_back(tmp_path: Path) -> None:
    document = Document("d", "a\r\n<b> & c", (mention(3, 6, "X:Y"), mention(4, 5, "Z")))
    assert there_and_back("inline-xml", [document], tmp_path) == [document]


def test_elements_may_be_nested_deeply(tmp_path: Path) -> None:
    content = "<d>" + "<A>x" * 2_000 + "</A>" * 2_000 + "</d>"
    (document,) = read_from("inline-xml", write_files(tmp_path, {"d.xml": content.encode()}))
    assert document.mentions == tuple(mention(at, 2_000, "A") for at in range(2_000))


@pytest.mark.parametrize(("content", "message"), MALFORMED)
def test_malformed_input_is_refused(content: Files, message: str, tmp_path: Path) -> None:
    check_refusal("inline-xml", content, message, tmp_path)

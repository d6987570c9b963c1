from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.documents import Document
from annoseq.formats.i2b2_xml import read
from tests.formats.documents import mention, read_from, there_and_back, write_files
from tests.formats.malformed import LATIN, MALFORMED_XML, TEXT, Files, check_refusal

if TYPE_CHECKING:
    from pathlib import Path


def xml(tags: str, text: str = TEXT) -> bytes:
    parts = f"<TEXT><![CDATA[{text}]]></TEXT><TAGS>{tags}</TAGS>"
    return f"<deIdi2b2>{parts}</deIdi2b2>".encode()


MALFORMED: list[tuple[Files, str]] = [
    ({"a.xml": xml("")[:-20]}, "a.xml: line 1: this is not well-formed XML: "),
    ({"a.xml": xml('<N start="0" end="99"/>')}, "a.xml: annotation 1: found the offsets 0 to 99"),
    ({"a.xml": xml('<N start="0" end="3" text="Dra"/>')}, "annotation 1: the text at its offsets"),
    ({"a.xml": xml('<N start="a" end="3"/>')}, "annotation 1: its attribute start is not a whole"),
    ({"a.xml": xml('<N start="3"/>')}, "annotation 1: its attribute end is not a whole number"),
    ({"a.xml": b"<a><TEXT/></a>"}, "found 0 elements TAGS directly in the outermost element"),
    ({"a.xml": b"<a><TEXT><b/></TEXT><TAGS/></a>"}, "TEXT holds elements where text was expected"),
    ({"a.xml": b"<a>" + LATIN + b"</a>"}, "line 1: this is not well-formed XML: not well-formed"),
    ({"a.xml": xml("", "a\0b")}, "line 1: this is not well-formed XML: "),
    *MALFORMED_XML,
]


def test_a_sample_is_read_to_exact_spans(tmp_path: Path) -> None:
    losses = ConversionLosses()
    tags = (
        '<NAME id="P0" start="6" end="10" text="Ames" TYPE="DOCTOR" comment="sure"/>'
        '<DATE id="P1" start="0" end="1" text="&#128512;" TYPE="DATE" comment=""/>'
    )
    source = write_files(tmp_path, {"d.xml": xml(tags, "😀 Dr. Ames")})
    assert read_from("i2b2", source, losses=losses) == [
        Document("d", "😀 Dr. Ames", (mention(6, 10, "NAME:DOCTOR"), mention(0, 1, "DATE")))
    ]
    place = f"{source / 'd.xml'}: annotation 1"
    assert losses.lines() == [f"1 comments on annotations, left out (first: {place})"]


def test_bytes_are_counted_if_asked(tmp_path: Path) -> None:
    source = write_files(tmp_path, {"d.xml": xml('<N start="5" end="9"/>', "😀 Ames")})
    (document,) = read(source, offset_unit="bytes", losses=ConversionLosses())
    assert document.mentions == (mention(2, 6, "N"),)


def test_special_characters_come_back(tmp_path: Path) -> None:
    document = Document("d", "a]]>b\r\nc & <d>\r", (mention(1, 6, "X:Y"),))
    assert there_and_back("i2b2", [document], tmp_path) == [document]


def test_the_outermost_element_tells_the_corpus(tmp_path: Path) -> None:
    document = Document("d", "a", (mention(0, 1, "X"),))
    for name, root in {"i2b2": "deIdi2b2", "meddocan": "MEDDOCAN"}.items():
        there_and_back(name, [document], tmp_path / name)  # type: ignore[arg-type]
        written = (tmp_path / name / "corpus" / "d.xml").read_text()
        assert written.endswith(f"</{root}>\n")


@pytest.mark.parametrize(("content", "message"), MALFORMED)
def test_malformed_input_is_refused(content: Files, message: str, tmp_path: Path) -> None:
    check_refusal("i2b2", content, message, tmp_path)

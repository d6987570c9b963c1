from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from annoseq.errors import FormatError
from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.documents import Document
from tests.formats.documents import OPTIONS, mention, read_from, there_and_back, write_files
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
    assert losses.lines() == [f"1 comment on annotations, left out (first: {place})"]


def test_bytes_are_counted_if_asked(tmp_path: Path) -> None:
    source = write_files(tmp_path, {"d.xml": xml('<N start="5" end="9"/>', "😀 Ames")})
    (document,) = read_from("i2b2", source, options=replace(OPTIONS, offset_unit="bytes"))
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


def test_the_corpus_of_2006_has_records_with_inline_annotations(tmp_path: Path) -> None:
    record = '<RECORD ID="7"><TEXT>Dr. <PHI TYPE="DOCTOR">Ames</PHI> &amp; Bo</TEXT></RECORD>'
    source = write_files(tmp_path, {"a.xml": f"<ROOT>{record}<RECORD/></ROOT>".encode()})
    with pytest.raises(FormatError, match="found 0 elements TEXT"):
        read_from("i2b2", source)
    content = f"<ROOT>{record}{record.replace(' ID=', ' id=')}</ROOT>"
    source = write_files(tmp_path, {"a.xml": content.encode()})
    mentions = (mention(4, 8, "DOCTOR"),)
    assert read_from("i2b2", source) == [
        Document("a/7", "Dr. Ames & Bo", mentions),
        Document("a/2", "Dr. Ames & Bo", mentions),
    ]


def test_tags_without_offsets_and_other_attributes_are_counted(tmp_path: Path) -> None:
    tags = '<CAD id="D" time="now"/><EVENT start="0" end="2" polarity="POS" type="TEST"/>'
    source, losses = write_files(tmp_path, {"d.xml": xml(tags)}), ConversionLosses()
    (document,) = read_from("i2b2", source, losses=losses)
    assert document.mentions == (mention(0, 2, "EVENT:TEST"),)
    assert [line.partition(" (")[0] for line in losses.lines()] == [
        "1 tag without offsets, left out: only spans are read",
        "1 attribute other than the type, left out",
    ]


@pytest.mark.parametrize("start", [5, 4])
def test_line_ends_may_be_counted_as_crlf(start: int, tmp_path: Path) -> None:
    tags = f'<N start="{start}" end="{start + 4}" text="Ames"/>'
    source = write_files(tmp_path, {"d.xml": xml(tags, "Hi.\r\nAmes")})
    (document,) = read_from("i2b2", source)
    assert document == Document("d", "Hi.\nAmes", (mention(4, 8, "N"),))


@pytest.mark.parametrize(("content", "message"), MALFORMED)
def test_malformed_input_is_refused(content: Files, message: str, tmp_path: Path) -> None:
    check_refusal("i2b2", content, message, tmp_path)

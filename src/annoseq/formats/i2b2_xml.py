"""The XML of i2b2 2014 and of MEDDOCAN: a text in `TEXT`, an element per annotation in `TAGS`.

    <NAME id="P0" start="17" end="21" text="Ames" TYPE="DOCTOR" comment=""/>

has the label NAME:DOCTOR. The corpus of 2006 has many records in a file, and its annotations around
the words: `<RECORD ID="1"><TEXT>Dr. <PHI TYPE="DOCTOR">Ames</PHI></TEXT></RECORD>`. Entities may
be escaped once more than XML asks, in the text or in the annotations: the reading that fits the
offsets is taken.
"""

from __future__ import annotations

import html
import re
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from annoseq.data.streams import document_path, find_files, write_text
from annoseq.errors import FormatError, count_noun
from annoseq.formats.capabilities import FormatCapabilities, drop_unsupported
from annoseq.formats.documents import Document
from annoseq.formats.inline_xml import (
    flatten,
    is_xml_label,
    is_xml_text,
    label_of,
    name_and_type,
    read_tree,
)
from annoseq.formats.offsets import RawSpan, resolve_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.conversion_options import ExportOptions, ImportOptions
    from annoseq.formats.documents import Mention
    from annoseq.formats.offsets import OffsetUnitOption

CAPABILITIES = FormatCapabilities(
    crossing=True, nested=True, supports_label=is_xml_label, supports_text=is_xml_text
)

_ATTRIBUTES = {"id", "start", "end", "text", "TYPE", "type", "comment"}
_NUMBER = re.compile(r"[0-9]{1,12}")
# XML readers turn a bare carriage return into a line feed, and CDATA has no escapes.
_CDATA_ESCAPES = {"]]>": "]]]]><![CDATA[>", "\r": "]]>&#13;<![CDATA["}


def read(source: Path, options: ImportOptions, losses: ConversionLosses) -> Iterator[Document]:
    """Read a folder of XML files and those below it, or one file.

    Raises:
        FormatError: a file is not well-formed, or lacks a part.
    """
    for name, path in find_files(source, ".xml").items():
        root = read_tree(path)
        if records := root.findall("RECORD"):
            for number, record in enumerate(records, 1):
                yield _read_record(record, number, path, name, losses)
        else:
            yield _read_document(root, path, name, options.offset_unit, losses)


def write(
    documents: Iterable[Document], folder: Path, _: ExportOptions, losses: ConversionLosses
) -> None:
    """Write a file for each document into a folder, as i2b2's script reads it."""
    _write(documents, folder, "deIdi2b2", losses)


def write_meddocan(
    documents: Iterable[Document], folder: Path, _: ExportOptions, losses: ConversionLosses
) -> None:
    """Write a file for each document into a folder, as MEDDOCAN's script reads it."""
    _write(documents, folder, "MEDDOCAN", losses)


def _write(
    documents: Iterable[Document], folder: Path, root: str, losses: ConversionLosses
) -> None:
    """Write files with `root` as their outermost element."""
    for document in drop_unsupported(documents, CAPABILITIES, losses):
        text = document.text
        for special, escaped in _CDATA_ESCAPES.items():
            text = text.replace(special, escaped)
        lines = [
            "<?xml version='1.0' encoding='UTF-8'?>",
            f"<{root}>",
            f"<TEXT><![CDATA[{text}]]></TEXT>",
            "<TAGS>",
            *(_element(m, number, document.text) for number, m in enumerate(document.mentions, 1)),
            "</TAGS>",
            f"</{root}>",
        ]
        write_text(document_path(folder, document.id, ".xml"), "\n".join(lines) + "\n")


def _read_document(
    root: Element, path: Path, name: str, offset_unit: OffsetUnitOption, losses: ConversionLosses
) -> Document:
    text_element, tags = _only_child(root, "TEXT", path), _only_child(root, "TAGS", path)
    if len(text_element):
        raise FormatError(
            f"{path}: TEXT holds elements where text was expected. Put the text in CDATA."
        )
    raw_spans = [
        _raw_span(tag, f"{path}: annotation {number}", losses)
        for number, tag in enumerate(tags, 1)
        if _has_offsets(tag, f"{path}: annotation {number}", losses)
    ]
    text = text_element.text or ""
    candidates = list(dict.fromkeys([text, html.unescape(text)]))
    text, mentions = resolve_spans(candidates, raw_spans, unit=offset_unit)
    return Document(name, text, mentions, str(path))


def _read_record(
    record: Element, number: int, path: Path, name: str, losses: ConversionLosses
) -> Document:
    """Read a record of 2006, whose annotations are elements PHI in its text."""
    place = f"{path}: record {number}"
    text, mentions = flatten(_only_child(record, "TEXT", path), path, losses)
    labels = (mention.label.removeprefix("PHI:") for mention in mentions)
    mentions = [
        replace(mention, label=label) for mention, label in zip(mentions, labels, strict=True)
    ]
    return Document(f"{name}/{record.get('ID') or number}", text, tuple(mentions), place)


def _has_offsets(tag: Element, place: str, losses: ConversionLosses) -> bool:
    """Tell annotations of a span from those of the whole document and from relations."""
    if tag.get("start") is None and tag.get("end") is None:
        losses.add("tag", "without offsets, left out: only spans are read", where=place)
        return False
    return True


def _only_child(root: Element, name: str, path: Path) -> Element:
    children = root.findall(name)
    if len(children) != 1:
        raise FormatError(
            f"{path}: found {count_noun(len(children), 'element')} {name} directly in the "
            "outermost element where one was expected. Give it one TEXT and one TAGS."
        )
    return children[0]


def _raw_span(tag: Element, place: str, losses: ConversionLosses) -> RawSpan:
    for attribute in ("start", "end"):
        if not _NUMBER.fullmatch(tag.get(attribute, "")):
            raise FormatError(
                f"{place}: its attribute {attribute} is not a whole number from 0. "
                "Give the offset in the text, counted in characters."
            )
    if tag.get("comment"):
        losses.add("comment", "on annotations, left out", where=place)
    if attributes := tag.attrib.keys() - _ATTRIBUTES:
        losses.add("attribute", "other than the type, left out", where=place, count=len(attributes))
    fragment = int(tag.attrib["start"]), int(tag.attrib["end"])
    return RawSpan((fragment,), label_of(tag), tag.get("text"), place)


def _element(mention: Mention, number: int, text: str) -> str:
    name, kind = name_and_type(mention.label)
    covered = quoteattr(text[mention.start : mention.end])
    return (
        f'<{name} id="T{number}" start="{mention.start}" end="{mention.end}" text={covered} '
        f'TYPE={quoteattr(kind)} comment=""/>'
    )

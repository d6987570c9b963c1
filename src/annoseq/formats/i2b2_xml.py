"""The XML of i2b2 2014 and of MEDDOCAN: a text in `TEXT`, an element per annotation in `TAGS`.

    <NAME id="P0" start="17" end="21" text="Ames" TYPE="DOCTOR" comment=""/>

has the label NAME:DOCTOR. Entities may be escaped once more than XML asks, in the text or in the
annotations: what fits the offsets is taken.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from annoseq.data.streams import file_for, files_of, write_text
from annoseq.errors import FormatError
from annoseq.formats.capabilities import Holds, holdable
from annoseq.formats.documents import Document
from annoseq.formats.offsets import Claim, locate
from annoseq.formats.xml_tree import is_xml_label, is_xml_text, label_of, name_and_type, read_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from annoseq.formats.capabilities import Losses
    from annoseq.formats.offsets import Offsets

HOLDS = Holds(crossing=True, nested=True, labels=is_xml_label, texts=is_xml_text)

_NUMBER = re.compile(r"[0-9]{1,12}")
# XML readers turn a bare carriage return into a line feed, and CDATA has no other way to write it.
_IN_CDATA = {"]]>": "]]]]><![CDATA[>", "\r": "]]>&#13;<![CDATA["}


def read(source: Path, *, offsets: Offsets, losses: Losses) -> Iterator[Document]:
    """Read a folder of XML files and those below it, or one file.

    Raises:
        FormatError: a file is not well-formed, or lacks a part.
    """
    for name, path in files_of(source, ".xml").items():
        yield _read_one(path, name, offsets, losses)


def write(documents: Iterable[Document], folder: Path, *, root: str, losses: Losses) -> None:
    """Write a file for each document into a folder, with `root` as its outermost element."""
    for document in holdable(documents, HOLDS, losses):
        text = document.text
        for special, written in _IN_CDATA.items():
            text = text.replace(special, written)
        lines = [
            "<?xml version='1.0' encoding='UTF-8'?>",
            f"<{root}>",
            f"<TEXT><![CDATA[{text}]]></TEXT>",
            "<TAGS>",
            *(_line(document, number) for number in range(len(document.mentions))),
            "</TAGS>",
            f"</{root}>",
        ]
        write_text(file_for(folder, document.id, ".xml"), "\n".join(lines) + "\n")


def _read_one(path: Path, name: str, offsets: Offsets, losses: Losses) -> Document:
    root = read_tree(path)
    holder, tags = _part(root, "TEXT", path), _part(root, "TAGS", path)
    if len(holder):
        raise FormatError(
            f"{path}: TEXT holds elements where text was expected. Put the text in CDATA."
        )
    claims = [_claim(tag, number, path, losses) for number, tag in enumerate(tags, 1)]
    text = holder.text or ""
    readings = list(dict.fromkeys([text, html.unescape(text)]))
    text, mentions = locate(readings, claims, offsets=offsets)
    return Document(name, text, mentions)


def _part(root: Element, name: str, path: Path) -> Element:
    found = root.findall(name)
    if len(found) != 1:
        raise FormatError(
            f"{path}: found {len(found)} elements {name} directly in the outermost element where "
            "one was expected. Give it one TEXT and one TAGS."
        )
    return found[0]


def _claim(tag: Element, number: int, path: Path, losses: Losses) -> Claim:
    place = f"{path}: annotation {number}"
    for attribute in ("start", "end"):
        if not _NUMBER.fullmatch(tag.get(attribute, "")):
            raise FormatError(
                f"{place}: its attribute {attribute} is not a whole number from 0. "
                "Give the place in the text, counted in characters."
            )
    if tag.get("comment"):
        losses.add("comments on annotations, left out", where=place)
    fragment = int(tag.attrib["start"]), int(tag.attrib["end"])
    return Claim((fragment,), label_of(tag), tag.get("text"), place)


def _line(document: Document, number: int) -> str:
    one = document.mentions[number]
    name, kind = name_and_type(one.label)
    covered = quoteattr(document.text[one.start : one.end])
    return (
        f'<{name} id="T{number + 1}" start="{one.start}" end="{one.end}" text={covered} '
        f'TYPE={quoteattr(kind)} comment=""/>'
    )

"""Inline XML: text with an element around each annotation, a file for each document.

    <document>Seen by Dr. <NAME TYPE="DOCTOR">Ames</NAME>.</document>

The outermost element is the document; all others are annotations, which may be nested.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from annoseq.data.streams import file_for, files_of, write_text
from annoseq.errors import FormatError
from annoseq.formats.capabilities import Holds, holdable
from annoseq.formats.documents import Document, Mention, mention
from annoseq.formats.xml_tree import is_xml_label, is_xml_text, label_of, name_and_type, read_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from annoseq.formats.capabilities import Losses

HOLDS = Holds(nested=True, labels=is_xml_label, texts=is_xml_text)

_ROOT = "document"


def read(source: Path, *, losses: Losses) -> Iterator[Document]:
    """Read a folder of XML files and those below it, or one file.

    Elements around nothing, and attributes that are no type, are counted.

    Raises:
        FormatError: a file is not well-formed.
    """
    for name, path in files_of(source, ".xml").items():
        text, mentions = _walked(read_tree(path), path, losses)
        yield Document(name, text, tuple(mentions))


def write(documents: Iterable[Document], folder: Path, *, losses: Losses) -> None:
    """Write a file for each document into a folder."""
    for document in holdable(documents, HOLDS, losses):
        body = "".join(_pieces(document))
        path = file_for(folder, document.id, ".xml")
        write_text(path, f"<?xml version='1.0' encoding='UTF-8'?>\n<{_ROOT}>{body}</{_ROOT}>\n")


def _walked(root: Element, path: Path, losses: Losses) -> tuple[str, list[Mention]]:
    """Collect the text and the annotations, however deep they are nested."""
    pieces: list[str] = [root.text or ""]
    length = len(pieces[0])
    found: list[Mention] = []
    # What is still to be read, the next last: an element to open, or one to close with its start
    # and its place among the mentions.
    waiting: list[tuple[Element, int | None, int]] = [(one, None, 0) for one in reversed(root)]
    while waiting:
        element, start, at = waiting.pop()
        if start is None:
            _check(element, path, losses)
            waiting.append((element, length, len(found)))
            waiting += [(one, None, 0) for one in reversed(element)]
            found.append(mention(length, length + 1, label_of(element)))  # its end is set below
            added = element.text or ""
        else:
            found[at] = mention(start, length, found[at].label)
            added = element.tail or ""
        pieces.append(added)
        length += len(added)
    kept = [one for one in found if one.start < one.end]
    if len(kept) < len(found):
        losses.add(
            "elements around nothing, left out", where=f"{path}", count=len(found) - len(kept)
        )
    return "".join(pieces), kept


def _check(element: Element, path: Path, losses: Losses) -> None:
    if element.tag.startswith("{"):
        raise FormatError(
            f"{path}: found an element with a namespace, which is no label. Remove the namespace."
        )
    if others := [name for name in element.attrib if name not in {"TYPE", "type"}]:
        losses.add("attributes that are no type, left out", where=f"{path}", count=len(others))


def _pieces(document: Document) -> Iterator[str]:
    """Write a text with an element for each mention; mentions are nested, in the text's order."""
    opened: list[Mention] = []
    cursor = 0
    for one in [*document.mentions, None]:
        while opened and (one is None or opened[-1].end <= one.start):
            inner = opened.pop()
            yield _escaped(document.text[cursor : inner.end])
            yield f"</{name_and_type(inner.label)[0]}>"
            cursor = inner.end
        if one is not None:
            name, kind = name_and_type(one.label)
            yield _escaped(document.text[cursor : one.start])
            yield f"<{name}>" if kind == name else f"<{name} TYPE={quoteattr(kind)}>"
            cursor = one.start
            opened.append(one)
    yield _escaped(document.text[cursor:])


def _escaped(text: str) -> str:
    # An XML reader would turn a carriage return into a line feed.
    return escape(text, {"\r": "&#13;"})

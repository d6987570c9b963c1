"""Inline XML: text with an element around each annotation, a file for each document.

    <document>Seen by Dr. <NAME TYPE="DOCTOR">Ames</NAME>.</document>

The outermost element is the document; all others are annotations, which may be nested.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from annoseq.data.markup import Span, insert_tags
from annoseq.data.streams import document_path, find_files, write_text
from annoseq.errors import FormatError
from annoseq.formats.capabilities import FormatCapabilities, drop_unsupported
from annoseq.formats.documents import Document, Mention
from annoseq.formats.xml_tree import is_xml_label, is_xml_text, label_of, name_and_type, read_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from annoseq.formats.capabilities import ConversionLosses

CAPABILITIES = FormatCapabilities(
    nested=True, supports_label=is_xml_label, supports_text=is_xml_text
)

_ROOT = "document"


def read(source: Path, *, losses: ConversionLosses) -> Iterator[Document]:
    """Read a folder of XML files and those below it, or one file.

    Empty elements, and attributes other than the type, are counted as losses.

    Raises:
        FormatError: a file is not well-formed.
    """
    for name, path in find_files(source, ".xml").items():
        text, mentions = flatten(read_tree(path), path, losses)
        yield Document(name, text, tuple(mentions), str(path))


def write(documents: Iterable[Document], folder: Path, *, losses: ConversionLosses) -> None:
    """Write a file for each document into a folder."""
    for document in drop_unsupported(documents, CAPABILITIES, losses):
        spans = [Span(m.start, m.end, m.label) for m in document.mentions]
        body = insert_tags(
            document.text,
            spans,
            open_tag=_open_tag,
            close_tag=_close_tag,
            escape_text=_escape_text,
        )
        path = document_path(folder, document.id, ".xml")
        write_text(path, f"<?xml version='1.0' encoding='UTF-8'?>\n<{_ROOT}>{body}</{_ROOT}>\n")


def flatten(root: Element, path: Path, losses: ConversionLosses) -> tuple[str, list[Mention]]:
    """Return the text and the mentions; iterative, because elements may be deeply nested."""
    pieces: list[str] = [root.text or ""]
    length = len(pieces[0])
    mentions: list[Mention] = []
    # A stack of elements to open, and of elements to close with their start and their index among
    # the mentions.
    stack: list[tuple[Element, int | None, int]] = [(child, None, 0) for child in reversed(root)]
    while stack:
        element, start, index = stack.pop()
        if start is None:
            _check_element(element, path, losses)
            stack.append((element, length, len(mentions)))
            stack += [(child, None, 0) for child in reversed(element)]
            # The end is set when the element is closed.
            mentions.append(Mention.contiguous(length, length, label_of(element)))
            text = element.text or ""
        else:
            mentions[index] = Mention.contiguous(start, length, mentions[index].label)
            text = element.tail or ""
        pieces.append(text)
        length += len(text)
    kept = [mention for mention in mentions if mention.start < mention.end]
    if len(kept) < len(mentions):
        losses.add(
            "elements around nothing, left out", where=f"{path}", count=len(mentions) - len(kept)
        )
    return "".join(pieces), kept


def _check_element(element: Element, path: Path, losses: ConversionLosses) -> None:
    if element.tag.startswith("{"):
        raise FormatError(
            f"{path}: found an element with a namespace, which is no label. Remove the namespace."
        )
    kind = next((name for name in ("TYPE", "type") if element.get(name)), None)
    if attributes := [name for name in element.attrib if name != kind]:
        losses.add("attributes that are no type, left out", where=f"{path}", count=len(attributes))


def _open_tag(label: str) -> str:
    name, kind = name_and_type(label)
    return f"<{name}>" if kind == name else f"<{name} TYPE={quoteattr(kind)}>"


def _close_tag(label: str) -> str:
    return f"</{name_and_type(label)[0]}>"


def _escape_text(text: str) -> str:
    # An XML reader would turn a carriage return into a line feed.
    return escape(text, {"\r": "&#13;"})

"""Inline XML: text with an element around each annotation, a file for each document.

    <document>Seen by Dr. <NAME TYPE="DOCTOR">Ames</NAME>.</document>

The outermost element is the document; all others are annotations, which may be nested.

The safe XML parser of all XML formats is here, too: defusedxml refuses entities of a document's
own (they can grow without bounds) and external references (they can read files and the network).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError
from xml.sax.saxutils import escape, quoteattr

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from annoseq.data.markup import Span, insert_tags
from annoseq.data.streams import document_path, find_files, read_bytes, write_text
from annoseq.errors import FormatError
from annoseq.formats.capabilities import FormatCapabilities, drop_unsupported
from annoseq.formats.documents import Document, Mention

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.conversion_options import ExportOptions, ImportOptions


_TEXT = re.compile(r"[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
_TYPES = ("TYPE", "type")


def read_tree(path: Path) -> Element:
    """Parse an XML file.

    Raises:
        FormatError: it cannot be read, is not well-formed, or brings entities of its own.
    """
    return parse_xml(read_bytes(path), str(path))


def parse_xml(data: bytes, place: str) -> Element:
    """Parse XML, whose `place` messages name.

    Raises:
        FormatError: it is not well-formed, or brings entities of its own.
    """
    try:
        root: Element = fromstring(data)
    except ParseError as error:
        line, column = error.position
        reason = str(error).partition(":")[0]
        raise FormatError(
            f"{place}: line {line}: this is not well-formed XML: {reason}, at character {column}. "
            "Correct the file; it may be cut off, of another encoding than it says, or not XML."
        ) from error
    except DefusedXmlException as error:
        raise FormatError(
            f"{place}: found an entity or an external reference in its document type, which could "
            "read other files or never end. Remove the document type, and resolve its entities."
        ) from error
    except (ValueError, LookupError) as error:
        raise FormatError(f"{place}: its encoding is not known. Save it as UTF-8.") from error
    return root


def is_xml_text(text: str) -> bool:
    """Return True if XML can hold a text: it cannot hold most control characters."""
    return _TEXT.fullmatch(text) is not None


def label_of(element: Element) -> str:
    """Return the label of an element: its name, and its type if that is another word."""
    kind = next((element.attrib[name] for name in _TYPES if element.get(name)), element.tag)
    return element.tag if kind == element.tag else f"{element.tag}:{kind}"


def name_and_type(label: str) -> tuple[str, str]:
    """Return the element's name and type for a label: the inverse of `label_of`."""
    name, colon, kind = label.partition(":")
    return name, kind if colon else name


def is_xml_label(label: str) -> bool:
    """Return True if a label can be an element's name, or a name and a type."""
    name, colon, kind = label.partition(":")
    return _is_name(name) and is_xml_text(label) and kind != name and bool(kind) == bool(colon)


@lru_cache(maxsize=1024)
def _is_name(text: str) -> bool:
    if not re.fullmatch(r"[\w.-]+", text):
        return False
    try:
        fromstring(f"<{text}/>")
    except ParseError:
        return False
    return True


CAPABILITIES = FormatCapabilities(
    nested=True, supports_label=is_xml_label, supports_text=is_xml_text
)

_ROOT = "document"


def read(source: Path, _: ImportOptions, losses: ConversionLosses) -> Iterator[Document]:
    """Read a folder of XML files and those below it, or one file.

    Empty elements, and attributes other than the type, are counted as losses.

    Raises:
        FormatError: a file is not well-formed.
    """
    for name, path in find_files(source, ".xml").items():
        text, mentions = flatten(read_tree(path), path, losses)
        yield Document(name, text, tuple(mentions), str(path))


def write(
    documents: Iterable[Document], folder: Path, _: ExportOptions, losses: ConversionLosses
) -> None:
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
            "element", "around nothing, left out", where=f"{path}", count=len(mentions) - len(kept)
        )
    return "".join(pieces), kept


def _check_element(element: Element, path: Path, losses: ConversionLosses) -> None:
    if element.tag.startswith("{"):
        raise FormatError(
            f"{path}: found an element with a namespace, which is no label. Remove the namespace."
        )
    kind = next((name for name in ("TYPE", "type") if element.get(name)), None)
    if attributes := [name for name in element.attrib if name != kind]:
        losses.add(
            "attribute", "other than the type, left out", where=f"{path}", count=len(attributes)
        )


def _open_tag(label: str) -> str:
    name, kind = name_and_type(label)
    return f"<{name}>" if kind == name else f"<{name} TYPE={quoteattr(kind)}>"


def _close_tag(label: str) -> str:
    return f"</{name_and_type(label)[0]}>"


def _escape_text(text: str) -> str:
    # An XML reader would turn a carriage return into a line feed.
    return escape(text, {"\r": "&#13;"})

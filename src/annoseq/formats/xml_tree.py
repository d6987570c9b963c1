"""Safe XML parsing, and labels and texts that XML can hold.

defusedxml refuses entities of a document's own (they can grow without bounds) and external
references (they can read files and the network).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from annoseq.data.streams import read_bytes
from annoseq.errors import FormatError

if TYPE_CHECKING:
    from pathlib import Path
    from xml.etree.ElementTree import Element

_TEXT = re.compile(r"[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
_TYPES = ("TYPE", "type")


def read_tree(path: Path) -> Element:
    """Parse an XML file.

    Raises:
        FormatError: it cannot be read, is not well-formed, or brings entities of its own.
    """
    data = read_bytes(path)
    try:
        root: Element = fromstring(data)
    except ParseError as error:
        line, column = error.position
        reason = str(error).partition(":")[0]
        raise FormatError(
            f"{path}: line {line}: this is not well-formed XML: {reason}, at character {column}. "
            "Correct the file; it may be cut off, of another encoding than it says, or not XML."
        ) from error
    except DefusedXmlException as error:
        raise FormatError(
            f"{path}: found an entity or an external reference in its document type, which could "
            "read other files or never end. Remove the document type, and resolve its entities."
        ) from error
    except (ValueError, LookupError) as error:
        raise FormatError(f"{path}: its encoding is not known. Save it as UTF-8.") from error
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

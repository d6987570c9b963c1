r"""PubTator: titles, abstracts and annotations of many documents in one file.

    1|t|Naloxone reverses hypertension
    1|a|In rats ...
    1<tab>0<tab>8<tab>Naloxone<tab>Chemical<tab>D009270

The text of a document is its title, a line end and its abstract: that is how the offsets count.
Relations, of four columns or more, are counted as losses, because a span cannot hold them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from annoseq.data.streams import read_lines
from annoseq.errors import FormatError
from annoseq.formats.capabilities import FormatCapabilities, drop_unsupported
from annoseq.formats.documents import Document
from annoseq.formats.offsets import RawSpan, resolve_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.conversion_options import ExportOptions, ImportOptions

_TITLE_OR_ABSTRACT = re.compile(r"([^|\t]+)\|([ta])\|(.*)", re.S)
_NUMBER = re.compile(r"[0-9]{1,12}")
_ID = re.compile(r"[^|\t\n\r\x00]+")
_COLUMNS = 5  # of an annotation: the identifier, a sixth, may be missing


@dataclass
class _PubtatorDocument:
    """A document while its lines are read."""

    id: str
    place: str
    title: str | None = None
    abstract: str | None = None
    raw_spans: list[RawSpan] = field(default_factory=list)


def _supports_label(label: str) -> bool:
    return bool(label.strip()) and not set("\t\n\r\0") & set(label)


def _supports_text(text: str) -> bool:
    return text.count("\n") <= 1 and "\x00" not in text


CAPABILITIES = FormatCapabilities(
    crossing=True, nested=True, supports_label=_supports_label, supports_text=_supports_text
)


def read(path: Path, options: ImportOptions, losses: ConversionLosses) -> Iterator[Document]:
    """Read a file of documents.

    Raises:
        FormatError: a line is not valid, or belongs to no document.
    """
    documents: list[_PubtatorDocument] = []
    for number, line in enumerate(read_lines(path), 1):
        place = f"{path}: line {number}"
        if match := _TITLE_OR_ABSTRACT.fullmatch(line):
            _add_text(match, documents, place)
        elif line.strip():
            _add_annotation(line.split("\t"), documents, place, losses)
    if not documents:
        raise FormatError(f"{path}: there is no line such as 1|t|Title in it. Name another file.")
    for document in documents:
        if document.title is None:
            raise FormatError(f"{document.place}: this document has no title. Add a line with |t|.")
        text = document.title
        if document.abstract is not None:
            text = f"{text}\n{document.abstract}"
        _, mentions = resolve_spans([text], document.raw_spans, unit=options.offset_unit)
        yield Document(document.id, text, mentions, document.place)


def write(
    documents: Iterable[Document], path: Path, _: ExportOptions, losses: ConversionLosses
) -> None:
    """Write one file. A text of one line is a title; line ends after the first are a loss.

    Raises:
        FormatError: a document's id cannot stand in this format.
    """
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for document in drop_unsupported(_join_lines(documents, losses), CAPABILITIES, losses):
            name, text = document.id, document.text
            if not _ID.fullmatch(name):
                raise FormatError(
                    f"{document.place or 'a document'}: its id is empty, or has a vertical line, a "
                    "tab or a line end, which PubTator cannot hold. Use letters and digits."
                )
            title, line_end, abstract = text.partition("\n")
            stream.write(f"{name}|t|{title}\n")
            stream.write(f"{name}|a|{abstract}\n" if line_end else "")
            for mention in document.mentions:
                start, end, label = mention.start, mention.end, mention.label
                covered = re.sub(r"[\t\n\r]", " ", text[start:end])
                stream.write(f"{name}\t{start}\t{end}\t{covered}\t{label}\n")
            stream.write("\n")


def _add_text(match: re.Match[str], documents: list[_PubtatorDocument], place: str) -> None:
    name, kind, text = match.groups()
    is_second_title = kind == "t" and documents and documents[-1].title is not None
    if not documents or documents[-1].id != name or is_second_title:
        documents.append(_PubtatorDocument(name, place))
    document = documents[-1]
    if document.raw_spans or (document.abstract if kind == "a" else document.title) is not None:
        raise FormatError(
            f"{place}: this document has such a line already, or annotations above it. "
            "Write one title, one abstract, then the annotations."
        )
    if kind == "t":
        document.title = text
    else:
        document.abstract = text


def _add_annotation(
    fields: list[str], documents: list[_PubtatorDocument], place: str, losses: ConversionLosses
) -> None:
    if not documents or fields[0] != documents[-1].id:
        raise FormatError(
            f"{place}: this line does not belong to the document above it. "
            "Begin it with that document's id, and put the title first."
        )
    # Of four columns, or of five or more with a type and two identifiers where numbers and a text
    # would be: `1<tab>Association<tab>D1<tab>D2<tab>Novel` of BioRED.
    is_relation = len(fields) >= _COLUMNS - 1 and fields[1][:1].isalpha()
    if is_relation:
        losses.add("relation", "of PubTator, left out: only spans are read", where=place)
        return
    if len(fields) < _COLUMNS or not all(map(_NUMBER.fullmatch, fields[1:3])) or not fields[4]:
        raise FormatError(
            f"{place}: this is no annotation. Write the id, start, end, text and label of one, "
            "separated by tabs."
        )
    fragment = int(fields[1]), int(fields[2])
    documents[-1].raw_spans.append(RawSpan((fragment,), fields[4], fields[3], place))
    if any(fields[_COLUMNS:]):
        losses.add("identifier", "of a concept, left out: only spans are read", where=place)


def _join_lines(documents: Iterable[Document], losses: ConversionLosses) -> Iterator[Document]:
    for document in documents:
        title, line_end, abstract = document.text.partition("\n")
        if line_ends := abstract.count("\n"):
            losses.add(
                "line end",
                "after the first of a text, written as spaces",
                where=document.name,
                count=line_ends,
            )
        yield replace(document, text=title + line_end + abstract.replace("\n", " "))

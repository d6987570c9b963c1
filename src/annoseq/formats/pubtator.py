r"""PubTator: titles, abstracts and annotations of many documents in one file.

    1|t|Naloxone reverses hypertension
    1|a|In rats ...
    1<tab>0<tab>8<tab>Naloxone<tab>Chemical<tab>D009270

The text of a document is its title, a line end and its abstract: that is how the offsets count.
Relations are counted, for a span cannot hold them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from annoseq.data.streams import read_lines
from annoseq.errors import FormatError
from annoseq.formats.capabilities import Holds, holdable
from annoseq.formats.documents import Document
from annoseq.formats.offsets import Claim, locate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from annoseq.formats.capabilities import Losses
    from annoseq.formats.offsets import Offsets

_PART = re.compile(r"([^|\t]+)\|([ta])\|(.*)", re.S)
_NUMBER = re.compile(r"[0-9]{1,12}")
_ID = re.compile(r"[^|\t\n\r\x00]+")
_COLUMNS = 5  # of an annotation: the identifier, a sixth, may be missing


@dataclass
class _Draft:
    id: str
    place: str
    title: str | None = None
    abstract: str | None = None
    claims: list[Claim] = field(default_factory=list)


def _holds_label(label: str) -> bool:
    return bool(label.strip()) and not set("\t\n\r\0") & set(label)


def _holds_text(text: str) -> bool:
    return text.count("\n") <= 1 and "\x00" not in text


HOLDS = Holds(crossing=True, nested=True, labels=_holds_label, texts=_holds_text)


def read(path: Path, *, offsets: Offsets, losses: Losses) -> Iterator[Document]:
    """Read a file.

    Raises:
        FormatError: a line is of no known form, or speaks of a document that is not there.
    """
    drafts: list[_Draft] = []
    for number, line in enumerate(read_lines(path), 1):
        place = f"{path}: line {number}"
        if part := _PART.fullmatch(line):
            _take_part(part, drafts, place)
        elif line.strip():
            _take_annotation(line.split("\t"), drafts, place, losses)
    if not drafts:
        raise FormatError(f"{path}: there is no line such as 1|t|Title in it. Name another file.")
    for draft in drafts:
        if draft.title is None:
            raise FormatError(f"{draft.place}: this document has no title. Add a line with |t|.")
        text = draft.title if draft.abstract is None else f"{draft.title}\n{draft.abstract}"
        _, mentions = locate([text], draft.claims, offsets=offsets)
        yield Document(draft.id, text, mentions)


def write(documents: Iterable[Document], path: Path, *, losses: Losses) -> None:
    """Write one file. A text of one line is a title; more line ends than one are a loss.

    Raises:
        FormatError: a document's id cannot stand in this format.
    """
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for document in holdable(_on_two_lines(documents, losses), HOLDS, losses):
            name, text = document.id, document.text
            if not _ID.fullmatch(name):
                raise FormatError(
                    f"a document has the id {name[:80]!r}, which PubTator cannot hold. "
                    "Use letters and digits."
                )
            title, line_end, abstract = text.partition("\n")
            stream.write(f"{name}|t|{title}\n")
            stream.write(f"{name}|a|{abstract}\n" if line_end else "")
            for one in document.mentions:
                covered = re.sub(r"[\t\n\r]", " ", text[one.start : one.end])
                stream.write(f"{name}\t{one.start}\t{one.end}\t{covered}\t{one.label}\n")
            stream.write("\n")


def _take_part(part: re.Match[str], drafts: list[_Draft], place: str) -> None:
    name, kind, text = part.groups()
    if not drafts or drafts[-1].id != name or (kind == "t" and drafts[-1].title is not None):
        drafts.append(_Draft(name, place))
    draft = drafts[-1]
    if draft.claims or (draft.abstract if kind == "a" else draft.title) is not None:
        raise FormatError(
            f"{place}: this document has such a line already, or annotations above it. "
            "Write one title, one abstract, then the annotations."
        )
    if kind == "t":
        draft.title = text
    else:
        draft.abstract = text


def _take_annotation(fields: list[str], drafts: list[_Draft], place: str, losses: Losses) -> None:
    if not drafts or fields[0] != drafts[-1].id:
        raise FormatError(
            f"{place}: this line does not belong to the document above it. "
            "Begin it with that document's id, and put the title first."
        )
    is_relation = len(fields) == _COLUMNS - 1 and not _NUMBER.fullmatch(fields[1])
    if is_relation:
        losses.add("relations of PubTator, left out: only spans are read", where=place)
        return
    if len(fields) < _COLUMNS or not all(map(_NUMBER.fullmatch, fields[1:3])) or not fields[4]:
        raise FormatError(
            f"{place}: this is no annotation. Write the id, start, end, text and label of one, "
            "parted by tabs."
        )
    fragment = int(fields[1]), int(fields[2])
    drafts[-1].claims.append(Claim((fragment,), fields[4], fields[3], place))
    if any(fields[_COLUMNS:]):
        losses.add("identifiers of concepts, left out: only spans are read", where=place)


def _on_two_lines(documents: Iterable[Document], losses: Losses) -> Iterator[Document]:
    for document in documents:
        title, line_end, abstract = document.text.partition("\n")
        if more := abstract.count("\n"):
            losses.add(
                "line ends after the first of a text, written as spaces",
                where=document.id,
                count=more,
            )
        yield replace(document, text=title + line_end + abstract.replace("\n", " "))

"""brat standoff: a folder with a text (`.txt`) and its annotations (`.ann`) for each document.

Lines that begin with T are read: `T1<tab>LABEL 0 5;10 12<tab>covered text`. Relations, events,
attributes, normalizations and notes are checked for their form and counted, for a span cannot
hold them. Format: https://brat.nlplab.org/standoff.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from annoseq.data.streams import file_for, files_of, read_lines, read_text, write_text
from annoseq.errors import FormatError
from annoseq.formats.capabilities import Holds, holdable, one_word, without_nul
from annoseq.formats.documents import Document
from annoseq.formats.offsets import Claim, locate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from annoseq.formats.capabilities import Losses
    from annoseq.formats.documents import Mention
    from annoseq.formats.offsets import Offsets

HOLDS = Holds(discontinuous=True, crossing=True, nested=True, labels=one_word, texts=without_nul)

_ENTITY = re.compile(r"(T\d+)\t(\S+) (\d{1,12} \d{1,12}(?:;\d{1,12} \d{1,12})*)(?:\t(.*))?", re.S)
_OTHER = re.compile(r"(\*|[ERAMN#]\S*)\t(\S.*)", re.S)
_KINDS = {
    "*": "equivalences",
    "E": "events",
    "R": "relations",
    "A": "attributes",
    "M": "attributes",
    "N": "normalizations",
    "#": "notes",
}
_REFERENCE = re.compile(r"(?<=[ :])T\d+(?!\S)")


def read(folder: Path, *, offsets: Offsets, losses: Losses) -> Iterator[Document]:
    """Read a folder, and those below it.

    Raises:
        FormatError: a file is not well-formed, or is there without the other.
    """
    texts = files_of(folder, ".txt")
    for path in files_of(folder, ".ann").values() if folder.is_dir() else ():
        if not path.with_suffix(".txt").is_file():
            raise FormatError(
                f"{path}: there is no {path.with_suffix('.txt').name} beside it. Add the text."
            )
    for name, path in texts.items():
        yield _read_one(path, name, offsets, losses)


def write(documents: Iterable[Document], folder: Path, *, losses: Losses) -> None:
    """Write two files for each document into a folder."""
    for document in holdable(documents, HOLDS, losses):
        write_text(file_for(folder, document.id, ".txt"), document.text)
        lines = [
            f"T{number}\t{one.label} {_places(one)}\t{_covered(document.text, one)}\n"
            for number, one in enumerate(document.mentions, 1)
        ]
        write_text(file_for(folder, document.id, ".ann"), "".join(lines))


def _read_one(path: Path, name: str, offsets: Offsets, losses: Losses) -> Document:
    text = read_text(path, keep_mark=True)
    beside = path.with_suffix(".ann")
    if beside == path or not beside.is_file():
        raise FormatError(
            f"{path}: there is no {beside.name} beside it. "
            "Add its annotations; an empty file says that there are none."
        )
    claims: dict[str, Claim] = {}
    references: list[tuple[str, str]] = []
    for number, line in enumerate(read_lines(beside), 1):
        place = f"{beside}: line {number}"
        if found := _ENTITY.fullmatch(line):
            if found[1] in claims:
                raise FormatError(f"{place}: {found[1]} is there twice. Give each its own number.")
            claims[found[1]] = Claim(_fragments(found[3]), found[2], found[4], place)
        elif found := _OTHER.fullmatch(line):
            kind = _KINDS[found[1][0]]
            references += [(reference, place) for reference in _REFERENCE.findall(line)]
            losses.add(f"{kind} of brat were left out: only spans are read", where=place)
        elif line.strip():
            raise FormatError(
                f"{place}: this is no annotation of brat. Write T1, a tab, the label, a space and "
                "two offsets, a tab, and the text between them."
            )
    for reference, place in references:
        if reference not in claims:
            raise FormatError(f"{place}: it speaks of {reference}, which is not there. Add it.")
    # Some tools count a byte order mark as a character, and some do not.
    readings = list(dict.fromkeys([text, text.removeprefix("\ufeff")]))
    text, mentions = locate(readings, list(claims.values()), offsets=offsets)
    return Document(name, text, mentions)


def _fragments(places: str) -> tuple[tuple[int, int], ...]:
    pairs = (place.split() for place in places.split(";"))
    return tuple((int(start), int(end)) for start, end in pairs)


def _places(one: Mention) -> str:
    return ";".join(f"{start} {end}" for start, end in one.fragments)


def _covered(text: str, one: Mention) -> str:
    """Return the covered text on one line, as brat has it."""
    joined = " ".join(text[start:end] for start, end in one.fragments)
    return "".join(" " if c in "\t\n\r" else c for c in joined)

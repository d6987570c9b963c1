"""brat standoff: a folder with a text (`.txt`) and its annotations (`.ann`) for each document.

Text-bound annotations are read: `T1<tab>LABEL 0 5;10 12<tab>covered text`. Relations, events,
attributes, normalizations and notes are checked for their form and counted as losses, because a
span cannot hold them. Format: https://brat.nlplab.org/standoff.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from annoseq.data.streams import file_for, files_of, read_lines, read_text, write_text
from annoseq.errors import FormatError
from annoseq.formats.capabilities import (
    FormatCapabilities,
    drop_unsupported,
    has_no_nul,
    is_single_word,
)
from annoseq.formats.documents import Document
from annoseq.formats.offsets import RawSpan, resolve_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.documents import Mention
    from annoseq.formats.offsets import OffsetUnitOption

CAPABILITIES = FormatCapabilities(
    discontinuous=True,
    crossing=True,
    nested=True,
    supports_label=is_single_word,
    supports_text=has_no_nul,
)

_ENTITY = re.compile(r"(T\d+)\t(\S+) (\d{1,12} \d{1,12}(?:;\d{1,12} \d{1,12})*)(?:\t(.*))?", re.S)
_OTHER_ANNOTATION = re.compile(r"(\*|[ERAMN#]\S*)\t(\S.*)", re.S)
_ANNOTATION_KINDS = {
    "*": "equivalences",
    "E": "events",
    "R": "relations",
    "A": "attributes",
    "M": "attributes",
    "N": "normalizations",
    "#": "notes",
}
_LINE_BREAK = re.compile(r"[\t\n\r]")
_REFERENCE = re.compile(r"(?<=[ :])T\d+(?!\S)")


def read(
    folder: Path, *, offset_unit: OffsetUnitOption, losses: ConversionLosses
) -> Iterator[Document]:
    """Read a folder, and those below it.

    Raises:
        FormatError: a file is not well-formed, or one of the two files is missing.
    """
    texts = files_of(folder, ".txt")
    for path in files_of(folder, ".ann").values() if folder.is_dir() else ():
        if not path.with_suffix(".txt").is_file():
            raise FormatError(
                f"{path}: there is no {path.with_suffix('.txt').name} beside it. Add the text."
            )
    for name, path in texts.items():
        yield _read_document(path, name, offset_unit, losses)


def write(documents: Iterable[Document], folder: Path, *, losses: ConversionLosses) -> None:
    """Write two files for each document into a folder."""
    for document in drop_unsupported(documents, CAPABILITIES, losses):
        write_text(file_for(folder, document.id, ".txt"), document.text)
        lines = [
            f"T{number}\t{mention.label} {_offsets(mention)}\t{_covered(document.text, mention)}\n"
            for number, mention in enumerate(document.mentions, 1)
        ]
        write_text(file_for(folder, document.id, ".ann"), "".join(lines))


def _read_document(
    path: Path, name: str, offset_unit: OffsetUnitOption, losses: ConversionLosses
) -> Document:
    text = read_text(path, keep_mark=True)
    annotations = path.with_suffix(".ann")
    if annotations == path or not annotations.is_file():
        raise FormatError(
            f"{path}: there is no {annotations.name} beside it. "
            "Add its annotations; an empty file says that there are none."
        )
    raw_spans = _read_annotations(annotations, losses)
    # Some tools count a byte order mark as a character, and some do not.
    candidates = list(dict.fromkeys([text, text.removeprefix("\ufeff")]))
    text, mentions = resolve_spans(candidates, raw_spans, unit=offset_unit)
    return Document(name, text, mentions)


def _read_annotations(path: Path, losses: ConversionLosses) -> list[RawSpan]:
    raw_spans: dict[str, RawSpan] = {}
    references: list[tuple[str, str]] = []  # id and place
    for number, line in enumerate(read_lines(path), 1):
        place = f"{path}: line {number}"
        if match := _ENTITY.fullmatch(line):
            name, label, offsets, covered = match.groups()
            if name in raw_spans:
                raise FormatError(f"{place}: {name} is there twice. Give each its own number.")
            raw_spans[name] = RawSpan(_fragments(offsets), label, covered, place)
        elif match := _OTHER_ANNOTATION.fullmatch(line):
            kind = _ANNOTATION_KINDS[match[1][0]]
            references += [(reference, place) for reference in _REFERENCE.findall(line)]
            losses.add(f"{kind} of brat were left out: only spans are read", where=place)
        elif line.strip():
            raise FormatError(
                f"{place}: this is no annotation of brat. Write T1, a tab, the label, a space and "
                "two offsets, a tab, and the text between them."
            )
    for reference, place in references:
        if reference not in raw_spans:
            raise FormatError(f"{place}: it refers to {reference}, which is missing. Add it.")
    return list(raw_spans.values())


def _fragments(offsets: str) -> tuple[tuple[int, int], ...]:
    pairs = (fragment.split() for fragment in offsets.split(";"))
    return tuple((int(start), int(end)) for start, end in pairs)


def _offsets(mention: Mention) -> str:
    return ";".join(f"{start} {end}" for start, end in mention.fragments)


def _covered(text: str, mention: Mention) -> str:
    """Return the covered text on one line, as brat writes it."""
    joined = " ".join(text[start:end] for start, end in mention.fragments)
    return _LINE_BREAK.sub(" ", joined)

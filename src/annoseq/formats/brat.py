"""brat standoff: a folder with a text (`.txt`) and its annotations (`.ann`) for each document.

Text-bound annotations are read: `T1<tab>LABEL 0 5;10 12<tab>covered text`. Relations, events,
attributes, normalizations and notes are checked for their form and counted as losses, because a
span cannot hold them. Format: https://brat.nlplab.org/standoff.html
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from annoseq.data.streams import document_path, find_files, read_lines, read_text, write_text
from annoseq.errors import FormatError
from annoseq.formats.capabilities import (
    FormatCapabilities,
    drop_unsupported,
    has_no_nul,
    is_single_word,
)
from annoseq.formats.documents import Document
from annoseq.formats.offsets import OffsetMapper, RawSpan, resolve_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.conversion_options import ExportOptions, ImportOptions
    from annoseq.formats.documents import Fragment, Mention
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
    "*": "equivalence",
    "E": "event",
    "R": "relation",
    "A": "attribute",
    "M": "attribute",
    "N": "normalization",
    "#": "note",
}
# brat reads lines of annotations at whatever ends a line in Unicode, and columns at tabs.
_LINE_END = re.compile(r"\s*[\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*")
_REFERENCE = re.compile(r"(?<=[ :])T\d+(?!\S)")


def read(folder: Path, options: ImportOptions, losses: ConversionLosses) -> Iterator[Document]:
    """Read a folder, and those below it.

    Raises:
        FormatError: a file is not well-formed, or one of the two files is missing.
    """
    texts = find_files(folder, ".txt")
    for path in find_files(folder, ".ann").values() if folder.is_dir() else ():
        if not path.with_suffix(".txt").is_file():
            raise FormatError(
                f"{path}: there is no {path.with_suffix('.txt').name} beside it. Add the text."
            )
    for name, path in texts.items():
        yield _read_document(path, name, options.offset_unit, losses)


def write(
    documents: Iterable[Document], folder: Path, _: ExportOptions, losses: ConversionLosses
) -> None:
    """Write two files for each document into a folder, and the labels as `annotation.conf`.

    A mention over a line end or a tab is written as fragments beside it, which is how brat does it.
    Offsets count CR LF as one character, because brat opens texts with universal newlines.
    """
    labels: set[str] = set()
    for document in drop_unsupported(documents, CAPABILITIES, losses):
        text = document.text
        write_text(document_path(folder, document.id, ".txt"), text)
        mapper = OffsetMapper(text, "characters", "universal")
        lines: list[str] = []
        for mention in document.mentions:
            if fragments := _split_at_line_ends(mention, document, losses):
                offsets = ";".join(
                    f"{mapper.to_offset(start)} {mapper.to_offset(end)}" for start, end in fragments
                )
                covered = " ".join(text[start:end] for start, end in fragments)
                lines.append(f"T{len(lines) + 1}\t{mention.label} {offsets}\t{covered}\n")
                labels.add(mention.label)
        write_text(document_path(folder, document.id, ".ann"), "".join(lines))
    entities = "".join(f"{label}\n" for label in sorted(labels))
    write_text(folder / "annotation.conf", _CONFIG.format(entities=entities))


_CONFIG = """[entities]
{entities}
[relations]
<OVERLAP>\tArg1:<ENTITY>, Arg2:<ENTITY>, <OVL-TYPE>:<ANY>

[events]

[attributes]
"""


def _read_document(
    path: Path, name: str, offset_unit: OffsetUnitOption, losses: ConversionLosses
) -> Document:
    text = read_text(path, keep_bom=True)
    annotations = path.with_suffix(".ann")
    if annotations == path or not annotations.is_file():
        raise FormatError(
            f"{path}: there is no {annotations.name} beside it. "
            "Add its annotations; an empty file says that there are none."
        )
    raw_spans = _read_annotations(annotations, losses)
    # Some tools count a byte order mark as a character, and some do not.
    candidates = list(dict.fromkeys([text, text.removeprefix("\ufeff")]))
    text, mentions = resolve_spans(
        candidates, raw_spans, unit=offset_unit, newlines=("universal", "as written", "crlf")
    )
    joined = tuple(_join_at_line_ends(mention, text) for mention in mentions)
    return Document(name, text, joined, str(path))


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
            losses.add(kind, "of brat, left out: only spans are read", where=place)
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


def _split_at_line_ends(
    mention: Mention, document: Document, losses: ConversionLosses
) -> list[Fragment]:
    """Return the fragments of a mention, cut at line ends and tabs and the white space there."""
    text = document.text
    loss: tuple[str, str] | None = None
    fragments: list[Fragment] = []
    for start, end in mention.fragments:
        pieces: list[Fragment] = []
        at = start
        for match in [*_LINE_END.finditer(text, start, end), None]:
            piece = (at, match.start() if match else end)
            if piece[0] < piece[1]:
                pieces.append(piece)
            at = match.end() if match else end
        if not pieces or (pieces[0][0], pieces[-1][1]) != (start, end):
            loss = "line end", "at the edge of an annotation, left out"
        elif fragments and _LINE_END.fullmatch(text, fragments[-1][1], start):
            loss = "discontinuous annotation", "with only a line end in between, joined"
        fragments += pieces
    if loss:
        losses.add(*loss, where=f"{document.name}: {mention.location()}")
    return fragments


def _join_at_line_ends(mention: Mention, text: str) -> Mention:
    """Join fragments that have only a line end or a tab in between."""
    fragments = list(mention.fragments[:1])
    for start, end in mention.fragments[1:]:
        if _LINE_END.fullmatch(text, fragments[-1][1], start):
            fragments[-1] = (fragments[-1][0], end)
        else:
            fragments.append((start, end))
    return replace(mention, fragments=tuple(fragments))

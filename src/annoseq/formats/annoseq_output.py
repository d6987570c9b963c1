"""What is exported: what `annoseq annotate` writes, or a table of pairs, to documents."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from annoseq.config import DOCUMENT_COLUMN, OFFSET_COLUMN, SOURCE_COLUMN, TARGET_COLUMN
from annoseq.data.pairs import align_pairs, read_pairs
from annoseq.data.tables import read_rows, table_format
from annoseq.formats.documents import from_span
from annoseq.formats.from_rows import Piece, rejoin
from annoseq.formats.json_values import (
    Json,
    a_label,
    a_list,
    a_place,
    a_score,
    a_text,
    a_whole_number,
    an_id,
    an_object,
    entry,
    json_lines,
    parsed,
)
from annoseq.formats.offsets import Claim, locate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from annoseq.formats.capabilities import Losses
    from annoseq.formats.documents import Document

_FIELDS = ("id", "text", "spans")


def read_documents(
    path: Path,
    *,
    losses: Losses,
    notes: Losses,
    source: str = SOURCE_COLUMN,
    target: str = TARGET_COLUMN,
) -> Iterator[Document]:
    """Read annotations, or else pairs, whose columns are `source` and `target`.

    Outputs that are not their text plus tags are `losses`. The rows of a document become one text
    again, in the order of their `start`; what stood between them is not in the table, so that line
    ends are put there, which `notes` counts.

    Raises:
        TableError: the table cannot be read.
        PairsError: a pair's annotated text is not its original plus tags.
        FormatError: annotations do not fit their text, or rows of a document overlap.
    """
    records = _annotation_records(path)
    if records is None:
        pieces = _from_pairs(path, source, target)
    else:
        pieces = _from_records(records, losses)
    yield from rejoin(pieces, notes=notes)


def read_output(path: Path, *, losses: Losses, notes: Losses) -> Iterator[Document]:
    """Read JSONL of `annoseq annotate`, whatever the file is called, as `read_documents` does.

    Raises:
        FormatError: as `read_documents`.
    """
    return rejoin(_from_records(json_lines(path), losses), notes=notes)


def _from_records(records: Iterator[tuple[str, Json]], losses: Losses) -> Iterator[Piece]:
    for place, record in records:
        found = _from_record(an_object(record, place), place)
        if found is None:
            losses.add("outputs that are not their text plus tags, left out", where=place)
        else:
            yield found


def _annotation_records(path: Path) -> Iterator[tuple[str, Json]] | None:
    """Return the records of an output of `annoseq annotate`, or None if `path` is none."""
    if table_format(path) == "jsonl":
        _, first = next(json_lines(path))
        is_output = isinstance(first, dict) and "spans" in first and "text" in first
        return json_lines(path) if is_output else None
    first_row = next(read_rows(path, columns=(), optional=_FIELDS))
    return _csv_records(path) if first_row.values.keys() >= {"text", "spans"} else None


def _csv_records(path: Path) -> Iterator[tuple[str, Json]]:
    for row in read_rows(
        path, columns=("text", "spans"), optional=("id", DOCUMENT_COLUMN, OFFSET_COLUMN)
    ):
        place = f"{path}: row {row.number}"
        spans = parsed(row.values["spans"], place) if row.values["spans"] else None
        record = {"id": str(row.number), **row.values, "spans": spans}
        start = record.pop(OFFSET_COLUMN, "")
        yield place, {**record, OFFSET_COLUMN: parsed(start, place) if start else None}


def _from_record(record: dict[str, Json], place: str) -> Piece | None:
    spans = entry(record, "spans", place)
    if spans is None:
        return None
    text = a_text(entry(record, "text", place), place)
    claims = [
        _claim(an_object(span, place), f"{place}: span {number}")
        for number, span in enumerate(a_list(spans, place), 1)
    ]
    _, mentions = locate([text], claims, offsets="characters")
    piece = Piece(place, an_id(entry(record, "id", place), place), text, mentions)
    if not (document := record.get(DOCUMENT_COLUMN)):
        return piece
    start = record.get(OFFSET_COLUMN)
    return replace(
        piece,
        document=an_id(document, place),
        start=None if start is None else a_place(start, place),
    )


def _claim(span: dict[str, Json], place: str) -> Claim:
    start = a_whole_number(entry(span, "start", place), place)
    end = a_whole_number(entry(span, "end", place), place)
    label = a_label(entry(span, "label", place), place)
    covered = a_text(span["text"], place) if "text" in span else None
    return Claim(((start, end),), label, covered, place, a_score(span.get("score"), place))


def _from_pairs(path: Path, source: str, target: str) -> Iterator[Piece]:
    pairs = read_pairs(path, source=source, target=target)
    for pair, spans in zip(pairs, align_pairs(pairs, name=pairs.name), strict=True):
        yield Piece(
            f"{pairs.name}: row {pair.row}",
            str(pair.row),
            pair.source,
            tuple(map(from_span, spans)),
            pair.document,
            pair.start,
        )

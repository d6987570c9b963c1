"""Table of suspected label errors, and its accepted corrections applied to the pairs.

A row of the table is a suspected error, the most certain first: the number of the row in the table
of pairs and its document; offsets in the row's text and label of the gold span, empty if there is
none; the problem; offsets and label of the suggestion, empty if the span is to be removed; and the
score. What follows is to be read, and `accept` is for the user to fill in.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from annoseq.data.examples import parse_pair
from annoseq.data.markup import Span, render
from annoseq.data.table_rows import parse_offset
from annoseq.data.tables import read_rows, write_rows
from annoseq.errors import MarkupError, MismatchError, PairsError, TableError
from annoseq.evaluation.span_matching import overlaps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from annoseq.audit.label_errors import LabelError
    from annoseq.data.pairs import Pair
    from annoseq.data.table_rows import TableRow

COLUMNS: dict[str, type[str] | type[int]] = {
    "row": int,
    "doc_id": str,
    "start": str,
    "end": str,
    "label": str,
    "problem": str,
    "suggested_start": str,
    "suggested_end": str,
    "suggested_label": str,
    "score": str,
    "probability": str,
    "suggested_probability": str,
    "context": str,
    "accept": str,
}
"""Columns of the table; `probability` is that of the annotation as it is."""
_ACCEPTED = frozenset({"1", "x", "y", "yes", "true", "accept"})
_REJECTED = frozenset({"", "0", "n", "no", "false", "reject"})


@dataclass(frozen=True, slots=True)
class Correction:
    """A correction of a row: the span to take out, the span to put in, either or both.

    `row` is the number of the row in the table of pairs, `line` that in the table of errors, whose
    `problem` and `score` it has.
    """

    row: int
    line: int
    document: str
    old: Span | None
    new: Span | None
    problem: str = ""
    score: float = 0.0


def write_label_errors(
    errors: Iterable[LabelError], path: Path, *, context: int, overwrite: bool
) -> None:
    """Write suspected errors, with `context` characters on each side; with 0, no text is written.

    Raises:
        OutputError: the file exists and `overwrite` is False, or it cannot be written.
        TableError: the suffix is not that of a table.
    """
    rows = (_fields(error, context) for error in errors)
    write_rows(rows, path, columns=COLUMNS, overwrite=overwrite)


def _fields(error: LabelError, context: int) -> list[str | int]:
    example = error.example
    return [
        example.row,
        example.document or "",
        *_span_fields(error.gold),
        error.problem,
        *_span_fields(error.suggestion),
        f"{error.score:.4f}",
        f"{error.gold_probability:.4f}",
        f"{error.suggestion_probability:.4f}",
        _context(error, context) if context else "",
        "",
    ]


def _span_fields(span: Span | None) -> list[str]:
    return ["", "", ""] if span is None else [str(span.start), str(span.end), span.label]


def _context(error: LabelError, width: int) -> str:
    """Return the text around an error: the gold span in brackets, the suggested one in braces."""
    text = error.example.source
    marks: list[tuple[int, int, str]] = []
    spans = [span for span in (error.gold, error.suggestion) if span is not None]
    for span, (begin, end) in zip(
        (error.gold, error.suggestion), (("[", "]"), ("{", "}")), strict=True
    ):
        if span is not None:
            marks += [(span.start, 1, begin), (span.end, 0, end)]
    first = max(0, min(span.start for span in spans) - width)
    last = min(len(text), max(span.end for span in spans) + width)
    pieces, reach = [], first
    for place, _, mark in sorted(marks):
        pieces += [text[reach:place], mark]
        reach = place
    return "".join([*pieces, text[reach:last]])


def read_corrections(path: Path, *, least_score: float | None = None) -> list[Correction]:
    """Read the accepted corrections of a table of suspected errors.

    With `least_score`, those of at least this score that are not rejected count as accepted.

    Raises:
        TableError: the table cannot be read, or a cell holds something else than it should.
    """
    return [
        _correction(row, path)
        for row in _read_table(path)
        if _is_accepted(row, path, least_score=least_score)
    ]


def read_suspected_errors(path: Path) -> list[Correction]:
    """Read all corrections that a table of suspected errors suggests, accepted or not.

    Raises:
        TableError: the table cannot be read, or a cell holds something else than it should.
    """
    return [
        replace(
            _correction(row, path), problem=row.values.get("problem", ""), score=_score(row, path)
        )
        for row in _read_table(path)
    ]


def _read_table(path: Path) -> Iterator[TableRow]:
    columns = [name for name in list(COLUMNS)[:10] if name not in {"row", "start", "end", "score"}]
    numbers = ["row", "start", "end", "score"]
    return read_rows(
        path, columns=(), nullable=(*columns, *numbers), optional=["accept"], fractions=["score"]
    )


def _is_accepted(row: TableRow, path: Path, *, least_score: float | None) -> bool:
    word = row.values.get("accept", "").strip().casefold()
    if word in _ACCEPTED:
        return True
    if word not in _REJECTED:
        raise TableError(
            f"{path}: row {row.number}: the column 'accept' holds neither yes nor no. Write yes or "
            "no, or leave it empty."
        )
    if word or least_score is None:
        return False
    return _score(row, path) >= least_score


def _score(row: TableRow, path: Path) -> float:
    try:
        return float(row.values.get("score", ""))
    except ValueError:
        raise TableError(
            f"{path}: row {row.number}: the column 'score' does not hold a number. Leave the "
            "column as `annoseq audit` wrote it."
        ) from None


def _correction(row: TableRow, path: Path) -> Correction:
    number = parse_offset(row.values.get("row", ""))
    old, new = (_span(row, prefix, path) for prefix in ("", "suggested_"))
    if number is None or (old is None and new is None):
        raise TableError(
            f"{path}: row {row.number}: there is no row number, or neither a span nor a suggested "
            "one. Leave these columns as `annoseq audit` wrote them."
        )
    return Correction(number, row.number, row.values.get("doc_id", ""), old, new)


def _span(row: TableRow, prefix: str, path: Path) -> Span | None:
    start, end, label = (
        row.values.get(f"{prefix}{name}", "") for name in ("start", "end", "label")
    )
    if not (start or end or label):
        return None
    offsets = parse_offset(start), parse_offset(end)
    if offsets[0] is None or offsets[1] is None or not label:
        raise TableError(
            f"{path}: row {row.number}: '{prefix}start', '{prefix}end' and '{prefix}label' do not "
            "hold two whole numbers and a label. Fill in all three, or leave all empty."
        )
    return Span(offsets[0], offsets[1], label)


def apply_corrections(
    pairs: Sequence[Pair], corrections: Sequence[Correction], *, name: str
) -> Iterator[Pair]:
    """Yield all pairs, those with corrections annotated anew; `name` is the corrections' table.

    Raises:
        PairsError: a correction is of a row or a span that is not there, or its suggestion overlaps
            an annotation that stays.
    """
    by_row: defaultdict[int, list[Correction]] = defaultdict(list)
    for correction in corrections:
        by_row[correction.row].append(correction)
    known = {pair.row: pair for pair in pairs}
    for row, some in by_row.items():
        if row not in known or (some[0].document and some[0].document != known[row].document):
            raise PairsError(
                f"{name}: row {some[0].line}: the pairs have no row {row} of its document. Give "
                "the pairs that were audited."
            )
    for pair in pairs:
        yield _corrected(pair, by_row[pair.row], name=name) if pair.row in by_row else pair


def _corrected(pair: Pair, corrections: Sequence[Correction], *, name: str) -> Pair:
    spans = list(_spans_of(pair, corrections[0], name=name))
    for correction in corrections:
        if correction.old is None:
            continue
        if correction.old not in spans:
            raise PairsError(
                f"{name}: row {correction.line}: row {pair.row} of the pairs has no such span. "
                "Give the pairs that were audited, and accept one correction of a span."
            )
        spans.remove(correction.old)
    for correction in corrections:
        new = correction.new
        if new is None:
            continue
        if any(overlaps(new, span) and not _is_nested(new, span, pair) for span in spans):
            raise PairsError(
                f"{name}: row {correction.line}: the suggested span overlaps another annotation of "
                f"row {pair.row}. Accept the correction of that one too, or neither."
            )
        spans.append(new)
    try:
        return replace(pair, target=render(pair.source, spans))
    except MarkupError as error:
        raise PairsError(f"{name}: row {corrections[0].line}: {error}") from error


def _is_nested(new: Span, span: Span, pair: Pair) -> bool:
    """Return True if one span lies inside the other, in a row that has nested spans already."""
    inside = (span.start <= new.start and new.end <= span.end) or (
        new.start <= span.start and span.end <= new.end
    )
    gold = parse_pair(pair).tight_spans
    has_nesting = any(a != b and overlaps(a, b) for a in gold for b in gold)
    return inside and has_nesting


def _spans_of(pair: Pair, correction: Correction, *, name: str) -> tuple[Span, ...]:
    try:
        return parse_pair(pair).tight_spans
    except (MarkupError, MismatchError) as error:
        raise PairsError(
            f"{name}: row {correction.line}: row {pair.row} of the pairs cannot be used: {error} "
            "Give the pairs that were audited."
        ) from error

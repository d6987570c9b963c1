"""Input of a review project: pairs or texts to documents, with the suspected errors of an audit."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from annoseq.audit.corrections import read_suspected_errors
from annoseq.data.examples import parse_pair, parse_pairs
from annoseq.data.markup import render
from annoseq.data.pairs import Pair, fingerprint_pairs, stream_pairs
from annoseq.data.splits import hash_rank
from annoseq.data.streams import source_name
from annoseq.data.tables import read_rows
from annoseq.data.text_inputs import is_text_input, read_texts
from annoseq.errors import AnnoseqError, MarkupError, MismatchError, PairsError
from annoseq.review.project_records import ReviewDocument, SuspectedSpan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from annoseq.config import ColumnsConfig
    from annoseq.data.examples import Example
    from annoseq.data.markup import Span
    from annoseq.data.text_inputs import InputFormat


class InputRow(NamedTuple):
    """A text with its row, its document and place there, and its spans if it is of a pair."""

    row: int
    doc_id: str | None
    start: int | None
    text: str
    gold: tuple[Span, ...] | None = None


def read_input(
    source: Path,
    columns: ColumnsConfig,
    *,
    format_: InputFormat | None = None,
    requires_target: bool = False,
    requires_keys: bool = True,
    on_bad: Callable[[AnnoseqError], None] | None = None,
) -> list[InputRow]:
    """Read texts, or pairs where the table has a column of annotated texts.

    With `requires_target`, the table must have a column of annotated texts. Without
    `requires_keys`, the columns of document and offset may be absent, though named. With `on_bad`,
    it is called with the error of what cannot be read, which is left out.

    Raises:
        TableError: the texts cannot be read.
        PairsError: a row of pairs cannot be used.
        OptionError: the input is none that is known.
    """
    is_text = is_text_input(source, format_)
    if not is_text and (requires_target or _has_targets(source, columns, format_)):
        pairs = stream_pairs(
            source,
            columns,
            format=_table(format_),
            on_bad=on_bad,
            requires_keys=requires_keys,
        )
        return list(_from_pairs(pairs, name=source_name(source), on_bad=on_bad))
    texts = read_texts(
        source,
        column=columns.source,
        format_="text" if is_text else format_,
        delimiter=columns.delimiter,
        encoding=columns.encoding,
        on_bad=on_bad,
    )
    return [
        InputRow(number, text.id, None, text.text)
        if is_text
        else InputRow(int(text.id), text.document, text.start, text.text)
        for number, text in enumerate(texts, start=1)
    ]


def read_replay(path: Path) -> tuple[Example, ...]:
    """Read pairs to train on besides what is reviewed.

    Raises:
        TableError: the table cannot be read.
        PairsError: a row cannot be used.
    """
    pairs = stream_pairs(path, requires_keys=False)
    return parse_pairs(pairs, task="annotate", name=source_name(path)).examples


def fingerprint_input(rows: Sequence[InputRow]) -> str:
    """Return a checksum of texts, spans and documents."""
    return fingerprint_pairs(
        Pair(row.text, render(row.text, row.gold or ()), row.row, row.doc_id) for row in rows
    )


def _table(format_: InputFormat | None) -> Literal["csv", "tsv", "jsonl", "parquet", "xlsx"] | None:
    return None if format_ == "text" else format_


def _has_targets(source: Path, columns: ColumnsConfig, format_: InputFormat | None) -> bool:
    """Return True if a table has a column of annotated texts."""
    rows = read_rows(
        source,
        columns=(),
        optional=[columns.target],
        format=_table(format_),
        delimiter=columns.delimiter,
        encoding=columns.encoding,
        on_bad=lambda _: None,
    )
    return any(columns.target in row.values for row in rows)


def _from_pairs(
    pairs: Iterator[Pair], *, name: str, on_bad: Callable[[AnnoseqError], None] | None
) -> Iterator[InputRow]:
    for pair in pairs:
        try:
            spans = parse_pair(pair).tight_spans
        except (MarkupError, MismatchError) as error:
            problem = PairsError(
                f"{name}: row {pair.row}: {error} `annoseq check` shows every such row; leave them "
                "out with --skip-bad."
            )
            if on_bad is None:
                raise problem from error
            on_bad(problem)
            continue
        yield InputRow(pair.row, pair.document, pair.start, pair.source, spans)


def make_documents(
    rows: Sequence[InputRow],
    *,
    seed: int,
    random_share: float,
    suspected: dict[int, list[SuspectedSpan]] | None = None,
) -> list[ReviewDocument]:
    """Number the documents from 1, bring them into a random order, and draw the random share.

    The share is drawn in whole documents of which rows are parts, the first of the random order.
    """
    names = _names(rows)
    documents = [
        ReviewDocument(
            id=number,
            name=names[number - 1],
            row=row.row,
            doc_id=row.doc_id,
            start=row.start,
            text=row.text,
            gold=row.gold,
            suspected=tuple((suspected or {}).get(row.row, ())),
        )
        for number, row in enumerate(rows, start=1)
    ]
    groups: defaultdict[str | int, list[int]] = defaultdict(list)
    for index, document in enumerate(documents):
        groups[document.group].append(index)
    order = sorted(groups, key=lambda group: hash_rank(f"review {seed}", group))
    drawn = round(random_share * len(order))
    if random_share > 0 and len(order) > 1:
        drawn = max(drawn, 1)
    ranked = [
        (index, place < drawn) for place, group in enumerate(order) for index in groups[group]
    ]
    for rank, (index, is_drawn) in enumerate(ranked):
        documents[index] = replace(documents[index], rank=rank, in_random_share=is_drawn)
    return documents


def _names(rows: Sequence[InputRow]) -> list[str]:
    """Return a name for each row: its document, with its place there if that has several rows."""
    counts = Counter(row.doc_id for row in rows)
    return [
        f"row {row.row}"
        if row.doc_id is None
        else row.doc_id
        if counts[row.doc_id] == 1
        else f"{row.doc_id}, row {row.row}"
        for row in rows
    ]


def read_suspected(path: Path, rows: Sequence[InputRow]) -> dict[int, list[SuspectedSpan]]:
    """Read the table of an audit, by row of the pairs that were audited; the most certain first.

    Raises:
        TableError: it cannot be read.
        PairsError: it is of other pairs.
    """
    known = {row.row: row for row in rows}
    suspected: defaultdict[int, list[SuspectedSpan]] = defaultdict(list)
    for error in read_suspected_errors(path):
        row = known.get(error.row)
        fits = row is not None and (not error.document or error.document == row.doc_id)
        if row is None or not fits or (error.old is not None and error.old not in (row.gold or ())):
            raise PairsError(
                f"{path}: row {error.line}: row {error.row} of the pairs is not there, or has no "
                "such span. Give the pairs that were audited."
            )
        if error.new is not None and not 0 <= error.new.start < error.new.end <= len(row.text):
            raise PairsError(
                f"{path}: row {error.line}: the suggested span is outside the text of row "
                f"{error.row}. Give the pairs that were audited."
            )
        suspected[error.row].append(SuspectedSpan(error.old, error.new, error.problem, error.score))
    return dict(suspected)

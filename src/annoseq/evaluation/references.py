"""Gold references: pairing with predictions, corpus summary, texts seen in training.

Gold rows and predictions are read side by side, so that memory does not grow. At the first row
that does not match, the ids of the predictions are read again to explain the error. Neither ids
nor texts are quoted.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from annoseq.data.examples import parse_pair
from annoseq.data.markup import Tag, scan
from annoseq.data.pairs import fingerprint_pairs
from annoseq.data.table_rows import DEFAULT_DIALECT
from annoseq.errors import AnnoseqError, MarkupError, MismatchError, PairsError
from annoseq.evaluation.counts import SpanComparison
from annoseq.formats.annoseq_output import read_ids, read_output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from annoseq.data.markup import Span
    from annoseq.data.pairs import Pair
    from annoseq.data.table_rows import TableFormat, TextDialect
    from annoseq.formats.annoseq_output import OutputRow


class GoldRow(NamedTuple):
    """A row of the gold table, and its id."""

    id: str
    pair: Pair


def pair_with_predictions(
    gold: Iterable[GoldRow],
    predictions: Path,
    *,
    name: str,
    format_: TableFormat | None = None,
    dialect: TextDialect = DEFAULT_DIALECT,
    is_unseen: Callable[[str], bool] | None = None,
) -> Iterator[SpanComparison]:
    """Yield each gold row with its prediction; `name` is the gold table's.

    `format_` and `dialect` are those of the predictions.

    Raises:
        PairsError: a row has no prediction, a prediction has no row, they come in another order,
            or their texts differ; or a gold row is not its source plus tags.
        OptionError: the predictions' format has no such delimiter or encoding.
        TableError: the predictions cannot be read.
    """
    outputs = read_output(predictions, format_=format_, dialect=dialect)
    for row, output in zip_longest(gold, outputs):
        if row is None:
            raise PairsError(
                f"{output.place}: there is a prediction, but {name} has no more rows. "
                "Score predictions of this table, one for each row."
            )
        place = f"{name}: row {row.pair.row}"
        if output is None or output.id != row.id:
            ids = list(read_ids(predictions, format_=format_, dialect=dialect))
            raise _misplaced(row.id, place, output, ids)
        _check_text(row.pair.source, output, place)
        yield SpanComparison(
            id=row.id,
            text=row.pair.source,
            gold=_gold_spans(row.pair, place),
            predicted=output.spans or (),
            target=row.pair.target,
            output=output.annotated,
            document=row.pair.document,
            start=row.pair.start,
            is_unseen=None if is_unseen is None else is_unseen(row.pair.source),
        )


def _gold_spans(pair: Pair, place: str) -> tuple[Span, ...]:
    try:
        return parse_pair(pair).spans or ()
    except (MarkupError, MismatchError) as error:
        raise PairsError(
            f"{place}: {error} `annoseq check` shows every such row of the table."
        ) from error


def _check_text(text: str, output: OutputRow, place: str) -> None:
    if output.text == text:
        return
    common = len(os.path.commonprefix([output.text, text]))  # noqa: RUF071 - characters are meant
    hint = (
        "Score predictions for the very texts of the table."
        if output.has_text
        else "If the tool changed it, give the text that it read as `text`."
    )
    raise PairsError(
        f"{output.place}: its text differs from that of {place} at character {common}. {hint}"
    )


def _misplaced(
    id_: str, place: str, output: OutputRow | None, ids: list[str | None]
) -> AnnoseqError:
    if id_ not in ids:
        return PairsError(
            f"{place}: there is no prediction with this row's id among {len(ids):,}. "
            "Ids are row numbers, counted from 1, unless --id names the column that holds them."
        )
    number = ids.index(id_) + 1
    if output is None or ids.count(id_) > 1:
        return PairsError(
            f"{place}: its id is that of several rows or predictions (prediction {number} is the "
            "first). Give each row an id of its own."
        )
    return PairsError(
        f"{output.place}: found another id than that of {place}, whose prediction is number "
        f"{number}. Bring the predictions into the order of the table."
    )


class CorpusSummary(NamedTuple):
    """Labels, number of rows and fingerprint of a table of pairs."""

    labels: frozenset[str]
    rows: int
    fingerprint: str


def summarize_corpus(pairs: Iterable[Pair]) -> CorpusSummary:
    """Summarize pairs in one pass, without keeping them."""
    labels: set[str] = set()
    rows = 0

    def counted() -> Iterator[Pair]:
        nonlocal rows
        for pair in pairs:
            rows += 1
            if "{{" in pair.target:
                labels.update(piece.label for piece in scan(pair.target) if isinstance(piece, Tag))
            yield pair

    digest = fingerprint_pairs(counted())
    return CorpusSummary(frozenset(labels), rows, digest)


class SeenTexts:
    """Set of texts, of which it keeps hashes of eight bytes."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._digests = set(map(_digest, texts))

    def __contains__(self, text: str) -> bool:
        return _digest(text) in self._digests


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()

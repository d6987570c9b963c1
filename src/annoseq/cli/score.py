"""`annoseq score`."""

from __future__ import annotations

from functools import partial
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from annoseq.cli.options import Columns, InputFormat, Overwrite
from annoseq.cli.scoring import (
    JsonPath,
    Pictures,
    Redact,
    ReportPath,
    Seen,
    TargetRecall,
    TextScores,
    add_promise,
    read_pictures,
    rehearse_outputs,
    tell_scores,
    texts_of,
)
from annoseq.cli.tables import stream
from annoseq.config import ColumnsConfig
from annoseq.errors import OptionError
from annoseq.evaluation.comparison import by_document
from annoseq.evaluation.pairing import Gold, compare_rows
from annoseq.evaluation.record import to_record, write_record
from annoseq.evaluation.scorer import Scorer
from annoseq.evaluation.survey import SeenTexts, survey
from annoseq.evaluation.text_scores import TextScorer
from annoseq.pairs.sources import is_standard_input
from annoseq.pairs.tables import read_rows
from annoseq.progress import progress
from annoseq.reporting.report import Facts, write_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from annoseq.evaluation.comparison import Comparison
    from annoseq.pairs.pair import Pair
    from annoseq.pairs.rows import TableFormat

_STRIDE = 100
"""Rows between two movements of the progress bar, which takes as long as a short row does."""


def score(
    gold: Annotated[Path, Parameter(help="Table of pairs: the texts, and how they should be.")],
    predicted: Annotated[
        Path,
        Parameter(
            help="Predictions for its rows, in their order, from any tool: id, text, and spans or "
            "annotated (.jsonl, .csv, .tsv, .parquet, also .gz)."
        ),
    ],
    /,
    *,
    json_path: JsonPath = None,
    report: ReportPath = None,
    redact: Redact = False,
    pictures: Pictures = None,
    id_column: Annotated[
        str | None,
        Parameter(
            name="--id",
            help="Column of the gold table with the ids that predictions have; without it they "
            "have the rows' numbers, counted from 1.",
        ),
    ] = None,
    seen: Seen = None,
    text_scores: TextScores = False,
    target_recall: TargetRecall = None,
    overwrite: Overwrite = False,
    input_format: InputFormat = None,
    predicted_format: Annotated[
        InputFormat, Parameter(name="--predicted-format", help="The same for the predictions.")
    ] = None,
    columns: Columns = ColumnsConfig(),
) -> None:
    """Score predicted spans, whoever made them, against the gold ones."""
    rehearse_outputs(json_path, report, overwrite=overwrite)
    for path in (gold, predicted):
        if is_standard_input(path):
            raise OptionError("standard input cannot be read twice. Give a file.")
    text = TextScorer() if text_scores else None
    images = read_pictures(pictures)
    pairs = partial(stream, gold, columns, input_format=input_format)
    known = survey(pairs())
    rows = compare_rows(
        _with_ids(pairs(), _ids(gold, id_column, input_format)),
        predicted,
        name=str(gold),
        format_=predicted_format,
        is_unseen=_unseen_from(seen, columns),
    )
    scorer = Scorer(labels=known.labels, text=text)
    kept: list[Comparison] = []  # for what needs all rows at once
    with progress("scoring", total=known.rows) as advance:
        for rows_of_one in by_document(_told(rows, advance)):
            scorer.add(rows_of_one)
            if report or target_recall:
                kept += rows_of_one
    record = to_record(scorer, gold=known.fingerprint)
    promise = add_promise(record, kept, target_recall=target_recall)
    if json_path:
        write_record(record, json_path, overwrite=overwrite)
    if report:
        facts = Facts(title=f"{predicted} on {gold}", pictures=images)
        write_report(record, kept, report, facts=facts, redact=redact, overwrite=overwrite)
    tell_scores(scorer, *promise)  # last: what reads it may end before it is read


def _ids(path: Path, column: str | None, format_: TableFormat | None) -> Iterator[str | None]:
    if column is None:
        return repeat(None)
    rows = read_rows(path, columns=[], keys=[column], format=format_)
    return (row.values[column] for row in rows)


def _with_ids(pairs: Iterable[Pair], ids: Iterable[str | None]) -> Iterator[Gold]:
    for pair, id_ in zip(pairs, ids, strict=False):
        yield Gold(str(pair.row) if id_ is None else id_, pair)


def _unseen_from(seen: Path | None, columns: ColumnsConfig) -> Callable[[str], bool] | None:
    if seen is None:
        return None
    texts = SeenTexts(texts_of(seen, columns))
    return lambda text: text not in texts


def _told(rows: Iterable[Comparison], advance: Callable[[int], None]) -> Iterator[Comparison]:
    for number, row in enumerate(rows, 1):
        yield row
        if number % _STRIDE == 0:
            advance(_STRIDE)

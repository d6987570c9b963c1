"""`annoseq score` and `annoseq compare`."""

from __future__ import annotations

from functools import partial
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from annoseq.atomic_io import check_writable
from annoseq.cli.loading import stream_table
from annoseq.cli.options import Columns, Overwrite, TableFormatOption
from annoseq.cli.output import print_result
from annoseq.cli.scoring_options import (
    JsonPath,
    Pictures,
    Redact,
    ReportPath,
    ScoreTargetRecall,
    Seen,
    TextScores,
    add_promise,
    read_pictures,
    rehearse_outputs,
    tell_scores,
    texts_of,
)
from annoseq.config import ColumnsConfig
from annoseq.data.streams import is_standard_input
from annoseq.data.tables import read_rows
from annoseq.errors import OptionError
from annoseq.evaluation.counts import group_by_document
from annoseq.evaluation.references import (
    GoldRow,
    SeenTexts,
    pair_with_predictions,
    summarize_corpus,
)
from annoseq.evaluation.score_file import make_score_file, read_score_file, write_score_file
from annoseq.evaluation.scorer import Scorer
from annoseq.evaluation.significance import compare_scores, difference_lines
from annoseq.evaluation.text_scores import TextScorer
from annoseq.progress import progress_bar
from annoseq.reporting.report import ReportData, write_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from annoseq.data.pairs import Pair
    from annoseq.data.table_rows import TableFormat
    from annoseq.evaluation.counts import SpanComparison


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
    target_recall: ScoreTargetRecall = None,
    overwrite: Overwrite = False,
    input_format: TableFormatOption = None,
    predicted_format: Annotated[
        TableFormatOption, Parameter(name="--predicted-format", help="The same for the predictions.")
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
    pairs = partial(stream_table, gold, columns, input_format=input_format)
    known = summarize_corpus(pairs())
    rows = pair_with_predictions(
        _with_ids(pairs(), _ids(gold, id_column, input_format)),
        predicted,
        name=str(gold),
        format_=predicted_format,
        is_unseen=_unseen_from(seen, columns),
    )
    scorer = Scorer(labels=known.labels, text=text)
    kept: list[SpanComparison] = []  # for what needs all rows at once
    with progress_bar("scoring", total=known.rows) as advance:
        for rows_of_one in group_by_document(_told(rows, advance)):
            scorer.add(rows_of_one)
            if report or target_recall:
                kept += rows_of_one
    record = make_score_file(scorer, gold=known.fingerprint)
    promise = add_promise(record, kept, target_recall=target_recall)
    if json_path:
        write_score_file(record, json_path, overwrite=overwrite)
    if report:
        facts = ReportData(title=f"{predicted} on {gold}", pictures=images)
        write_report(record, kept, report, facts=facts, redact=redact, overwrite=overwrite)
    tell_scores(scorer, *promise)  # last: what reads it may end before it is read


def _ids(path: Path, column: str | None, format_: TableFormat | None) -> Iterator[str | None]:
    if column is None:
        return repeat(None)
    rows = read_rows(path, columns=[], keys=[column], format=format_)
    return (row.values[column] for row in rows)


def _with_ids(pairs: Iterable[Pair], ids: Iterable[str | None]) -> Iterator[GoldRow]:
    for pair, id_ in zip(pairs, ids, strict=False):
        yield GoldRow(str(pair.row) if id_ is None else id_, pair)


def _unseen_from(seen: Path | None, columns: ColumnsConfig) -> Callable[[str], bool] | None:
    if seen is None:
        return None
    texts = SeenTexts(texts_of(seen, columns))
    return lambda text: text not in texts


def _told(
    rows: Iterable[SpanComparison], advance: Callable[[int], None]
) -> Iterator[SpanComparison]:
    for number, row in enumerate(rows, 1):
        yield row
        if number % _STRIDE == 0:
            advance(_STRIDE)


_SCORES = "Scores that `annoseq score` or `annoseq evaluate` wrote with --json."


def compare(
    a: Annotated[Path, Parameter(help=_SCORES)],
    b: Annotated[Path, Parameter(help="The same of another model, for the same rows.")],
    /,
    *,
    json_path: Annotated[
        Path | None, Parameter(name="--json", help="Differences to write as JSON.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Compare two models' scores of the same rows, and tell which differences chance explains."""
    if json_path:
        check_writable(json_path, overwrite=overwrite)
    differences = compare_scores(read_score_file(a), read_score_file(b), names=(str(a), str(b)))
    for line in difference_lines(differences):
        print_result(line)
    if json_path:
        record = {"a": str(a), "b": str(b)}
        found = {name: one.to_dict() for name, one in differences.items()}
        write_score_file({**record, "scores": found}, json_path, overwrite=overwrite)

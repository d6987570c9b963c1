"""`annoseq score` and `annoseq compare`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from annoseq.atomic_io import check_writable
from annoseq.cli.options import Columns, Overwrite, TableFormatOption, TextDelimiter, TextEncoding
from annoseq.cli.output import print_result
from annoseq.cli.scoring_options import (
    ScoreOutputOptions,
    Seen,
    TextScores,
    print_label_warning,
    print_scores,
    read_seen_texts,
)
from annoseq.cli.target_options import ScoreTargetRecall, choose_threshold, threshold_lines
from annoseq.config import ColumnsConfig
from annoseq.data.pairs import stream_pairs
from annoseq.data.streams import is_standard_input
from annoseq.data.table_rows import TextDialect
from annoseq.data.tables import read_rows
from annoseq.errors import OptionError
from annoseq.evaluation.counts import group_by_document
from annoseq.evaluation.recall_thresholds import CandidateCounter
from annoseq.evaluation.references import (
    GoldRow,
    pair_with_predictions,
    summarize_corpus,
)
from annoseq.evaluation.score_file import (
    make_score_file,
    read_score_file,
    recall_target_scores,
    write_score_file,
)
from annoseq.evaluation.scorer import Scorer
from annoseq.evaluation.significance import ScoreDifferences, compare_scores, difference_lines
from annoseq.evaluation.text_scores import TextScorer
from annoseq.progress import progress_bar
from annoseq.reporting.report import ReportData

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from annoseq.data.pairs import Pair
    from annoseq.evaluation.counts import SpanComparison


_STRIDE = 100
"""Rows between two movements of the progress bar, which takes as long as a short row does."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class TableOptions:
    """Options of the tables that are scored and compared with."""

    id_column: Annotated[
        str | None,
        Parameter(
            name="--id",
            help="Column of the gold table with the ids that predictions have; without it they "
            "have the rows' numbers, counted from 1.",
        ),
    ] = None
    seen: Seen = None
    input_format: TableFormatOption = None
    predicted_format: Annotated[
        TableFormatOption,
        Parameter(name="--predicted-format", help="The same for the predictions."),
    ] = None
    predicted_delimiter: Annotated[
        TextDelimiter, Parameter(help="Delimiter of the predictions, as --delimiter.")
    ] = None
    predicted_encoding: Annotated[
        TextEncoding, Parameter(help="Encoding of the predictions, as --encoding.")
    ] = None
    columns: Columns = ColumnsConfig()


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
    output: ScoreOutputOptions = ScoreOutputOptions(),
    tables: TableOptions = TableOptions(),
    text_scores: TextScores = False,
    target_recall: ScoreTargetRecall = None,
) -> None:
    """Score predicted spans, whoever made them, against the gold ones."""
    images = output.check()
    for path in (gold, predicted):
        if is_standard_input(path):
            raise OptionError("standard input cannot be read twice. Give a file.")
    text = TextScorer() if text_scores else None
    pairs = partial(stream_pairs, gold, tables.columns, format=tables.input_format)
    corpus = summarize_corpus(pairs())
    rows = pair_with_predictions(
        _with_ids(pairs(), _ids(gold, tables)),
        predicted,
        name=str(gold),
        format_=tables.predicted_format,
        dialect=TextDialect(tables.predicted_delimiter, tables.predicted_encoding),
        is_unseen=_unseen_from(tables.seen, tables.columns),
    )
    scorer, candidates = Scorer(labels=corpus.labels, text=text), CandidateCounter()
    report_rows: list[SpanComparison] = []  # a report needs all rows at once
    with progress_bar("scoring", total=corpus.rows) as advance:
        for document in group_by_document(_with_progress(rows, advance), name=str(gold)):
            scorer.add(document)
            for row in document if target_recall else ():
                candidates.add(row.gold, row.predicted, document=row.document)
            if output.report:
                report_rows += document
    scores = make_score_file(scorer, gold=corpus.fingerprint)
    lines: list[str] = []
    if target := choose_threshold(scores, candidates, target_recall):
        target_scores = recall_target_scores(target, score=target.threshold)
        scores = scores.model_copy(update={"target_recall": target_scores})
        lines += threshold_lines(target)
    title = f"{predicted} on {gold}"
    output.write(scores, report_rows, ReportData(title=title, images=images))
    labels = scorer.all.label_scores().items()
    print_label_warning(
        [label for label, scores in labels if scores.gold],
        [label for label, scores in labels if scores.predicted],
        predicted_by="the predictions",
    )
    print_scores(scorer, *lines)  # last: a reader of the output may end before it is read


def _ids(path: Path, tables: TableOptions) -> Iterator[str | None]:
    column = tables.id_column
    if column is None:
        return repeat(None)
    rows = read_rows(
        path,
        columns=[],
        keys=[column],
        format=tables.input_format,
        delimiter=tables.columns.delimiter,
        encoding=tables.columns.encoding,
    )
    return (row.values[column] for row in rows)


def _with_ids(pairs: Iterable[Pair], ids: Iterable[str | None]) -> Iterator[GoldRow]:
    for pair, id_ in zip(pairs, ids, strict=False):
        yield GoldRow(str(pair.row) if id_ is None else id_, pair)


def _unseen_from(seen: Path | None, columns: ColumnsConfig) -> Callable[[str], bool] | None:
    if seen is None:
        return None
    texts = read_seen_texts(seen, columns)
    return lambda text: text not in texts


def _with_progress(
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
        record = ScoreDifferences(a=str(a), b=str(b), scores=differences)
        write_score_file(record, json_path, overwrite=overwrite)

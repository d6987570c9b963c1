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
    check_outputs,
    print_scores,
    read_images,
    read_sources,
)
from annoseq.config import ColumnsConfig
from annoseq.data.streams import is_standard_input
from annoseq.data.tables import read_rows
from annoseq.errors import OptionError
from annoseq.evaluation.counts import group_by_document
from annoseq.evaluation.recall_thresholds import CandidateCounter
from annoseq.evaluation.references import (
    GoldRow,
    SeenTexts,
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
from annoseq.reporting.report import ReportData, write_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from annoseq.data.pairs import Pair
    from annoseq.data.table_rows import TableFormat
    from annoseq.evaluation.counts import SpanComparison
    from annoseq.evaluation.recall_thresholds import RecallTarget
    from annoseq.evaluation.score_file import RecallTargetScores, ScoreFile


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
        TableFormatOption,
        Parameter(name="--predicted-format", help="The same for the predictions."),
    ] = None,
    columns: Columns = ColumnsConfig(),
) -> None:
    """Score predicted spans, whoever made them, against the gold ones."""
    check_outputs(json_path, report, overwrite=overwrite)
    for path in (gold, predicted):
        if is_standard_input(path):
            raise OptionError("standard input cannot be read twice. Give a file.")
    text = TextScorer() if text_scores else None
    images = read_images(pictures)
    pairs = partial(stream_table, gold, columns, input_format=input_format)
    corpus = summarize_corpus(pairs())
    rows = pair_with_predictions(
        _with_ids(pairs(), _ids(gold, id_column, input_format)),
        predicted,
        name=str(gold),
        format_=predicted_format,
        is_unseen=_unseen_from(seen, columns),
    )
    scorer, candidates = Scorer(labels=corpus.labels, text=text), CandidateCounter()
    report_rows: list[SpanComparison] = []  # a report needs all rows at once
    with progress_bar("scoring", total=corpus.rows) as advance:
        for document in group_by_document(_with_progress(rows, advance)):
            scorer.add(document)
            for row in document if target_recall else ():
                candidates.add(row.gold, row.predicted, document=row.document)
            if report:
                report_rows += document
    scores = make_score_file(scorer, gold=corpus.fingerprint)
    target = _choose_threshold(scores, candidates, target_recall)
    scores = scores.model_copy(update={"target_recall": target and _target_scores(target)})
    if json_path:
        write_score_file(scores, json_path, overwrite=overwrite)
    if report:
        data = ReportData(title=f"{predicted} on {gold}", images=images)
        write_report(scores, report_rows, report, data=data, redact=redact, overwrite=overwrite)
    lines = threshold_lines(target) if target else ()
    print_scores(scorer, *lines)  # last: what reads it may end before it is read


def _choose_threshold(
    scores: ScoreFile, candidates: CandidateCounter, target_recall: float | None
) -> RecallTarget | None:
    """Choose a threshold for given predictions, if a recall is asked for.

    Raises:
        OptionError: no predicted span has a score.
    """
    if target_recall is None:
        return None
    if "calibration_error" not in scores.scores:
        raise OptionError(
            "--target-recall needs predicted spans with scores, and none has one. Leave it off."
        )
    return candidates.counts().choose_threshold(target_recall)


def _target_scores(target: RecallTarget) -> RecallTargetScores:
    return recall_target_scores(target, score=target.threshold)


def threshold_lines(target: RecallTarget) -> Iterator[str]:
    """Render a threshold for given predictions, and its scores on the same rows."""
    expected = target.expected
    yield ""
    yield (
        f"for a recall of {target.target_recall:g}, keep spans with a score of at least "
        f"{target.threshold:.4f}:"
    )
    yield f"  recall {expected.recall:.4f}, precision {expected.precision:.4f} on these rows"
    if target.is_out_of_reach:
        yield (
            f"  out of reach: only {expected.recall:.4f} of the {expected.gold:,} gold spans were "
            "predicted at all"
        )
    elif not target.has_margin:
        yield "  no margin for chance: too few gold spans were predicted; other rows may differ"


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
    texts = SeenTexts(read_sources(seen, columns))
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

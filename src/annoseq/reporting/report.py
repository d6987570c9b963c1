"""Evaluation report: scores, errors in their context and attention maps, as one HTML page."""

from __future__ import annotations

import string
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from annoseq._version import __version__
from annoseq.atomic_io import atomic_file
from annoseq.evaluation.confusion_matrix import NO_SPAN
from annoseq.evaluation.error_analysis import ERROR_TYPES, find_span_errors
from annoseq.reporting.charts import draw_charts, draw_coverage, draw_learning_curve
from annoseq.reporting.html_page import import_jinja, render_markdown, render_page
from annoseq.tokenization.pretokenizer import is_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from annoseq.data.markup import Span
    from annoseq.evaluation.counts import SpanComparison
    from annoseq.evaluation.error_analysis import SpanError
    from annoseq.evaluation.sample_size import LearningCurve
    from annoseq.evaluation.score_file import LabelScoreValues, ScoreFile
    from annoseq.inference.network_predictors import AttentionMap
    from annoseq.models.model_config import TrainingHistory
    from annoseq.reporting.html_page import EmbeddedImage


_MAIN_SCORES = ("span_f1", "span_precision", "span_recall", "macro_f1", "character_recall", "leak")
"""Scores at the top of the page."""
_MAX_MAIN_SCORES = 6
"""Number of scores at the top if there is none of these."""


_SHOWN_MISSES = 50
"""Rows with missed identifiers of a label that are linked."""


@dataclass(frozen=True)
class ReportData:
    """Contents of a report besides scores and errors.

    `card` is the model card, `learning_curve` what `annoseq curve` found. `attention` returns the
    attention map of a row, or None.
    """

    title: str
    card: str = ""
    history: TrainingHistory | None = None
    images: Sequence[EmbeddedImage] = ()
    attention: AttentionFunction | None = None
    learning_curve: LearningCurve | None = None


def write_report(
    scores: ScoreFile,
    rows: Sequence[SpanComparison],
    path: Path,
    *,
    data: ReportData,
    redact: bool = False,
    overwrite: bool = False,
) -> None:
    """Write a report as one HTML file.

    Raises:
        OptionError: jinja2 is not installed.
        OutputError: the file exists and may not be overwritten, or cannot be written.
    """
    page = make_report(scores, rows, data=data, redact=redact)
    with atomic_file(path, overwrite=overwrite) as temporary:
        temporary.write_text(page, encoding="utf-8")


def make_report(
    scores: ScoreFile, rows: Sequence[SpanComparison], *, data: ReportData, redact: bool = False
) -> str:
    """Return the HTML of a report; `redact` masks the words of the texts."""
    import_jinja()  # it also brings the escaping of the card
    report_rows = make_report_rows(rows, redact=redact, attention=data.attention)
    label_scores = sorted((scores.labels or {}).items(), key=_by_frequency)
    labels = [label for label, _ in label_scores]
    main_scores = [name for name in _MAIN_SCORES if name in scores.scores]
    values = {
        "title": data.title,
        "version": __version__,
        "scores": scores,
        "main_scores": main_scores or list(scores.scores)[:_MAX_MAIN_SCORES],
        "label_scores": label_scores,
        "error_types": ERROR_TYPES,
        "error_counts": _error_counts(report_rows, labels),
        "confusion": _confusion_table(scores, labels),
        "report_rows": report_rows,
        "card": render_markdown(data.card),
        "charts": draw_charts(data.history) if data.history else [],
        "shown_misses": _SHOWN_MISSES,
        "missed_rows": _missed_rows(scores, rows, report_rows, redact=redact),
        "coverage_chart": draw_coverage(scores.coverage) if scores.coverage else None,
        "learning_curve": data.learning_curve,
        "learning_chart": draw_learning_curve(data.learning_curve) if data.learning_curve else None,
        "images": data.images,
        "is_redacted": redact,
    }
    return render_page(report_rows.to_dict(), values)


def _by_frequency(item: tuple[str, LabelScoreValues]) -> tuple[int, str]:
    label, scores = item
    return -scores.gold, label


def _error_counts(rows: ReportRows, labels: Sequence[str]) -> list[tuple[str, list[int], int]]:
    """Return the labels with errors, most errors first: counts by error type, and their sum."""
    counted = [
        (label, [rows.counts_by_label[label, error_type] for error_type in ERROR_TYPES])
        for label in labels
    ]
    table = [(label, counts, sum(counts)) for label, counts in counted if any(counts)]
    return sorted(table, key=lambda line: -line[2])


class MissedRow(NamedTuple):
    """A row with missed identifiers of a label: its name, and its place in the report if it is."""

    name: str
    place: int | None
    missed: int


def _missed_rows(
    scores: ScoreFile, comparisons: Sequence[SpanComparison], rows: ReportRows, *, redact: bool
) -> dict[str, list[MissedRow]]:
    """Return for each label the rows in which identifiers are not covered, in their order."""
    missed = scores.coverage.missed if scores.coverage else ()
    numbers = {row.id: str(number) for number, row in enumerate(comparisons, 1)} if redact else {}
    found: dict[str, list[MissedRow]] = {}
    for (label, row), count in Counter((one.label, one.row) for one in missed).items():
        name = str(row)
        one = MissedRow(numbers.get(name, name), rows.places.get(name), count)
        found.setdefault(label, []).append(one)
    return found


class ConfusionTable(NamedTuple):
    """Confusion matrix of labels and, last, of no span; rows are gold, columns predicted."""

    labels: list[str]
    counts: list[list[int]]
    totals: list[int]


def _confusion_table(scores: ScoreFile, labels: Sequence[str]) -> ConfusionTable:
    cells = {(cell.gold, cell.predicted): cell.count for cell in scores.counts.confusion}
    order = [*labels, NO_SPAN]
    counts = [[cells.get((gold, predicted), 0) for predicted in order] for gold in order]
    return ConfusionTable(order, counts, [max(sum(row), 1) for row in counts])


AttentionFunction: TypeAlias = "Callable[[SpanComparison], AttentionMap | None]"
"""Returns the attention map of a row, or None if there is none."""

_LISTED_ROWS = 10
"""Number of the longest rows, and of those with most errors, that are listed."""
_SCORE_DIGITS = 4
_MAX_ATTENTION_CELLS = 1_500_000
"""Cells of all attention maps, a byte each: a report should stay below 5 MB."""
_PUNCTUATION = frozenset(string.punctuation)


@dataclass
class ReportRows:
    """Rows with errors, and the longest rows, as the script of the page reads them.

    Rows and labels are referred to by their index in `rows` and `labels`. An error is [row, error
    type, label, score, indices of gold spans, indices of predicted spans, has a wrong label], with
    the indices of spans in the row's sorted `gold` and `predicted`.
    """

    labels: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    errors: list[list[Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """Errors by type."""
    counts_by_label: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Errors by label and type."""
    longest: list[int] = field(default_factory=list)
    hardest: list[int] = field(default_factory=list)
    """Rows with most errors."""
    attention_maps: int = 0
    places: dict[str, int] = field(default_factory=dict)
    """Ids of compared rows -> their index in `rows`."""

    def to_dict(self) -> dict[str, Any]:
        """Return the values that the script of the page reads."""
        return {
            "labels": self.labels,
            "types": list(ERROR_TYPES),
            "rows": self.rows,
            "errors": self.errors,
        }


def make_report_rows(
    comparisons: Sequence[SpanComparison],
    *,
    redact: bool,
    attention: AttentionFunction | None = None,
) -> ReportRows:
    """Classify all errors, and collect the rows with errors and the longest rows.

    `redact` masks words, and numbers rows in place of their ids. `attention` is called for rows
    until the maps together are large.
    """
    report = ReportRows(
        labels=sorted({span.label for row in comparisons for span in row.gold + row.predicted})
    )
    label_index = {label: index for index, label in enumerate(report.labels)}
    by_length = sorted(range(len(comparisons)), key=lambda index: -len(comparisons[index].text))
    longest = by_length[:_LISTED_ROWS]
    included: dict[int, int] = {}  # index of a comparison -> index in the report
    for index, row in enumerate(comparisons):
        errors = find_span_errors(row.gold, row.predicted)
        if errors or index in longest:
            included[index] = report.places[row.id] = len(report.rows)
            report.rows.append(_row_values(index, row, label_index, redact=redact))
        for error in errors:
            report.errors.append(_error_values(included[index], row, error, label_index))
            report.counts[error.kind] += 1
            report.counts_by_label[error.label, error.kind] += 1
    report.longest = [included[index] for index in longest]
    errors_by_row = Counter(error[0] for error in report.errors)
    report.hardest = [row for row, _ in errors_by_row.most_common(_LISTED_ROWS)]
    if attention:
        _add_attention_maps(report, included, comparisons, attention, redact=redact)
    return report


def _add_attention_maps(
    report: ReportRows,
    included: dict[int, int],
    comparisons: Sequence[SpanComparison],
    attention: AttentionFunction,
    *,
    redact: bool,
) -> None:
    cells = 0
    for index, report_index in included.items():
        if cells > _MAX_ATTENTION_CELLS:
            return
        if attention_map := attention(comparisons[index]):
            source, written = (
                [mask_words(token) if redact and not is_tag(token) else token for token in tokens]
                for tokens in (attention_map.source, attention_map.written)
            )
            cells += len(source) * len(written)
            report.rows[report_index]["attention"] = [source, written, attention_map.weights]
            report.attention_maps += 1


def _row_values(
    index: int, row: SpanComparison, label_index: dict[str, int], *, redact: bool
) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": str(index + 1) if redact else row.id,
        "text": mask_words(row.text) if redact else row.text,
        "gold": [_span_values(span, label_index) for span in sorted(row.gold)],
        "predicted": [_span_values(span, label_index) for span in sorted(row.predicted)],
    }
    if row.is_unseen is not None:
        values["unseen"] = row.is_unseen
    return values


def _span_values(span: Span, label_index: dict[str, int]) -> list[float | int]:
    values: list[float | int] = [span.start, span.end, label_index[span.label]]
    return values if span.score is None else [*values, round(span.score, _SCORE_DIGITS)]


def _error_values(
    report_index: int, row: SpanComparison, error: SpanError, label_index: dict[str, int]
) -> list[Any]:
    return [
        report_index,
        list(ERROR_TYPES).index(error.kind),
        label_index[error.label],
        None if error.score is None else round(error.score, _SCORE_DIGITS),
        _span_indices(error.gold, row.gold),
        _span_indices(error.predicted, row.predicted),
        int(error.has_wrong_label),
    ]


def _span_indices(spans: Iterable[Span], all_spans: Iterable[Span]) -> list[int]:
    ordered = sorted(all_spans)
    return [ordered.index(span) for span in spans]


def mask_words(text: str) -> str:
    """Replace upper-case letters by A, other letters by a, digits by 0.

    White space becomes a space, ASCII punctuation stays, and any other character becomes a
    question mark, so that offsets stay valid. The lengths of words remain: masked text is not
    anonymous.

    >>> mask_words("Dr. Ames, 31yo")
    'Aa. Aaaa, 00aa'
    """
    return "".join(map(_mask_character, text))


def _mask_character(character: str) -> str:
    if character.isspace():
        return " "
    if character in _PUNCTUATION:
        return character
    category = unicodedata.category(character)
    if category in {"Lu", "Lt"}:
        return "A"
    if category[0] in "LM":
        return "a"
    return "0" if category[0] == "N" else "?"

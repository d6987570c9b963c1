"""Evaluation report: scores, and every error in its context, as one HTML page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from annoseq._version import __version__
from annoseq.atomic_io import atomic_file
from annoseq.evaluation.confusion_matrix import NO_SPAN
from annoseq.evaluation.error_analysis import ERROR_TYPES
from annoseq.reporting.charts import draw_charts
from annoseq.reporting.html_page import import_jinja, render_markdown, render_page
from annoseq.reporting.report_rows import make_report_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from annoseq.evaluation.counts import SpanComparison
    from annoseq.evaluation.score_file import LabelScoreValues, ScoreFile
    from annoseq.models.serialization import TrainingHistory
    from annoseq.reporting.html_page import EmbeddedImage
    from annoseq.reporting.report_rows import AttentionFunction, ReportRows

_MAIN_SCORES = ("span_f1", "span_precision", "span_recall", "macro_f1", "character_recall", "leak")
"""Scores at the top of the page."""
_MAX_MAIN_SCORES = 6
"""Number of scores at the top if there is none of these."""


@dataclass(frozen=True)
class ReportData:
    """Contents of a report besides scores and errors.

    `card` is the model card. `attention` returns the attention map of a row, or None.
    """

    title: str
    card: str = ""
    history: TrainingHistory | None = None
    images: Sequence[EmbeddedImage] = ()
    attention: AttentionFunction | None = None


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

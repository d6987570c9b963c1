"""A report on what a model predicted: scores, and every mistake in its context."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from annoseq._version import __version__
from annoseq.atomic_io import atomic_file
from annoseq.evaluation.confusion_matrix import NO_SPAN, confusion_matrix
from annoseq.evaluation.error_analysis import ERROR_TYPES
from annoseq.reporting.charts import draw_charts
from annoseq.reporting.html_page import render_page
from annoseq.reporting.report_rows import ReportRows, make_report_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from annoseq.evaluation.counts import SpanComparison
    from annoseq.inference.attention_map import AttentionMap
    from annoseq.models.serialization import TrainingHistory
    from annoseq.reporting.html_page import EmbeddedImage

_MAIN = ("span_f1", "span_precision", "span_recall", "macro_f1", "character_recall", "leak")
"""Scores that stand at the top."""


@dataclass(frozen=True)
class ReportData:
    """What a report says besides the scores: its title, the model's card and training, pictures.

    `look` maps where a model with attention looks in a row.
    """

    title: str
    card: str = ""
    history: TrainingHistory | None = None
    pictures: Sequence[EmbeddedImage] = field(default_factory=tuple)
    look: Callable[[SpanComparison], AttentionMap | None] | None = None


def write_report(
    record: Mapping[str, Any],
    rows: Sequence[SpanComparison],
    path: Path,
    *,
    facts: ReportData,
    redact: bool = False,
    overwrite: bool = False,
) -> None:
    """Write a report as one HTML file; `record` is what `--json` writes.

    Raises:
        OptionError: jinja2 is not installed.
        OutputError: the file exists and may not be overwritten, or cannot be written.
    """
    page = make_report(record, rows, facts=facts, redact=redact)
    with atomic_file(path, overwrite=overwrite) as new:
        new.write_text(page, encoding="utf-8")


def make_report(
    record: Mapping[str, Any], rows: Sequence[SpanComparison], *, facts: ReportData, redact: bool = False
) -> str:
    """Return a report's HTML."""
    atlas = make_report_rows(rows, redact=redact, look=facts.look)
    scores = record["scores"]
    labels = sorted(record.get("labels", {}).items(), key=lambda one: (-one[1]["gold"], one[0]))
    values = {
        "title": facts.title,
        "version": __version__,
        "record": record,
        "main": [name for name in _MAIN if name in scores] or list(scores)[:6],
        "unseen": record.get("unseen"),
        "labels": labels,
        "kinds": ERROR_TYPES,
        "kind_counts": atlas.counts,
        "by_label": _mistakes_by_label(atlas, [label for label, _ in labels]),
        "confusion": _confusion(record, [label for label, _ in labels]),
        "bins": record.get("reliability", []),
        "atlas": atlas,
        "card": facts.card,
        "charts": draw_charts(facts.history) if facts.history else [],
        "pictures": facts.pictures,
        "is_redacted": redact,
    }
    return render_page(atlas.to_dict(), values)


def _mistakes_by_label(atlas: ReportRows, labels: Sequence[str]) -> list[tuple[str, list[int], int]]:
    """Return for each label with mistakes how many there are of each kind, and in all."""
    counted = [(label, [atlas.by_label[label, kind] for kind in ERROR_TYPES]) for label in labels]
    rows = [(label, counts, sum(counts)) for label, counts in counted if any(counts)]
    return sorted(rows, key=lambda row: -row[2])


def _confusion(record: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """Return the matrix of labels: rows are gold, columns predicted, the last of each nothing."""
    cells = confusion_matrix(record["counts"])
    order = [*labels, NO_SPAN]
    matrix = [[cells.get((gold, found), 0) for found in order] for gold in order]
    return {"labels": order, "matrix": matrix, "rows": [max(sum(row), 1) for row in matrix]}

"""Redaction report: counts of replacements by label and by what found them, and of leaks."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from rich.table import Table as Grid
from rich.text import Text

from annoseq.deid.redaction import DetectionSource
from annoseq.errors import count_noun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from annoseq.deid.leak_check import LeakCounts
    from annoseq.deid.redaction import RedactedDocument, Replacement

_LOWEST_SCORES = 5
"""Number of scores listed for each label, so that people can look at those spans."""


@dataclass
class RedactionReport:
    """Counts over documents. It quotes no text."""

    documents: int = 0
    texts: int = 0
    counts: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Replacements by label and detection source."""
    without_surrogate: Counter[str] = field(default_factory=Counter)
    nested_spans: int = 0
    below_min_score: int = 0
    lowest_scores: defaultdict[str, list[tuple[float, str, int, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """Score, text id, start and end, by label."""
    documents_without_spans: list[str] = field(default_factory=list)
    leaks: LeakCounts | None = None
    left_out: int = 0
    """Number of rows or files that could not be read or had no gold."""

    def add(self, document: RedactedDocument) -> None:
        """Count a document. Offsets are those of the original texts."""
        self.documents += 1
        self.texts += len(document.texts)
        if not any(text.replacements for text in document.texts):
            self.documents_without_spans.append(document.id)
        for text in document.texts:
            self.nested_spans += text.nested_spans
            self.below_min_score += text.low_scores
            for replacement in text.replacements:
                self._add_replacement(text.id, replacement)
        for label, scores in self.lowest_scores.items():
            self.lowest_scores[label] = heapq.nsmallest(_LOWEST_SCORES, scores)
        if self.leaks is not None and document.leaks is not None:
            self.leaks.add(document.id, document.leaks)

    def _add_replacement(self, text_id: str, replacement: Replacement) -> None:
        span = replacement.span
        self.counts[span.label][span.source] += 1
        self.without_surrogate[span.label] += not replacement.is_surrogate
        if span.score is not None:
            self.lowest_scores[span.label].append((span.score, text_id, span.start, span.end))

    def to_dict(self, *, has_surrogates: bool) -> dict[str, Any]:
        """Return the counts as plain values."""
        values: dict[str, Any] = {
            "documents": self.documents,
            "texts": self.texts,
            "replaced": sum(counts.total() for counts in self.counts.values()),
            "within_others": self.nested_spans,
            "below_min_score": self.below_min_score,
            "labels": {
                label: self._label_values(label, has_surrogates=has_surrogates)
                for label in sorted(self.counts)
            },
            "documents_without_any_span": self.documents_without_spans,
        }
        if self.left_out:
            values["left_out"] = self.left_out
        if self.leaks is not None:
            values["leaks"] = self.leaks.to_dict()
        return values

    def _label_values(self, label: str, *, has_surrogates: bool) -> dict[str, Any]:
        counts = self.counts[label]
        without_surrogate = {"without_surrogate": self.without_surrogate[label]}
        return {
            "replaced": counts.total(),
            **{source: counts[source] for source in get_args(DetectionSource)},
            **(without_surrogate if has_surrogates else {}),
            "lowest_scores": [
                {"score": round(score, 6), "text": text, "start": start, "end": end}
                for score, text, start, end in self.lowest_scores.get(label, ())
            ],
        }


def print_report(values: Mapping[str, Any], console: Console) -> None:
    """Print the values of a report as a table of labels, with a summary below it."""
    has_surrogates = any("without_surrogate" in row for row in values["labels"].values())
    columns = ["replaced", *get_args(DetectionSource)]
    columns += ["without_surrogate"] if has_surrogates else []
    grid = Grid(box=None, pad_edge=False, header_style="")
    grid.add_column("label", overflow="fold")
    for name in (*columns, "lowest score"):
        grid.add_column(name.replace("_", " "), justify="right")
    for label, row in values["labels"].items():
        scores = row["lowest_scores"]
        lowest = f"{scores[0]['score']:.4f}" if scores else ""
        grid.add_row(Text(label), *(f"{row[name]:,}" for name in columns), lowest)
    console.print(grid)
    console.print(Text("\n".join(["", *_summary(values)])), soft_wrap=True)


def _summary(values: Mapping[str, Any]) -> list[str]:
    without_spans = values["documents_without_any_span"]
    lines = [
        f"replaced {count_noun(values['replaced'], 'span')} in "
        f"{count_noun(values['documents'], 'document')}"
    ]
    if values["below_min_score"]:
        lines.append(f"left as below --min-score: {count_noun(values['below_min_score'], 'span')}")
    if without_spans:
        lines.append(
            f"look at {count_noun(len(without_spans), 'document')} without any span, "
            "which report.json names"
        )
    if leaks := values.get("leaks"):
        share, recall = leaks["share_without_a_miss"], leaks["character_recall"]
        lines.append(
            f"against the gold: {_percent(share)} of {count_noun(leaks['documents'], 'document')} "
            f"without a missed identifier, {leaks['missed']:,} of "
            f"{count_noun(leaks['identifiers'], 'identifier')} missed, {_percent(recall)} of their "
            "characters replaced"
        )
    return lines


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{100 * share:.1f} %"

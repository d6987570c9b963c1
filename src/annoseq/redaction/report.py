"""What a run did, in counts: no text of a document is in it."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.table import Table as Grid
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from annoseq.redaction.document import Document, Redacted
    from annoseq.redaction.leaks import Leaks

_LOWEST = 5
"""How many of the lowest scores of each label are listed, to be looked at by people."""


@dataclass
class Report:
    """Counts over documents."""

    documents: int = 0
    texts: int = 0
    by_finder: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    without_surrogate: Counter[str] = field(default_factory=Counter)
    inner: int = 0
    left_alone: int = 0
    lowest: defaultdict[str, list[tuple[float, str, int, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    without_spans: list[str] = field(default_factory=list)
    leaks: Leaks | None = None

    def add(self, document: Document, redacted: Sequence[Redacted], *, min_score: float) -> None:
        """Count a document. Places are those of the original."""
        self.documents += 1
        self.texts += len(redacted)
        if not any(one.replacements for one in redacted):
            self.without_spans.append(document.id)
        for part, one in zip(document.parts, redacted, strict=True):
            self.inner += one.inner
            self.left_alone += sum(
                find.score is not None and find.score < min_score for find in part.finds
            )
            for change in one.replacements:
                old = change.old
                self.by_finder[old.label][old.by] += 1
                self.without_surrogate[old.label] += not change.is_made_up
                if old.score is not None:
                    self.lowest[old.label].append((old.score, part.id, old.start, old.end))
        for label, scores in self.lowest.items():
            self.lowest[label] = heapq.nsmallest(_LOWEST, scores)

    def to_dict(self, *, has_surrogates: bool) -> dict[str, Any]:
        """Return plain values."""
        labels = {
            label: {
                "replaced": counts.total(),
                **{finder: counts[finder] for finder in ("model", "pattern", "propagated")},
                **({"without_surrogate": self.without_surrogate[label]} if has_surrogates else {}),
                "lowest_scores": [
                    {"score": round(score, 6), "text": text, "start": start, "end": end}
                    for score, text, start, end in self.lowest.get(label, ())
                ],
            }
            for label, counts in sorted(self.by_finder.items())
        }
        found: dict[str, Any] = {
            "documents": self.documents,
            "texts": self.texts,
            "replaced": sum(counts.total() for counts in self.by_finder.values()),
            "within_others": self.inner,
            "below_min_score": self.left_alone,
            "labels": labels,
            "documents_without_any_span": self.without_spans,
        }
        if self.leaks is not None:
            found["leaks"] = self.leaks.to_dict()
        return found


def show(found: dict[str, Any], console: Console) -> None:
    """Print a report as a table, and what to look at below it."""
    has_surrogates = any("without_surrogate" in row for row in found["labels"].values())
    grid = Grid(box=None, pad_edge=False, header_style="")
    grid.add_column("label", overflow="fold")
    columns = ["replaced", "model", "pattern", "propagated"]
    columns += ["without_surrogate"] if has_surrogates else []
    for name in (*columns, "lowest score"):
        grid.add_column(name.replace("_", " "), justify="right")
    for label, row in found["labels"].items():
        scores = row["lowest_scores"]
        lowest = f"{scores[0]['score']:.4f}" if scores else ""
        grid.add_row(Text(label), *(f"{row[name]:,}" for name in columns), lowest)
    console.print(grid)
    console.print(Text("\n".join(["", *_remarks(found)])), soft_wrap=True)


def _remarks(found: dict[str, Any]) -> list[str]:
    empty = found["documents_without_any_span"]
    lines = [f"replaced {found['replaced']:,} pieces in {found['documents']:,} documents"]
    if found["below_min_score"]:
        lines.append(f"left alone {found['below_min_score']:,} spans below --min-score")
    if empty:
        lines.append(f"look at {len(empty):,} documents without any span (report.json names them)")
    if leaks := found.get("leaks"):
        share, recall = leaks["share_without_a_miss"], leaks["character_recall"]
        lines.append(
            f"against the gold: {_percent(share)} of {leaks['documents']:,} documents without a "
            f"missed identifier, {leaks['missed']:,} of {leaks['identifiers']:,} identifiers "
            f"missed, {_percent(recall)} of their characters replaced"
        )
    return lines


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{100 * share:.1f} %"

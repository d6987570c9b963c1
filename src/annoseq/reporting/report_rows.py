"""Rows of a report: errors, the longest rows, and texts with masked words."""

from __future__ import annotations

import string
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from annoseq.evaluation.error_analysis import ERROR_TYPES, find_span_errors
from annoseq.tokenization.pretokenizer import is_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from annoseq.data.markup import Span
    from annoseq.evaluation.counts import SpanComparison
    from annoseq.evaluation.error_analysis import SpanError
    from annoseq.inference.attention_map import AttentionMap


_KEPT = frozenset(string.punctuation)


def mask_words(text: str) -> str:
    """Write A for capitals, a for other letters, 0 for digits; keep spaces and ASCII punctuation.

    Every character becomes one, so that offsets stay. What is none of these becomes a question
    mark. The lengths of words remain, and punctuation: it is a shape, not a proof of anonymity.

    >>> shape("Dr. Ames, 31yo")
    'Aa. Aaaa, 00aa'
    """
    return "".join(map(_shape, text))


def _shape(character: str) -> str:
    if character.isspace():
        return " "
    if character in _KEPT:
        return character
    kind = unicodedata.category(character)
    if kind in {"Lu", "Lt"}:
        return "A"
    if kind[0] in "LM":
        return "a"
    return "0" if kind[0] == "N" else "?"


_SHOWN = 10
"""How many of the longest and of the hardest rows are listed."""
_DIGITS = 4
_MOST_CELLS = 1_500_000
"""Cells of all attention maps, a byte each: a report should stay below 5 MB."""


@dataclass
class ReportRows:
    """What the page is given of the rows; rows and labels are named by their places in lists."""

    labels: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    mistakes: list[list[Any]] = field(default_factory=list)
    """[row, kind, label, score, gold spans' places in the row, predicted spans', wrong label]"""
    counts: Counter[str] = field(default_factory=Counter)
    by_label: Counter[tuple[str, str]] = field(default_factory=Counter)
    longest: list[int] = field(default_factory=list)
    hardest: list[int] = field(default_factory=list)
    maps: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return what the page's script reads."""
        return {
            "labels": self.labels,
            "kinds": list(ERROR_TYPES),
            "rows": self.rows,
            "mistakes": self.mistakes,
        }


def make_report_rows(
    comparisons: Sequence[SpanComparison],
    *,
    redact: bool,
    look: Callable[[SpanComparison], AttentionMap | None] | None = None,
) -> ReportRows:
    """Class every mistake, and keep the rows that show one.

    With `redact`, texts become shapes and a row's id its place in the table. `look` maps a
    model's attention; it is asked for rows until the maps together are large.
    """
    atlas = ReportRows()
    atlas.labels = sorted({span.label for row in comparisons for span in row.gold + row.predicted})
    label_of = {label: place for place, label in enumerate(atlas.labels)}
    by_length = sorted(range(len(comparisons)), key=lambda place: -len(comparisons[place].text))
    long = set(by_length[:_SHOWN])
    kept: dict[int, int] = {}
    for place, row in enumerate(comparisons):
        found = find_span_errors(row.gold, row.predicted)
        if found or place in long:
            kept[place] = len(atlas.rows)
            atlas.rows.append(_row(place, row, label_of, redact=redact))
        for mistake in found:
            atlas.mistakes.append(_mistake(kept[place], row, mistake, label_of))
            atlas.counts[mistake.kind] += 1
            atlas.by_label[mistake.label, mistake.kind] += 1
    atlas.longest = [kept[place] for place in by_length[:_SHOWN]]
    if look:
        _add_maps(atlas, kept, comparisons, look, redact=redact)
    per_row = Counter(one[0] for one in atlas.mistakes)
    atlas.hardest = [row for row, _ in per_row.most_common(_SHOWN)]
    return atlas


def _add_maps(
    atlas: ReportRows,
    kept: dict[int, int],
    comparisons: Sequence[SpanComparison],
    look: Callable[[SpanComparison], AttentionMap | None],
    *,
    redact: bool,
) -> None:
    cells = 0
    for place, index in kept.items():
        if cells > _MOST_CELLS:
            return
        if found := look(comparisons[place]):
            cells += len(found.source) * len(found.written)
            source, written = (
                [one if is_tag(one) or not redact else mask_words(one) for one in tokens]
                for tokens in (found.source, found.written)
            )
            atlas.rows[index]["attention"] = [source, written, found.weights]
            atlas.maps += 1


def _row(place: int, row: SpanComparison, label_of: dict[str, int], *, redact: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": str(place + 1) if redact else row.id,
        "text": mask_words(row.text) if redact else row.text,
        "gold": [_span(span, label_of) for span in sorted(row.gold)],
        "predicted": [_span(span, label_of) for span in sorted(row.predicted)],
    }
    if row.is_unseen is not None:
        found["unseen"] = row.is_unseen
    return found


def _span(span: Span, label_of: dict[str, int]) -> list[float | int]:
    found: list[float | int] = [span.start, span.end, label_of[span.label]]
    return found if span.score is None else [*found, round(span.score, _DIGITS)]


def _mistake(index: int, row: SpanComparison, mistake: SpanError, label_of: dict[str, int]) -> list[Any]:
    score = None if mistake.score is None else round(mistake.score, _DIGITS)
    return [
        index,
        list(ERROR_TYPES).index(mistake.kind),
        label_of[mistake.label],
        score,
        _places(mistake.gold, row.gold),
        _places(mistake.predicted, row.predicted),
        int(mistake.has_wrong_label),
    ]


def _places(some: Iterable[Span], every: Iterable[Span]) -> list[int]:
    """Return where spans stand among the sorted spans of their side."""
    ordered = sorted(every)
    return [ordered.index(span) for span in some]

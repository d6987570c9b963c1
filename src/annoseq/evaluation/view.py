"""Scores as lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from annoseq.evaluation.scorer import LabelScore, Part, Score

_WIDTH = 20
_FEW = (
    "span_precision",
    "span_recall",
    "span_f1",
    "macro_f1",
    "character_recall",
    "document_recall",
    "leak",
    "exact_match",
)
"""Scores that are shown of a part of the rows."""


def score_lines(part: Part, *, apart: bool = False) -> Iterator[str]:
    """Write the scores of a part, one on a line; with `apart` the main ones, without labels."""
    for name, score in part.scores().items():
        if not apart or name in _FEW:
            yield f"{name:{_WIDTH}} {score_text(score)}"
    yield f"{'rows':{_WIDTH}} {part.rows}"
    if apart:
        return
    labels = part.label_scores()
    if labels:
        width = max(map(len, labels))
        yield ""
        yield f"{'label':{width}}  {'gold':>6}  {'found':>6}  precision  recall      f1  (95 %)"
        for label, one in sorted(labels.items(), key=lambda item: (-item[1].gold, item[0])):
            yield _label_line(f"{label:{width}}", one)


def score_text(score: Score) -> str:
    """Write a score and its interval."""
    if score.interval is None:
        return f"{score.value:.4f}"
    return f"{score.value:.4f}  ({score.interval.low:.4f} to {score.interval.high:.4f})"


def _label_line(label: str, one: LabelScore) -> str:
    return (
        f"{label}  {one.gold:6d}  {one.predicted:6d}  {one.precision.value:9.4f}  "
        f"{one.recall.value:6.4f}  {score_text(one.f1)}"
    )

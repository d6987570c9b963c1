"""Training as line charts that a page draws itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.models.serialization import TrainingHistory

WIDTH, HEIGHT = 300, 160
"""Of the drawing, in its own units."""


class ChartLine(NamedTuple):
    """A line: its name, its points as SVG has them, its values in words, and whether they stand
    apart."""

    name: str
    points: str
    values: str
    is_dotted: bool


class Chart(NamedTuple):
    """Lines over the same steps or epochs, between the values `low` and `high`."""

    title: str
    below: str
    low: str
    high: str
    lines: list[ChartLine]


class _Curve(NamedTuple):
    """Values at places between 0 and 1."""

    name: str
    places: Sequence[float]
    values: Sequence[float]
    is_dotted: bool = False


def draw_charts(history: TrainingHistory) -> list[Chart]:
    """Return the charts of a training: loss, learning rate, and the scores of the epochs."""
    epochs = history.epochs
    ends = [place / len(epochs) for place in range(1, len(epochs) + 1)]
    steps = [place / len(history.losses) for place in range(1, len(history.losses) + 1)]
    valid = [row.valid_loss for row in epochs]
    loss = [_Curve("training", steps, history.losses), _Curve("validation", ends, valid, True)]
    rate = [_Curve("learning rate", steps, history.rates)]
    names = list(epochs[0].scores) if epochs else []
    scores = [
        _Curve(name.replace("_", " "), ends, [row.scores[name] for row in epochs], True)
        for name in names
    ]
    by_step = f"{history.steps:,} steps"
    by_epoch = f"epochs {epochs[0].epoch} to {epochs[-1].epoch}" if epochs else "no epoch"
    return [
        _chart("Loss", by_step, loss),
        _chart("Learning rate", by_step, rate),
        _chart("Scores on validation rows", by_epoch, scores, high=1.0),
    ]


def _chart(title: str, below: str, curves: Sequence[_Curve], *, high: float | None = None) -> Chart:
    every = [value for curve in curves for value in curve.values]
    top = high if high is not None else max(every, default=1.0)
    bottom = min(0.0, min(every, default=0.0))
    span = (top - bottom) or 1.0
    lines = []
    for name, places, values, is_dotted in curves:
        points = " ".join(
            f"{place * WIDTH:.1f},{(1 - (value - bottom) / span) * HEIGHT:.1f}"
            for place, value in zip(places, values, strict=True)
        )
        said = ", ".join(f"{value:.4g}" for value in values) if is_dotted else ""
        lines.append(ChartLine(name, points, said, is_dotted))
    return Chart(title, below, f"{bottom:.3g}", f"{top:.3g}", lines)

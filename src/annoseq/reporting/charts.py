"""Training curves, the coverage curve and learning curves as SVG line charts."""

from __future__ import annotations

from math import floor, log, log10
from typing import TYPE_CHECKING, NamedTuple

from annoseq.errors import count_noun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.evaluation.coverage_scores import CoverageScores
    from annoseq.evaluation.sample_size import LearningCurve
    from annoseq.models.model_config import TrainingHistory

WIDTH, HEIGHT = 300, 160
"""Size of a chart in SVG units."""
_LEAST_OTHER_SHARE = 1e-4
"""Share of marked other tokens at the left end of the coverage chart."""


class ChartLine(NamedTuple):
    """A line: its name, its SVG points, and its values as text if they are few.

    `is_dotted` sets values of epochs off from those of steps.
    """

    name: str
    points: str
    values: str
    is_dotted: bool


class Chart(NamedTuple):
    """Lines over the same steps or epochs, with the labels of the axes.

    `low` and `high` are the ends of the y axis, `x_label` is the name of the x axis.
    """

    title: str
    x_label: str
    low: str
    high: str
    lines: list[ChartLine]


class _Curve(NamedTuple):
    """Values at x positions between 0 and 1."""

    name: str
    positions: Sequence[float]
    values: Sequence[float]
    is_dotted: bool = False


def draw_charts(history: TrainingHistory) -> list[Chart]:
    """Return charts of the loss, the learning rate, and the validation scores of a training."""
    epochs = history.epochs
    epoch_ends = _positions(len(epochs))
    steps = _positions(len(history.losses))
    validation_losses = [epoch.valid_loss for epoch in epochs]
    names = list(epochs[0].scores) if epochs else []
    scores = [
        _Curve(name.replace("_", " "), epoch_ends, [epoch.scores[name] for epoch in epochs], True)
        for name in names
    ]
    step_label = count_noun(history.steps, "step")
    epoch_label = f"epochs {epochs[0].epoch} to {epochs[-1].epoch}" if epochs else "no epoch"
    return [
        _chart(
            "Loss",
            step_label,
            [
                _Curve("training", steps, history.losses),
                _Curve("validation", epoch_ends, validation_losses, True),
            ],
        ),
        _chart("Learning rate", step_label, [_Curve("learning rate", steps, history.rates)]),
        _chart("Scores on validation rows", epoch_label, scores, high=1.0),
    ]


def draw_coverage(scores: CoverageScores) -> Chart:
    """Return the chart of coverage against the share of other tokens that is marked."""
    points = [point for point in scores.curve if point.other_share >= _LEAST_OTHER_SHARE]
    positions = [1 - log10(point.other_share) / log10(_LEAST_OTHER_SHARE) for point in points]
    covered = [point.coverage for point in points]
    clean = [point.clean_share for point in points]
    low = floor(10 * min([*covered, *clean], default=0.0)) / 10
    return _chart(
        "Coverage",
        "other tokens marked: 0.01 % to 100 %, logarithmic",
        [
            _Curve("identifiers covered", positions, covered),
            _Curve("documents without a miss", positions, clean),
        ],
        low=low,
        high=1.0,
    )


def draw_learning_curve(curve: LearningCurve) -> Chart:
    """Return the chart of F1 and coverage by number of documents, up to twice those there are."""
    first, last = (curve.f1.fitted[place].documents for place in (0, -1))

    def position(documents: int) -> float:
        return log(documents / first) / log(last / first)

    curves = []
    for name, scores in (("F1", curve.f1), ("coverage", curve.coverage)):
        fitted, points = scores.fitted, scores.points
        curves += [
            _Curve(
                f"{name}, fitted",
                [position(point.documents) for point in fitted],
                [point.score for point in fitted],
            ),
            _Curve(
                f"{name}, measured",
                [position(point.documents) for point in points],
                [point.score for point in points],
                is_dotted=True,
            ),
        ]
    label = f"documents: {first:,} to {last:,}, logarithmic"
    return _chart("Learning curve", label, curves, low=0.0, high=1.0)


def _positions(count: int) -> list[float]:
    """Return the x positions of the ends of some intervals of equal width."""
    return [number / count for number in range(1, count + 1)]


def _chart(
    title: str,
    x_label: str,
    curves: Sequence[_Curve],
    *,
    low: float | None = None,
    high: float | None = None,
) -> Chart:
    values = [value for curve in curves for value in curve.values]
    top = high if high is not None else max(values, default=1.0)
    bottom = low if low is not None else min(0.0, min(values, default=0.0))
    lines = [_line(curve, bottom, (top - bottom) or 1.0) for curve in curves]
    return Chart(title, x_label, f"{bottom:.3g}", f"{top:.3g}", lines)


def _line(curve: _Curve, bottom: float, height: float) -> ChartLine:
    points = " ".join(
        f"{position * WIDTH:.1f},{(1 - (value - bottom) / height) * HEIGHT:.1f}"
        for position, value in zip(curve.positions, curve.values, strict=True)
    )
    texts = (f"{value:.4g}" for value in curve.values if curve.is_dotted)
    return ChartLine(curve.name, points, ", ".join(texts), curve.is_dotted)

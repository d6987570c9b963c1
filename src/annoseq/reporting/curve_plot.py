"""Picture of a learning curve: scores of all trainings, fitted curves, and forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.atomic_io import atomic_file

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from annoseq.evaluation.sample_size import LearningCurve, ScoreCurve

_NAMES = (("f1", "span F1", "C0"), ("coverage", "coverage", "C1"))


def plot_learning_curve(curve: LearningCurve, *, path: Path | None = None) -> Figure:
    """Plot F1 and coverage by number of documents, up to twice those that there are.

    Dots are single trainings, and bars the 95 % interval of their mean; a band is the interval of
    one training.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 5.5), layout="constrained")
    plt.close(figure)  # a notebook shows the returned figure; nothing else need hold it
    for field, name, colour in _NAMES:
        _plot_score(axes, getattr(curve, field), name, colour)
    axes.axvline(curve.documents, color="0.6", linewidth=0.8)
    axes.annotate("documents now", (curve.documents, 0), (2, 2), textcoords="offset points")
    axes.set_xscale("log")
    axes.set_xlabel("documents")
    axes.set_ylabel("score of held-back documents")
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3, which="both", linewidth=0.5)
    axes.legend(loc="lower right", frameon=False)
    if path is not None:
        with atomic_file(path, overwrite=True) as new:
            figure.savefig(new, dpi=120)
    return figure


def _plot_score(axes: Axes, curve: ScoreCurve, name: str, colour: str) -> None:
    sizes = [point.documents for point in curve.points]
    for repeat in zip(*(point.repeats for point in curve.points), strict=True):
        axes.plot(sizes, repeat, ".", color=colour, alpha=0.4)
    scores = [point.score for point in curve.points]
    bars = [
        [point.score - point.low for point in curve.points],
        [point.high - point.score for point in curve.points],
    ]
    axes.errorbar(sizes, scores, yerr=bars, fmt="o", color=colour, markersize=4, capsize=2)
    places = [point.documents for point in curve.fitted]
    label = f"{name}, {curve.form}"
    axes.plot(places, [point.score for point in curve.fitted], color=colour, label=label)
    lows, highs = [p.low for p in curve.fitted], [p.high for p in curve.fitted]
    axes.fill_between(places, lows, highs, color=colour, alpha=0.12, linewidth=0)
    if curve.target:
        axes.axhline(curve.target.target, color=colour, linestyle=":", linewidth=0.8)

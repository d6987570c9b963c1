"""The curves of all runs in one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.files import replacing
from annoseq.training.sweep.table import describe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from annoseq.training.sweep.run import Run

_NAMED = 12
"""Most runs that are told apart by colour; the others are grey."""
_DASHES = ("-", "--", ":")


def plot_runs(runs: Sequence[Run], varied: Sequence[str], *, path: Path | None = None) -> Figure:
    """Draw the score of each run by epoch, the best of all with a star.

    `runs` come best first, and the legend below names them in that order.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    drawn = [run for run in runs if run.epochs]
    lines = min(len(drawn), _NAMED) + 2
    figure, axes = plt.subplots(figsize=(9, 5 + 0.19 * lines), layout="constrained")
    plt.close(figure)  # a notebook shows the returned figure; nothing else need hold it
    for place, run in enumerate(drawn):
        _draw(axes, run, place, varied)
    if len(drawn) > _NAMED:
        axes.plot([], [], color="0.8", linewidth=0.8, label=f"{len(drawn) - _NAMED} others")
    _mark_best(axes, drawn)
    axes.set(xlabel="epoch", ylabel=f"{_criterion(drawn)}, validation")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if drawn:
        figure.legend(loc="outside lower left", fontsize="small", frameon=False)
    if path is not None:
        with replacing(path, overwrite=True) as new:
            figure.savefig(new, dpi=120)
    return figure


def _draw(axes: Axes, run: Run, place: int, varied: Sequence[str]) -> None:
    """Draw a run: ended early with crosses, named by its colour and dashes if it is a good one."""
    epochs = [row.epoch for row in run.epochs]
    scores = [row.score for row in run.epochs]
    if place >= _NAMED:
        axes.plot(epochs, scores, color="0.8", linewidth=0.8, zorder=1)
        return
    axes.plot(
        epochs,
        scores,
        color=f"C{place % 10}",
        linestyle=_DASHES[place // 4 % 3],
        marker="." if run.state == "finished" else "x",
        label=_label(run, varied),
    )


def _criterion(runs: Sequence[Run]) -> str:
    return runs[0].epochs[0].criterion.replace("_", " ") if runs else "score"


def _label(run: Run, varied: Sequence[str]) -> str:
    best = f"{run.best.score:.4f}  " if run.best else ""
    state = "" if run.state == "finished" else f" ({run.state})"
    return f"{best}run {run.number}: {describe(run, varied)}{state}"


def _mark_best(axes: Axes, runs: Sequence[Run]) -> None:
    if runs and runs[0].score is not None and (best := runs[0].best):
        axes.plot(
            best.epoch,
            best.score,
            "*",
            color="black",
            markersize=14,
            zorder=5,
            label=f"best: run {runs[0].number}, epoch {best.epoch}",
        )

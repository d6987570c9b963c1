"""Results of a sweep: records of runs, the table of results, and the plot of learning curves."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from rich.table import Table

from annoseq.atomic_io import atomic_file
from annoseq.errors import TrainingError
from annoseq.training.recorder import Epoch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from annoseq.training.sweep.search_space import Value


RunState = Literal["finished", "pruned", "diverged", "out of memory"]


@dataclass(frozen=True)
class SweepRun:
    """Record of a run: its number from 1, its settings and its epochs.

    `score` is the validation score of the weights that training kept; None unless `state` is
    finished.
    """

    number: int
    state: RunState
    settings: Mapping[str, Value]
    epochs: list[Epoch]
    score: float | None = None

    @property
    def best(self) -> Epoch | None:
        """Epoch with the highest score; of equal scores, the one with the lowest loss."""
        return max(self.epochs, key=lambda epoch: (epoch.score, -epoch.valid_loss), default=None)

    @property
    def rank(self) -> tuple[float, float, int]:
        """Sort key, higher for better runs: score, then best epoch's score, then earlier number."""
        score = -1.0 if self.score is None else self.score
        return score, self.best.score if self.best else -1.0, -self.number

    @property
    def seconds(self) -> float:
        """Training time of all epochs."""
        return sum(epoch.time for epoch in self.epochs)

    def write(self, path: Path) -> None:
        """Write the record as JSON."""
        with atomic_file(path, overwrite=True) as new:
            new.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> SweepRun:
        """Read a record that `write` wrote.

        Raises:
            TrainingError: the file cannot be read or is damaged.
        """
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            fields["epochs"] = [Epoch(**epoch) for epoch in fields["epochs"]]
            return cls(**fields)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise TrainingError(
                f"{path} is damaged. Delete it, and --resume trains this run again."
            ) from error


Metric = int | float | None
METRICS = (
    "start_score",
    "end_score",
    "best_score",
    "best_epoch",
    "final_epoch",
    "valid_loss",
    "train_loss",
    "seconds",
)


def run_metrics(run: SweepRun) -> dict[str, Metric]:
    """Return the metrics of a run: scores, and losses of its best epoch."""
    best = run.best
    if best is None:
        return dict.fromkeys(METRICS)
    first, last = run.epochs[0], run.epochs[-1]
    values: tuple[Metric, ...] = (
        first.score,
        last.score,
        best.score,
        best.epoch,
        last.epoch,
        best.valid_loss,
        best.train_loss,
        round(run.seconds, 1),
    )
    return dict(zip(METRICS, values, strict=True))


def setting_names(runs: Sequence[SweepRun]) -> list[str]:
    """Return the names of all settings of some runs, in the order in which they were given."""
    return list(dict.fromkeys(name for run in runs for name in run.settings))


def write_results(runs: Sequence[SweepRun], path: Path) -> None:
    """Write a CSV table with a row for each run and columns for all settings and metrics."""
    names = setting_names(runs)
    rows = [
        {"run": run.number, "state": run.state, **run.settings, **run_metrics(run)} for run in runs
    ]
    with (
        atomic_file(path, overwrite=True) as new,
        new.open("w", encoding="utf-8", newline="") as out,
    ):
        writer = csv.DictWriter(out, ["run", "state", *names, *METRICS])
        writer.writeheader()
        writer.writerows(rows)


def results_table(runs: Sequence[SweepRun], varied: Sequence[str]) -> Table:
    """Return a table for the terminal, with the settings that vary between the runs."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("run", *varied, "start", "end", "best", "in epoch", "of", "time"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for rank, run in enumerate(runs):
        style = "bold" if rank == 0 and run.score is not None else None
        table.add_row(*_row(run, varied), style=style)
    return table


def _row(run: SweepRun, varied: Sequence[str]) -> list[str]:
    metrics = run_metrics(run)
    return [
        str(run.number),
        *(format_value(run.settings.get(name, "")) for name in varied),
        *(_format_score(metrics[name]) for name in ("start_score", "end_score", "best_score")),
        *(str(metrics[name] or "") for name in ("best_epoch", "final_epoch")),
        "{:02d}:{:02d}".format(*divmod(round(run.seconds), 60)),
        run.state,
    ]


def format_value(value: Value) -> str:
    """Return a setting's value with at most four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def describe_settings(run: SweepRun, varied: Sequence[str]) -> str:
    """Return the varied settings of a run, such as `max_lr 0.001, batch_size 64`."""
    settings = run.settings
    return ", ".join(
        f"{name} {format_value(settings[name])}" for name in varied if name in settings
    )


def _format_score(score: Metric) -> str:
    return f"{score:.4f}" if isinstance(score, float) else ""


_MAX_NAMED = 12
"""Runs that have a colour and a place in the legend; the others are grey."""
_DASHES = ("-", "--", ":")


def plot_runs(
    runs: Sequence[SweepRun], varied: Sequence[str], *, path: Path | None = None
) -> Figure:
    """Plot the score of each run by epoch, with a star at the best of all.

    `runs` are sorted, the best first; so is the legend.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    plotted = [run for run in runs if run.epochs]
    lines = min(len(plotted), _MAX_NAMED) + 2
    figure, axes = plt.subplots(figsize=(9, 5 + 0.19 * lines), layout="constrained")
    plt.close(figure)  # a notebook shows the returned figure; nothing else need hold it
    for rank, run in enumerate(plotted):
        _plot_run(axes, run, rank, varied)
    if len(plotted) > _MAX_NAMED:
        axes.plot([], [], color="0.8", linewidth=0.8, label=f"and {len(plotted) - _MAX_NAMED} more")
    _mark_best(axes, plotted)
    axes.set(xlabel="epoch", ylabel=f"{_criterion(plotted)}, validation")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if plotted:
        figure.legend(loc="outside lower left", fontsize="small", frameon=False)
    if path is not None:
        with atomic_file(path, overwrite=True) as new:
            figure.savefig(new, dpi=120)
    return figure


def _plot_run(axes: Axes, run: SweepRun, rank: int, varied: Sequence[str]) -> None:
    """Plot a run, with crosses if it ended early; only the best runs have a colour and a name."""
    epochs = [epoch.epoch for epoch in run.epochs]
    scores = [epoch.score for epoch in run.epochs]
    if rank >= _MAX_NAMED:
        axes.plot(epochs, scores, color="0.8", linewidth=0.8, zorder=1)
        return
    axes.plot(
        epochs,
        scores,
        color=f"C{rank % 10}",
        linestyle=_DASHES[rank // 4 % 3],
        marker="." if run.state == "finished" else "x",
        label=_label(run, varied),
    )


def _criterion(runs: Sequence[SweepRun]) -> str:
    return runs[0].epochs[0].criterion.replace("_", " ") if runs else "score"


def _label(run: SweepRun, varied: Sequence[str]) -> str:
    best = f"{run.best.score:.4f}  " if run.best else ""
    state = "" if run.state == "finished" else f" ({run.state})"
    return f"{best}run {run.number}: {describe_settings(run, varied)}{state}"


def _mark_best(axes: Axes, runs: Sequence[SweepRun]) -> None:
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

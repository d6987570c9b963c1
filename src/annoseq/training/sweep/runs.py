"""Runs of a sweep: their records, the table of results and the plot of their curves."""

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


State = Literal["finished", "pruned", "diverged", "out of memory"]


@dataclass(frozen=True)
class Run:
    """A run that has ended: its number from 1, its settings and its epochs.

    `score` is that of the weights that training kept, on the validation rows. Only a finished run
    has one.
    """

    number: int
    state: State
    settings: Mapping[str, Value]
    epochs: list[Epoch]
    score: float | None = None

    @property
    def best(self) -> Epoch | None:
        """The epoch whose weights training keeps: the highest score, of equals the lowest loss."""
        return max(self.epochs, key=lambda row: (row.score, -row.valid_loss), default=None)

    @property
    def rank(self) -> tuple[float, float, int]:
        """What the better of two runs has more of: its score, then its epochs', then age."""
        score = -1.0 if self.score is None else self.score
        return score, self.best.score if self.best else -1.0, -self.number

    @property
    def seconds(self) -> float:
        """The time that its epochs took."""
        return sum(row.time for row in self.epochs)

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        with atomic_file(path, overwrite=True) as new:
            new.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Run:
        """Read what `write` wrote.

        Raises:
            TrainingError: the file is damaged.
        """
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            found["epochs"] = [Epoch(**row) for row in found["epochs"]]
            return cls(**found)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise TrainingError(
                f"{path} is damaged. Delete it, and --resume trains this run again."
            ) from error


Cell = int | float | None
FIGURES = (
    "start_score",
    "end_score",
    "best_score",
    "best_epoch",
    "final_epoch",
    "valid_loss",
    "train_loss",
    "seconds",
)


def figures(run: Run) -> dict[str, Cell]:
    """Return what became of a run: scores, and other figures of the best epoch."""
    best = run.best
    if best is None:
        return dict.fromkeys(FIGURES)
    first, last = run.epochs[0], run.epochs[-1]
    cells: tuple[Cell, ...] = (
        first.score,
        last.score,
        best.score,
        best.epoch,
        last.epoch,
        best.valid_loss,
        best.train_loss,
        round(run.seconds, 1),
    )
    return dict(zip(FIGURES, cells, strict=True))


def columns(runs: Sequence[Run]) -> list[str]:
    """Return the settings that some of the runs have, in the order in which they were given."""
    return list(dict.fromkeys(name for run in runs for name in run.settings))


def write_table(runs: Sequence[Run], path: Path) -> None:
    """Write a row for each run, all of whose settings and figures are columns."""
    names = columns(runs)
    rows = [{"run": run.number, "state": run.state, **run.settings, **figures(run)} for run in runs]
    with atomic_file(path, overwrite=True) as new, new.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, ["run", "state", *names, *FIGURES])
        writer.writeheader()
        writer.writerows(rows)


def show_table(runs: Sequence[Run], varied: Sequence[str]) -> Table:
    """Return a table for the terminal, with the settings that differ between the runs."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("run", *varied, "start", "end", "best", "in epoch", "of", "time"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for place, run in enumerate(runs):
        style = "bold" if place == 0 and run.score is not None else None
        table.add_row(*_row(run, varied), style=style)
    return table


def _row(run: Run, varied: Sequence[str]) -> list[str]:
    found = figures(run)
    return [
        str(run.number),
        *(text_of(run.settings.get(name, "")) for name in varied),
        *(_share(found[name]) for name in ("start_score", "end_score", "best_score")),
        *(str(found[name] or "") for name in ("best_epoch", "final_epoch")),
        "{:02d}:{:02d}".format(*divmod(round(run.seconds), 60)),
        run.state,
    ]


def text_of(value: Value) -> str:
    """Return a value as short as it can be read."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def describe(run: Run, varied: Sequence[str]) -> str:
    """Return what sets a run apart from the others: `max_lr 0.001, batch_size 64`."""
    known = run.settings
    return ", ".join(f"{name} {text_of(known[name])}" for name in varied if name in known)


def _share(cell: Cell) -> str:
    return f"{cell:.4f}" if isinstance(cell, float) else ""


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
        with atomic_file(path, overwrite=True) as new:
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

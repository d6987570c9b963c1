"""The table of runs, in a file and on the terminal."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from rich.table import Table

from annoseq.files import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from annoseq.training.sweep.run import Run
    from annoseq.training.sweep.settings import Value

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
    with replacing(path, overwrite=True) as new, new.open("w", encoding="utf-8", newline="") as out:
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

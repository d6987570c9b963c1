from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from PIL import Image
from rich.console import Console

from annoseq.training.sweep.results import (
    SweepRun,
    describe_settings,
    plot_runs,
    results_table,
    write_results,
)
from tests.training.sweep.fake_runs import run_of

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

RUNS = [run_of(2, 0.1, 0.5, 0.4), run_of(1, 0.2), run_of(3, state="diverged")]


def test_the_file_has_all_settings_and_figures(tmp_path: Path) -> None:
    write_results(RUNS, tmp_path / "runs.csv")
    with (tmp_path / "runs.csv").open(newline="") as file:
        first, _, last = csv.DictReader(file)
    assert first == {
        "run": "2",
        "state": "finished",
        "max_lr": "0.002",
        "batch_size": "64",
        "start_score": "0.1",
        "end_score": "0.4",
        "best_score": "0.5",
        "best_epoch": "2",
        "final_epoch": "3",
        "valid_loss": "3.0",
        "train_loss": "2.0",
        "seconds": "3.0",
    }
    assert (last["state"], last["max_lr"], last["best_score"]) == ("diverged", "0.003", "")


def test_the_terminal_shows_what_differs() -> None:
    console = Console(file=io.StringIO(), width=200)
    console.print(results_table(RUNS, ["max_lr"]))
    heading, first, second, third = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    names = ["run", "max_lr", "start", "end", "best", "in", "epoch", "of"]
    assert heading.split() == [*names, "time", "state"]
    assert first.split() == [
        *("2", "0.002", "0.1000", "0.4000", "0.5000", "2", "3", "00:03", "finished")
    ]
    assert second.split()[0] == "1"
    assert third.split() == ["3", "0.003", "00:00", "diverged"]


def test_a_run_is_described_by_what_differs() -> None:
    assert describe_settings(RUNS[0], ["batch_size", "max_lr"]) == "batch_size 64, max_lr 0.002"
    assert describe_settings(RUNS[0], ["gru.hidden"]) == ""


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_picture_names_the_runs_and_marks_the_best(tmp_path: Path) -> None:
    figure = plot_runs(RUNS, ["max_lr"], path=tmp_path / "sweep.png")
    assert legend(figure) == [
        "0.5000  run 2: max_lr 0.002",
        "0.2000  run 1: max_lr 0.001",
        "best: run 2, epoch 2",
    ]
    star = figure.axes[0].lines[-1]
    assert (star.get_xdata(), star.get_ydata()) == ([2], [0.5])
    with Image.open(tmp_path / "sweep.png") as image:
        image.load()
        assert min(image.size) > 100


def test_of_many_runs_twelve_are_named() -> None:
    runs = [run_of(number, 1 / number, 0.0) for number in range(1, 31)]
    figure = plot_runs(runs, ["max_lr"])
    names = legend(figure)
    assert len(names) == 14
    assert names[-2:] == ["and 18 more", "best: run 1, epoch 1"]
    styles = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines[:12]}
    assert len(styles) == 12


def test_no_run_is_an_empty_picture() -> None:
    assert plot_runs([], []).legends == []
    assert plot_runs([SweepRun(1, "diverged", {}, [])], []).legends == []

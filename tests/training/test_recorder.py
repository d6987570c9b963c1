from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from annoseq.training.recorder import Epoch, Recorder, smooth

if TYPE_CHECKING:
    from pathlib import Path

SCORES = {"padded_accuracy": 0.5, "token_accuracy": 0.25, "exact_match": 0.125}


def epoch(number: int, *, time: float = 61.6) -> Epoch:
    return Epoch(number, 1.23456, 2.0, SCORES, "token_accuracy", 100.0, time)


def recorder() -> Recorder:
    found = Recorder()
    for number in (1, 2):
        found.add(epoch(number), rates=[0.1, 0.2], losses=[3.0, 2.0])
    return found


def test_a_row_stands_under_its_heading() -> None:
    heading, row = Epoch.header(SCORES), str(epoch(3))
    assert row.split() == ["3", "1.2346", "2.0000", "0.5000", "0.2500", "0.1250", "01:02"]
    assert len(row) == len(heading)
    ends = [heading.index(name) + len(name) for name in heading.split()]
    assert all(row[:end].rstrip() == row[:end] for end in ends)


def test_steps_and_epochs_add_up() -> None:
    found = recorder()
    assert (found.rates, found.losses) == ([0.1, 0.2, 0.1, 0.2], [3.0, 2.0, 3.0, 2.0])
    frame = found.to_frame()
    assert list(frame.index) == [1, 2]
    assert list(frame["valid_loss"]) == [2.0, 2.0]


def test_a_history_keeps_epochs_and_thins_out_steps() -> None:
    found = Recorder()
    found.add(epoch(1), rates=[0.5] * 1000, losses=[float(step) for step in range(1000)])
    history = found.history()
    assert (history.steps, len(history.losses), set(history.rates)) == (1000, 200, {0.5})
    assert (history.losses[0], history.losses[-1]) == (2.0, 997.0)
    assert [(row.epoch, row.valid_loss, row.scores) for row in history.epochs] == [(1, 2.0, SCORES)]
    assert recorder().history().losses == (3.0, 2.0, 3.0, 2.0)
    assert Recorder().history().losses == ()


def test_nothing_recorded_is_an_empty_table_and_an_empty_picture(tmp_path: Path) -> None:
    frame = Recorder().to_frame()
    assert len(frame) == 0
    assert "valid_loss" in frame.columns
    Recorder().plot(tmp_path / "empty.png")
    assert is_png(tmp_path / "empty.png")


def test_its_state_is_plain_and_comes_back() -> None:
    state = recorder().state()
    assert all(isinstance(value, list) for value in state.values())
    assert Recorder.from_state(state) == recorder()


def naive_smooth(values: list[float], beta: float) -> list[float]:
    """The mean of all values so far, each weighted by beta to the power of its age."""
    return [
        float(np.average(values[: end + 1], weights=[beta ** (end - i) for i in range(end + 1)]))
        for end in range(len(values))
    ]


def test_smoothing_is_a_weighted_mean_of_what_was() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 8.0]
    assert smooth(values, beta=0.7) == pytest.approx(naive_smooth(values, 0.7))
    assert smooth([3.0] * 50) == pytest.approx([3.0] * 50)
    assert smooth([]) == []


def is_png(path: Path) -> bool:
    with Image.open(path) as image:
        image.load()
        return image.format == "PNG" and min(image.size) > 100


def test_plots_are_pictures(tmp_path: Path) -> None:
    figure = recorder().plot(tmp_path / "training.png")
    assert is_png(tmp_path / "training.png")
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "loss",
        "learning rate",
        "validation",
    ]


def test_a_plot_without_a_path_is_only_returned() -> None:
    import matplotlib.pyplot as plt

    assert len(recorder().plot().axes) == 3
    assert plt.get_fignums() == []


def test_its_repr_is_a_line_and_its_html_a_table() -> None:
    assert repr(recorder()).startswith("<Recorder: ")
    assert "\n" not in repr(recorder())
    html = recorder()._repr_html_()
    assert "&lt;Recorder" in html
    assert html.count("<tr") == 2 + len(recorder().epochs)  # two lines of header
    assert Recorder()._repr_html_().count("<table") == 1

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from annoseq.errors import OutputError
from annoseq.training.lr_finder import LrFinderResult
from tests.training.test_recorder import is_png

if TYPE_CHECKING:
    from pathlib import Path


def curve(*, steps: int = 100) -> LrFinderResult:
    """A loss that falls fastest at a rate of 1e-3 and grows from 1e-1 on."""
    rates = [10 ** (-7 + 8 * step / (steps - 1)) for step in range(steps)]
    logs = np.log10(rates)
    losses = 4 - 2 / (1 + np.exp(-3 * (logs + 3))) + np.maximum(0, logs + 1) ** 2
    return LrFinderResult(rates, losses.tolist())


def test_the_suggestion_is_where_the_loss_falls_fastest() -> None:
    # Smoothing lags behind the loss, by about half a decade here.
    assert 1e-3 <= curve().suggestion <= 1e-2


def test_the_ends_of_the_curve_do_not_count() -> None:
    finding = curve()
    losses = [4.5, *finding.losses[1:-4], -99.0, -99.0, -99.0, -99.0]
    assert 1e-3 <= LrFinderResult(finding.rates, losses).suggestion <= 1e-2


def test_a_short_curve_has_a_suggestion_too() -> None:
    assert LrFinderResult([1.0, 2.0, 3.0], [5.0, 4.9, 1.0]).suggestion in {2.0, 3.0}


def test_its_repr_is_a_line() -> None:
    assert repr(curve()) == f"<LrFinderResult: 100 steps, suggestion {curve().suggestion:.1e}>"


def test_the_plot_shows_the_suggestion(tmp_path: Path) -> None:
    figure = curve().plot(tmp_path / "lr.png")
    assert is_png(tmp_path / "lr.png")
    (axes,) = figure.axes
    assert (axes.get_xscale(), axes.get_xlabel()) == ("log", "learning rate")
    (label,) = (text.get_text() for text in axes.get_legend().get_texts())  # type: ignore[union-attr]
    assert label == f"suggestion {curve().suggestion:.1e}"


def test_an_existing_picture_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "lr.png"
    path.write_text("mine")
    with pytest.raises(OutputError) as caught:
        curve().plot(path)
    assert str(caught.value) == (
        f"{path} exists already. Choose another name, or add --overwrite to replace it."
    )
    assert path.read_text() == "mine"
    curve().plot(path, overwrite=True)
    assert is_png(path)

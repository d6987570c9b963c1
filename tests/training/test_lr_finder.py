from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from annoseq.errors import OutputError
from annoseq.training.lr_finder import LrFinderResult, SmoothedLoss
from annoseq.training.recorder import smooth
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


def noisy_losses() -> list[float]:
    """A loss of noisy batches, some of which are easy, that diverges from step 80 on."""
    noise = np.random.default_rng(3).uniform(0.6, 1.4, size=100)
    noise[[30, 45, 60]] = 0.01
    trend = 2 - np.arange(100) / 100 + np.exp(np.maximum(0, np.arange(100) - 75) / 2)
    losses: list[float] = (noise * trend).tolist()
    return losses


def test_a_single_easy_batch_does_not_end_the_test() -> None:
    smoothed, losses = SmoothedLoss(), noisy_losses()
    ends = [step for step, loss in enumerate(losses) if smoothed.has_diverged(loss)]
    curve = smooth(losses[: ends[0] + 1])
    assert 75 < ends[0] < 95
    assert curve[-1] > 4 * min(curve)
    assert all(value <= 4 * min(curve) for value in curve[:-1])
    assert curve[-2] > 1.2 * min(curve)  # the upturn is there to be seen


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_test(loss: float) -> None:
    smoothed = SmoothedLoss()
    assert not smoothed.has_diverged(1.0)
    assert smoothed.has_diverged(loss)


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

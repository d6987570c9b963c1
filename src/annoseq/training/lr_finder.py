"""LR finder: the range test of learning rates, its curve and the suggested rate.

Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from annoseq.errors import OptionError, TrainingError, count_noun
from annoseq.progress import progress_bar
from annoseq.training.parameter_groups import BASE_GROUPS
from annoseq.training.recorder import MovingAverage, make_subplots, save_figure, smooth

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from annoseq.training.loop import Trainer
    from annoseq.training.rng import RngState

_DIVERGENCE_FACTOR = 4
"""The range test stops when the smoothed loss exceeds this many times its minimum."""


class SmoothedLoss:
    """Running average of losses, which tells when they have diverged."""

    def __init__(self) -> None:
        self._average = MovingAverage()
        self._best = math.inf

    def has_diverged(self, loss: float) -> bool:
        """Add a loss; return True if the average exceeds 4 times its minimum, or is no number."""
        average = self._average.add(loss)
        self._best = min(self._best, average)
        return not (math.isfinite(average) and average <= _DIVERGENCE_FACTOR * self._best)


@dataclass(frozen=True)
class LrFinderResult:
    """Losses of an LR range test: `losses[i]` was measured at rate `rates[i]`."""

    rates: list[float]
    losses: list[float]

    def __repr__(self) -> str:
        steps = count_noun(len(self.rates), "step")
        return f"<LrFinderResult: {steps}, suggestion {self.suggestion:.1e}>"

    def _repr_png_(self) -> bytes:
        """Return the plot as a picture, which a notebook shows."""
        image = BytesIO()
        self.plot().savefig(image, format="png", dpi=80)
        return image.getvalue()

    @property
    def suggestion(self) -> float:
        """The rate at which the smoothed loss falls fastest, as fastai v1 suggests it.

        The first ten steps and the last five are too noisy to count.
        """
        smoothed = smooth(self.losses)
        first, last = (10, -5) if len(smoothed) > 20 else (0, None)
        slopes = np.gradient(smoothed)[first:last]
        return self.rates[first + int(slopes.argmin())]

    def plot(self, path: str | Path | None = None, *, overwrite: bool = False) -> Figure:
        """Draw smoothed loss against learning rate, with the suggestion."""
        figure, (axes,) = make_subplots(1)
        axes.plot(self.rates, self.losses, linewidth=0.5, alpha=0.4, color="C0")
        axes.plot(self.rates, smooth(self.losses), color="C0")
        axes.axvline(self.suggestion, color="C1", label=f"suggestion {self.suggestion:.1e}")
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
        axes.legend()
        return save_figure(figure, path, overwrite=overwrite)


def find_learning_rate(
    trainer: Trainer, rng: RngState, *, start_lr: float, end_lr: float, steps: int
) -> LrFinderResult:
    """Run a range test of exponentially growing rates; restore weights and randomness afterwards.

    Raises:
        OptionError: fewer than two steps, or rates that do not grow from above 0.
        TrainingError: the loss diverged before there was a curve.
    """
    if steps < 2 or not 0 < start_lr < end_lr:
        raise OptionError(
            f"a range test of {count_noun(steps, 'step')} from {start_lr} to {end_lr} was asked "
            "for. Give at least 2 steps, and rates that grow from above 0."
        )
    growth = (end_lr / start_lr) ** (1 / (steps - 1))
    rates = [start_lr * growth**step for step in range(steps)]
    network = trainer.objective.network
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    try:
        with rng.use(keep=False):
            losses = lr_range_test(trainer, rates)
    finally:
        network.load_state_dict(weights)
    if len(losses) < 2:
        raise TrainingError(
            f"the loss diverged at once, at a rate of {start_lr}. Start from a lower rate."
        )
    return LrFinderResult(rates[: len(losses)], losses)


def lr_range_test(trainer: Trainer, rates: Sequence[float]) -> list[float]:
    """Train one batch at each rate; return the losses, up to the one at which they diverged.

    As in fastai, that is decided on the smoothed loss: a single easy batch does not end the test.
    """
    optimizer, scaler = trainer.optimizer(rates[0]), trainer.compute.scaler()
    losses: list[float] = []
    smoothed = SmoothedLoss()
    rows: list[list[int]] = []
    forcing = trainer.forcing(0, epochs=1)
    trainer.objective.train()
    with progress_bar("lr_find", total=len(rates)) as advance:
        for step, rate in enumerate(rates):
            rows = rows or trainer.order(epoch=step)
            for group in optimizer.param_groups[:BASE_GROUPS]:
                group["lr"] = rate
            loss = float(trainer.step(rows.pop(), optimizer, scaler, forcing=forcing))
            if smoothed.has_diverged(loss):
                break
            losses.append(loss)
            advance(1)
    return losses

"""Recorder of a training run: learning rates, losses and validation scores, with plots."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from annoseq.atomic_io import atomic_file
from annoseq.errors import count_noun
from annoseq.models.model_config import EpochRecord, TrainingHistory

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from matplotlib.figure import Figure


_CURVE_POINTS = 200
"""Points of a curve in the model folder, whatever the number of steps."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """A row of the table that training prints.

    `scores` are validation scores by name; the best epoch is the one with the highest `criterion`.
    A decoder is fed its own output, up to the target's length. `pairs_per_second` is the speed of
    training alone, `time` the seconds of training and validation.
    """

    epoch: int
    train_loss: float
    valid_loss: float
    scores: dict[str, float]
    criterion: str
    pairs_per_second: float
    time: float

    @property
    def score(self) -> float:
        """Score by which epochs are compared."""
        return self.scores[self.criterion]

    @staticmethod
    def header(names: Iterable[str]) -> str:
        """Return the header of the table, for scores of these names."""
        return f"epoch  train_loss  valid_loss  {'  '.join(names)}   time"

    def __str__(self) -> str:
        minutes, seconds = divmod(round(self.time), 60)
        return (
            f"{self.epoch:5d}  {self.train_loss:10.4f}  {self.valid_loss:10.4f}"
            + "".join(f"  {value:{len(name)}.4f}" for name, value in self.scores.items())
            + f"  {minutes:02d}:{seconds:02d}"
        )


@dataclass(repr=False)
class Recorder:
    """Learning rate and loss of every step, and the table of epochs."""

    rates: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)

    def __repr__(self) -> str:
        epochs, steps = count_noun(len(self.epochs), "epoch"), count_noun(len(self.losses), "step")
        return f"<Recorder: {epochs}, {steps}>"

    def _repr_html_(self) -> str:
        """Render the table of epochs as HTML."""
        table: str = self.to_frame().to_html(float_format="{:.4f}".format)
        return f"<p>{escape(repr(self))}</p>{table}"

    def add(self, row: Epoch, *, rates: list[float], losses: list[float]) -> None:
        """Record an epoch and its steps."""
        self.epochs.append(row)
        self.rates += rates
        self.losses += losses

    def to_frame(self) -> pd.DataFrame:
        """Return the table of epochs."""
        import pandas as pd

        rows = [{**asdict(row), **row.scores} for row in self.epochs]
        columns = [*(column.name for column in fields(Epoch)), *self.names]
        frame = pd.DataFrame(rows, columns=columns).set_index("epoch")
        return frame.drop(columns=["scores", "criterion"])

    @property
    def names(self) -> list[str]:
        """Names of the validation scores."""
        return list(self.epochs[0].scores) if self.epochs else []

    def plot(self, path: str | Path | None = None, *, overwrite: bool = False) -> Figure:
        """Draw loss and learning rate over the steps, and the scores over the epochs."""
        figure, (losses, rates, scores) = make_subplots(3)
        steps = range(1, len(self.losses) + 1)
        losses.plot(steps, self.losses, linewidth=0.5, alpha=0.4, color="C0")
        losses.plot(steps, smooth(self.losses), color="C0", label="training, smoothed")
        ends = [len(self.losses) * (i + 1) / len(self.epochs) for i in range(len(self.epochs))]
        losses.plot(ends, [row.valid_loss for row in self.epochs], "o-", color="C1", label="valid")
        losses.set(xlabel="step", ylabel="loss")
        losses.legend()
        rates.plot(steps, self.rates)
        rates.set(xlabel="step", ylabel="learning rate")
        for name in self.names:
            values = [row.scores[name] for row in self.epochs]
            scores.plot(range(1, len(values) + 1), values, "o-", label=name)
        scores.set(xlabel="epoch", ylabel="validation", ylim=(0, 1))
        if self.names:
            scores.legend()
        return save_figure(figure, path, overwrite=overwrite)

    def history(self) -> TrainingHistory:
        """Return the history that a model folder stores."""
        return TrainingHistory(
            epochs=tuple(
                EpochRecord(
                    epoch=row.epoch,
                    train_loss=row.train_loss,
                    valid_loss=row.valid_loss,
                    scores=row.scores,
                )
                for row in self.epochs
            ),
            steps=len(self.losses),
            losses=_thinned(self.losses),
            rates=_thinned(self.rates),
        )

    def state(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Recorder:
        """Restore what `state` returned."""
        epochs = [Epoch(**row) for row in state["epochs"]]
        return cls(list(state["rates"]), list(state["losses"]), epochs)


def smooth(values: Sequence[float], *, beta: float = 0.98) -> list[float]:
    """Return the exponential moving average, corrected for its start as Adam's is."""
    average = MovingAverage(beta)
    return [average.add(value) for value in values]


class MovingAverage:
    """Exponential moving average, corrected for its start as Adam's moments are."""

    def __init__(self, beta: float = 0.98) -> None:
        self._beta = beta
        self._sum = 0.0
        self._count = 0

    def add(self, value: float) -> float:
        """Add a value; return the average."""
        self._count += 1
        self._sum = self._beta * self._sum + (1 - self._beta) * value
        return self._sum / (1 - self._beta**self._count)


def _thinned(values: Sequence[float]) -> tuple[float, ...]:
    """Return the means of up to `_CURVE_POINTS` parts of about the same length, to six digits."""
    parts = np.array_split(np.asarray(values), max(1, min(len(values), _CURVE_POINTS)))
    return tuple(float(f"{part.mean():.6g}") for part in parts if len(part))


def make_subplots(columns: int) -> tuple[Figure, Any]:
    """Return a figure and its axes, side by side."""
    import matplotlib.pyplot as plt

    size = (5.5 * columns, 4)
    figure, axes = plt.subplots(1, columns, squeeze=False, figsize=size, layout="constrained")
    plt.close(figure)  # a notebook shows the returned figure; nothing else need hold it
    return figure, axes[0]


def save_figure(figure: Figure, path: str | Path | None, *, overwrite: bool) -> Figure:
    """Write a figure to a file, if one is given; return the figure."""
    if path is not None:
        with atomic_file(Path(path), overwrite=overwrite) as new:
            figure.savefig(new, dpi=120)
    return figure

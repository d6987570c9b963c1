"""What became of a run, and the file that keeps it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from annoseq.errors import TrainingError
from annoseq.files import replacing
from annoseq.training.recorder import Epoch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from annoseq.training.sweep.settings import Value

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
        with replacing(path, overwrite=True) as new:
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

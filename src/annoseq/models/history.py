"""How a model was trained, in figures: what its folder keeps for a report."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from annoseq.models.json_file import read_json_file

HISTORY_FILE = "history.json"


class PastEpoch(BaseModel):
    """An epoch: its number, its losses, and its scores on the validation rows by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epoch: int
    train_loss: float
    valid_loss: float
    scores: dict[str, float]


class History(BaseModel):
    """All epochs, and loss and learning rate over the steps.

    Many steps are thinned out: each of `losses` and `rates` is the mean of as many neighbours.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: tuple[PastEpoch, ...]
    steps: int
    losses: tuple[float, ...]
    rates: tuple[float, ...]

    @classmethod
    def read(cls, content: str) -> History:
        """Read what a model folder holds.

        Raises:
            ModelError: the content is not of this version.
        """
        return read_json_file(cls, content, name=HISTORY_FILE)

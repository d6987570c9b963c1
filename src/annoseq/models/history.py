"""How a model was trained, in figures: what its folder keeps for a report."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from annoseq.errors import ModelError

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
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            fault = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, fault["loc"])) or "the whole file"
            raise ModelError(
                f"{HISTORY_FILE} is damaged or of another version ({where}: {fault['msg']}). "
                "Use the version that wrote it, or train again."
            ) from error

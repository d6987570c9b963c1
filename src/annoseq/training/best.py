"""The best epoch of a run: its weights, and how long ago it was."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass
class Best:
    """The highest value that was offered, and the weights of its epoch.

    Of equals the one with the lowest loss counts, and of those the first: a tagger finds no span at
    all for a while, and still learns.
    """

    value: float = float("-inf")
    loss: float = float("inf")
    epoch: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, value: float, *, loss: float, epoch: int, network: nn.Module) -> None:
        """Take the weights if the value is higher than all before, or as high at a lower loss."""
        if (value, -loss) > (self.value, -self.loss):
            self.value, self.loss, self.epoch = value, loss, epoch
            self.weights = deepcopy(dict(network.state_dict()))  # which copies tied weights once

    def state(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "value": self.value,
            "loss": self.loss,
            "epoch": self.epoch,
            "weights": self.weights,
        }

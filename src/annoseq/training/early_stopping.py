"""Early stopping: the end of a run that no longer improves, and the weights of its best epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.training.checkpoint import BestCheckpoint

if TYPE_CHECKING:
    from torch import nn

    from annoseq.config import TrainingConfig
    from annoseq.training.recorder import Epoch


class EarlyStopping:
    """Tracker of the best epoch, which ends a run after `patience` epochs without a better one.

    With a patience of 0 a run goes on to its end. `keeps_best` tells whether the weights of the
    best epoch are to be restored at the end.
    """

    def __init__(self, config: TrainingConfig) -> None:
        self.patience = config.early_stopping
        self.keeps_best = config.keep != "last"
        self.best = BestCheckpoint()

    def update(self, epoch: Epoch, network: nn.Module) -> None:
        """Compare an epoch with the best one so far."""
        if self.keeps_best or self.patience:
            self.best.offer(epoch.score, loss=epoch.valid_loss, epoch=epoch.epoch, network=network)

    def should_stop(self, epoch: int) -> bool:
        """Return True if the last `patience` epochs brought no improvement."""
        return self.best.epoch > 0 and 0 < self.patience <= epoch - self.best.epoch

    def restore_best(self, network: nn.Module, *, epoch: int) -> bool:
        """Load the weights of the best epoch, unless it is the last one; return True if loaded."""
        if self.best.epoch == epoch:
            return False
        network.load_state_dict(self.best.weights)
        return True

"""The training loop: one step, the LR range test, one-cycle training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.lr_scheduler import OneCycleLR

from annoseq.errors import TrainingError
from annoseq.evaluation.accuracy import Accuracy, measure
from annoseq.evaluation.losses import padded_loss
from annoseq.progress import progress
from annoseq.text.batches import collate, longest_first, shuffled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from annoseq.config import BatchConfig, TrainingConfig
    from annoseq.devices import Compute
    from annoseq.models.gru import Gru
    from annoseq.text.codec import Example

_BETAS = (0.95, 0.99)
_WARM_UP = 25
"""One cycle starts at this fraction of its highest rate, as in fastai v1."""
_CHECKED = 20
"""Steps between two looks at the loss: on a GPU each look waits for all steps before it."""
_DIVERGED = 4
"""The LR range test stops at this many times the least loss."""


@dataclass
class Trainer:
    """A network, the rows that it learns from, and how."""

    network: Gru
    examples: Sequence[Example]
    config: TrainingConfig
    batching: BatchConfig
    compute: Compute

    def order(self, epoch: int) -> list[list[int]]:
        """Return the batches of an epoch, counted over all that the weights were trained for."""
        return shuffled(self.examples, self.batching, seed=f"{self.config.seed}-{epoch}")

    def optimizer(self, lr: float) -> torch.optim.AdamW:
        """Make the notebook's optimizer: AdamW, weight decay not scaled by momentum."""
        decay = self.config.weight_decay
        return torch.optim.AdamW(self.network.parameters(), lr, _BETAS, weight_decay=decay)

    def step(
        self, rows: list[int], optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler
    ) -> Tensor:
        """Learn from one batch; return its loss."""
        batch = collate(rows, self.examples).to(self.compute.device)
        assert batch.target is not None
        optimizer.zero_grad(set_to_none=True)
        with self.compute.autocast():
            loss = padded_loss(self.network(batch), batch.target)
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self.config.clip_norm:
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip_norm)
        scaler.step(optimizer)
        scaler.update()
        return loss.detach()

    @torch.inference_mode()
    def validate(self, examples: Sequence[Example]) -> tuple[float, Accuracy]:
        """Return padded loss and accuracy; the decoder is fed its own output."""
        accuracy, loss, positions = Accuracy(), 0.0, 0
        self.network.eval()
        with progress("validating", total=len(examples)) as advance:
            for rows in longest_first(examples, self.batching):
                batch = collate(rows, examples).to(self.compute.device)
                assert batch.target is not None
                with self.compute.autocast():
                    logits = self.network(batch)
                    loss += float(padded_loss(logits, batch.target)) * batch.target.numel()
                positions += batch.target.numel()
                accuracy += measure(logits.argmax(-1), batch.target)
                advance(len(rows))
        return loss / positions, accuracy


def range_test(trainer: Trainer, rates: Sequence[float]) -> list[float]:
    """Train one batch at each rate; return the losses, up to the one that has diverged."""
    optimizer, scaler = trainer.optimizer(rates[0]), trainer.compute.scaler()
    losses: list[float] = []
    rows: list[list[int]] = []
    trainer.network.train()
    with progress("lr_find", total=len(rates)) as advance:
        for step, rate in enumerate(rates):
            rows = rows or trainer.order(epoch=step)
            optimizer.param_groups[0]["lr"] = rate
            loss = float(trainer.step(rows.pop(), optimizer, scaler))
            if not loss <= _DIVERGED * min(losses, default=loss):
                break
            losses.append(loss)
            advance(1)
    return losses


class OneCycle:
    """A run of the one-cycle policy: optimizer and schedule, and the epoch that comes next.

    The rate rises from `max_lr / 25` to `max_lr` in the first 30 % of the steps and falls to next
    to nothing; AdamW's first beta falls from 0.95 to 0.85 and rises again.
    """

    def __init__(self, trainer: Trainer, *, first: int, epochs: int, max_lr: float) -> None:
        self.trainer = trainer
        self.epoch, self.end = first, first + epochs
        self.optimizer = trainer.optimizer(max_lr / _WARM_UP)
        self.scaler = trainer.compute.scaler()
        self.schedule = OneCycleLR(
            self.optimizer,
            max_lr,
            total_steps=sum(len(trainer.order(epoch)) for epoch in range(first, self.end)),
            div_factor=_WARM_UP,
            final_div_factor=1e4,
        )

    def train_epoch(self) -> tuple[list[float], list[float]]:
        """Go through the rows once; return the rate and the loss of every step.

        Raises:
            TrainingError: the loss is no longer a number.
        """
        rates: list[float] = []
        losses: list[Tensor] = []
        self.trainer.network.train()
        title = f"epoch {self.epoch + 1}/{self.end}"
        with progress(title, total=len(self.trainer.examples)) as advance:
            for rows in self.trainer.order(self.epoch):
                rates.append(float(self.schedule.get_last_lr()[0]))
                losses.append(self.trainer.step(rows, self.optimizer, self.scaler))
                self.schedule.step()
                advance(len(rows))
                if len(losses) % _CHECKED == 0:
                    self._check(losses[-1])
        self._check(losses[-1])
        self.epoch += 1
        return rates, torch.stack(losses).tolist()

    def _check(self, loss: Tensor) -> None:
        # A network whose loss was no number once has none but such losses from there on.
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is no longer a number in epoch {self.epoch + 1}. Train with "
                "--clip-norm 1, or with a lower --max-lr; `annoseq find-lr` suggests one."
            )

    def state(self) -> dict[str, Any]:
        """Return what the next epoch depends on, besides the weights and the random state."""
        return {
            "epoch": self.epoch,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` returned."""
        self.epoch = state["epoch"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.scaler.load_state_dict(state["scaler"])

"""The training loop: one step, the LR range test, one-cycle training."""

from __future__ import annotations

import math
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.lr_scheduler import OneCycleLR

from annoseq.errors import DivergenceError, OutOfMemoryError
from annoseq.progress import progress_bar
from annoseq.tokenization.batching import length_sorted_batches, shuffled_batches
from annoseq.training.distributed import ProcessGroup
from annoseq.training.seq2seq_objective import teacher_forcing_probability

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor, nn

    from annoseq.config import BatchConfig, TrainingConfig
    from annoseq.devices import ComputeDevice
    from annoseq.tokenization.batching import Batch
    from annoseq.training.losses import Loss
    from annoseq.training.objective import Objective, ValidationScore

_BETAS = (0.95, 0.99)
_WARM_UP = 25
"""One cycle starts at this fraction of its highest rate, as in fastai v1."""
_CHECKED = 20
"""Steps between two looks at the loss: on a GPU each look waits for all steps before it."""


@dataclass
class Trainer:
    """What is learned and from which rows, how, and with which other processes."""

    objective: Objective[Any]
    config: TrainingConfig
    batching: BatchConfig
    compute: ComputeDevice
    processes: ProcessGroup = field(default_factory=ProcessGroup)
    _module: nn.Module = field(init=False)

    def __post_init__(self) -> None:
        self._module = self.processes.module(self.objective)

    def forcing(self, epoch: int, *, epochs: int) -> float:
        """Return how likely the target's token is fed in an epoch; a tagger is fed nothing."""
        if self.config.teacher_forcing == "auto":
            return 1.0
        return teacher_forcing_probability(epoch, self.config, epochs=epochs)

    def order(self, epoch: int) -> list[list[int]]:
        """Return the batches of an epoch, counted over all that the weights were trained for."""
        return shuffled_batches(
            self.objective.train_rows, self.batching, seed=f"{self.config.seed}-{epoch}"
        )

    def optimizer(self, lr: float) -> torch.optim.AdamW:
        """Make the notebook's optimizer: AdamW, weight decay not scaled by momentum.

        Biases and the weights of normalisation, which have one dimension, are not decayed.
        """
        weights = list(self.objective.parameters())
        groups: list[dict[str, Any]] = [
            {"params": [one for one in weights if one.ndim > 1]},
            {"params": [one for one in weights if one.ndim < 2], "weight_decay": 0.0},
        ]
        # One kernel for all weights, but it does not tell whether float16's scaler left a step out.
        is_fused = self.compute.dtype != torch.float16
        return torch.optim.AdamW(
            groups, lr, _BETAS, weight_decay=self.config.weight_decay, fused=is_fused
        )

    def step(
        self,
        rows: list[int],
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        *,
        forcing: float,
    ) -> Tensor:
        """Learn from one batch, of which every process takes a share; return the loss of all.

        Raises:
            OutOfMemoryError: the GPU's memory does not suffice.
        """
        optimizer.zero_grad(set_to_none=True)
        assert self.config.clip_norm != "auto"
        with self._enough_memory(rows):
            loss = self._add_gradients(rows, scaler, forcing=forcing)
            if self.config.clip_norm:
                scaler.unscale_(optimizer)
                torch.nn.utils.clip_grad_norm_(self.objective.parameters(), self.config.clip_norm)
            scaler.step(optimizer)
        scaler.update()
        return loss

    def _add_gradients(
        self, rows: list[int], scaler: torch.amp.GradScaler, *, forcing: float
    ) -> Tensor:
        """Go forward and back with a batch, part by part; return the mean loss of all processes."""
        batch = self.objective.collate(rows, self.objective.train_rows)
        positions = self.objective.positions(batch)
        share, counts = self.processes.share(batch)
        *earlier, last = share.split(self.config.micro_batch_tokens)

        def learn(part: Batch) -> Tensor:
            with self.compute.autocast():
                loss: Loss = self._module(part.to(self.compute.device), forcing=forcing)
            mine = loss.total * counts / positions
            # The gradients of all processes are averaged, and their sum is what is wanted.
            scaler.scale(mine * self.processes.count).backward()  # type: ignore[no-untyped-call]
            return mine.detach()

        with self.processes.alone(self._module):
            losses = [learn(part) for part in earlier]
        return self.processes.total(sum(losses, start=learn(last)))

    @torch.inference_mode()
    def validate(self) -> tuple[float, ValidationScore]:
        """Return loss and score of the validation rows; a decoder is fed its own output.

        Every process takes its share of every batch: where there are several, all must call this.
        """
        score, total, positions = self.objective.score(), 0.0, 0
        examples = self.objective.valid_rows
        self.objective.eval()
        with progress_bar("validating", total=len(examples)) as advance:
            for rows in length_sorted_batches(examples, self.batching):
                share, counts = self.processes.share(self.objective.collate(rows, examples))
                if counts:
                    with self._enough_memory(rows), self.compute.autocast():
                        loss, found = self.objective.measure(share.to(self.compute.device))
                    total += float(loss.total)
                    positions += loss.positions
                    score += found
                advance(len(rows))
        total, positions_of_all, *counted = self.processes.sum([total, positions, *score.counts()])
        return total / positions_of_all, type(score).of_counts(list(map(int, counted)))

    @contextmanager
    def _enough_memory(self, rows: Sequence[int]) -> Iterator[None]:
        try:
            yield
        except torch.OutOfMemoryError as error:
            parts = self.config.micro_batch_tokens
            raise OutOfMemoryError(
                f"the memory of {self.compute.device} does not suffice for a batch of {len(rows)} "
                f"rows. Lower --batch-tokens, which is {self.batching.batch_tokens:,}, or "
                f"--batch-size, which is {self.batching.batch_size:,}. In training, "
                + (f"a --micro-batch-tokens below {parts:,}" if parts else "--micro-batch-tokens")
                + " leaves the batch as it is and takes it in parts."
            ) from error


class OneCycle:
    """A run of the one-cycle policy: optimizer and schedule, and the epoch that comes next.

    The rate rises from `max_lr / 25` to `max_lr` in the first 30 % of the steps and falls to next
    to nothing; AdamW's first beta falls from 0.95 to 0.85 and rises again.
    """

    def __init__(self, trainer: Trainer, *, first: int, epochs: int, max_lr: float) -> None:
        self.trainer = trainer
        self.first, self.epoch, self.end = first, first, first + epochs
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
            DivergenceError: the loss is no longer a number.
        """
        rates: list[float] = []
        losses: list[Tensor] = []
        forcing = self._forcing()
        self.trainer.objective.train()
        title = f"epoch {self.epoch + 1}/{self.end}"
        with progress_bar(title, total=len(self.trainer.objective.train_rows)) as advance:
            for rows in self.trainer.order(self.epoch):
                rates.append(float(self.schedule.get_last_lr()[0]))
                losses.append(self.trainer.step(rows, self.optimizer, self.scaler, forcing=forcing))
                self._next_rate()
                advance(len(rows))
                if len(losses) % _CHECKED == 0:
                    self._check(losses[-1])
        self._check(losses[-1])
        self.epoch += 1
        return rates, torch.stack(losses).tolist()

    def _next_rate(self) -> None:
        # float16's scaler leaves a step out where a gradient overflows, often the very first, and
        # the schedule takes that for a mistake.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
            self.schedule.step()

    def _forcing(self) -> float:
        done, epochs = self.epoch - self.first, self.end - self.first
        return self.trainer.forcing(done, epochs=epochs)

    def _check(self, loss: Tensor) -> None:
        # A network whose loss was no number once has none but such losses from there on.
        if not math.isfinite(loss):
            raise DivergenceError(
                f"the loss is no longer a number in epoch {self.epoch + 1}. Train with "
                "a lower --max-lr, which `annoseq find-lr` suggests, or with --clip-norm 1 or less."
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

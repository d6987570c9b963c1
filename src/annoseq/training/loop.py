"""Training loop: optimizer steps, validation and the one-cycle policy."""

from __future__ import annotations

import math
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.optim.lr_scheduler import OneCycleLR

from annoseq.errors import DivergenceError, OutOfMemoryError, count_noun
from annoseq.progress import progress_bar
from annoseq.tokenization.batching import length_sorted_batches, shuffled_batches
from annoseq.training.distributed import ProcessGroup
from annoseq.training.objectives import teacher_forcing_probability
from annoseq.training.optimizer import ConcurrentAdamW, clip_gradients
from annoseq.training.parameter_groups import parameter_groups
from annoseq.training.recorder import Epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

    from annoseq.config import BatchConfig, TrainingConfig
    from annoseq.devices import ComputeDevice
    from annoseq.tokenization.batching import Batch
    from annoseq.training.losses import Loss
    from annoseq.training.objectives import Objective, ValidationScore
    from annoseq.training.rng import RngState

_BETAS = (0.95, 0.99)
_DIV_FACTOR = 25
"""One cycle starts at the highest rate divided by this, as in fastai v1."""
_WARMUP = 0.3
"""Share of the steps of a rising rate, as in fastai v1, where a learner has not resolved `auto`."""
_CHECK_STEPS = 20
"""Steps between two checks of the loss: on a GPU a check waits for all steps before it."""


@dataclass
class Trainer:
    """Training step and validation of an objective, in one process or several."""

    objective: Objective[Any]
    config: TrainingConfig
    batching: BatchConfig
    compute: ComputeDevice
    processes: ProcessGroup = field(default_factory=ProcessGroup)
    _module: nn.Module = field(init=False)
    _weights: list[nn.Parameter] = field(init=False)

    def __post_init__(self) -> None:
        self._module = self.processes.module(self.objective)
        self._weights = list(self.objective.parameters())

    def forcing(self, epoch: int, *, epochs: int) -> float:
        """Return the probability of teacher forcing in an epoch; a tagger has no decoder."""
        if self.config.teacher_forcing == "auto":
            return 1.0
        return teacher_forcing_probability(epoch, self.config, epochs=epochs)

    def order(self, epoch: int) -> list[list[int]]:
        """Return the batches of an epoch; epochs are counted over all runs of the weights."""
        return shuffled_batches(
            self.objective.train_rows, self.batching, seed=f"{self.config.seed}-{epoch}"
        )

    def optimizer(self, lr: float) -> torch.optim.AdamW:
        """Return the notebook's optimizer: AdamW with decoupled weight decay."""
        groups = parameter_groups(self.objective, self.config, lr)
        # The fused kernel does not report whether the scaler of float16 skipped a step.
        is_fused = self.compute.dtype != torch.float16
        adamw = ConcurrentAdamW if self.compute.device.type == "cpu" else torch.optim.AdamW
        return adamw(groups, lr, _BETAS, weight_decay=self.config.weight_decay, fused=is_fused)

    def step(
        self,
        rows: list[int],
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        *,
        forcing: float,
    ) -> Tensor:
        """Take an optimizer step on a batch, shared by all processes; return its mean loss.

        Raises:
            OutOfMemoryError: the GPU's memory does not suffice.
        """
        optimizer.zero_grad(set_to_none=True)
        assert self.config.clip_norm != "auto"
        with self._explained_memory(rows), self.compute.one_thread():
            loss = self._add_gradients(rows, scaler, forcing=forcing)
            if self.config.clip_norm:
                scaler.unscale_(optimizer)
                clip_gradients(self._weights, self.config.clip_norm)
            scaler.step(optimizer)
        scaler.update()
        return loss

    def _add_gradients(
        self, rows: list[int], scaler: torch.amp.GradScaler, *, forcing: float
    ) -> Tensor:
        """Accumulate the gradients of a batch, part by part; return its mean loss."""
        batch = self.objective.collate(rows, self.objective.train_rows)
        positions = self.objective.positions(batch)
        share, counts = self.processes.share(batch)
        *earlier, last = share.split(self.config.micro_batch_tokens)

        def backward(part: Batch) -> Tensor:
            with self.compute.running():
                loss: Loss = self._module(part.to(self.compute.device), forcing=forcing)
            share_of_loss = loss.total * counts / positions
            # Gradients are averaged over processes; the loss needs their sum.
            scaled = scaler.scale(share_of_loss * self.processes.count)
            scaled.backward()  # type: ignore[no-untyped-call]
            return share_of_loss.detach()

        with self.processes.no_sync(self._module):
            losses = [backward(part) for part in earlier]
        return self.processes.all_reduce(sum(losses, start=backward(last)))

    @torch.inference_mode()
    def validate(self) -> tuple[float, ValidationScore]:
        """Return loss and score of the validation rows; a decoder is fed its own output.

        Every process takes its share of every batch: all processes must call this.
        """
        score, total, positions = self.objective.score(), 0.0, 0
        examples = self.objective.valid_rows
        self.objective.eval()
        with progress_bar("validating", total=len(examples)) as advance:
            for rows in length_sorted_batches(examples, self.batching):
                share, counts = self.processes.share(self.objective.collate(rows, examples))
                if counts:
                    with self._explained_memory(rows), self.compute.running():
                        loss, batch_score = self.objective.measure(share.to(self.compute.device))
                    total += float(loss.total)
                    positions += loss.positions
                    score += batch_score
                advance(len(rows))
        total, all_positions, *counts_of_score = self.processes.sum(
            [total, positions, *score.counts()]
        )
        return total / all_positions, type(score).of_counts(list(map(int, counts_of_score)))

    @contextmanager
    def _explained_memory(self, rows: Sequence[int]) -> Iterator[None]:
        try:
            yield
        except torch.OutOfMemoryError as error:
            parts = self.config.micro_batch_tokens
            raise OutOfMemoryError(
                f"the memory of {self.compute.device} does not suffice for a batch of "
                f"{count_noun(len(rows), 'row')}. Lower --batch-tokens, which is "
                f"{self.batching.batch_tokens:,}, or --batch-size, which is "
                f"{self.batching.batch_size:,}. In training, "
                + (f"a --micro-batch-tokens below {parts:,}" if parts else "--micro-batch-tokens")
                + " leaves the batch as it is and takes it in parts."
            ) from error


class EpochRun(NamedTuple):
    """Row of an epoch, and the learning rate and the loss of each of its steps."""

    row: Epoch
    rates: list[float]
    losses: list[float]


def _check_loss(loss: float | Tensor, epoch: int) -> None:
    if not math.isfinite(loss):
        raise DivergenceError(
            f"the loss is no longer a number in epoch {epoch}. Train with "
            "a lower --max-lr, which `annoseq find-lr` suggests, or with --clip-norm 1 or less."
        )


class OneCycle:
    """A run of the one-cycle policy: optimizer, schedule and next epoch.

    The rate rises from `max_lr / 25` to `max_lr` in the first steps (`warmup`) and then falls to
    nearly 0, that of a pre-trained encoder likewise; AdamW's first beta falls from 0.95 to 0.85 and
    rises again.
    """

    def __init__(self, trainer: Trainer, *, first: int, epochs: int, max_lr: float) -> None:
        self.trainer = trainer
        self.first, self.epoch, self.end = first, first, first + epochs
        self.optimizer = trainer.optimizer(max_lr)
        self.scaler = trainer.compute.scaler()
        steps = sum(len(trainer.order(epoch)) for epoch in range(first, self.end))
        self.schedule = OneCycleLR(
            self.optimizer,
            [float(group["lr"]) for group in self.optimizer.param_groups],
            total_steps=steps,
            pct_start=_warmup_share(trainer.config, steps=steps),
            div_factor=_DIV_FACTOR,
            final_div_factor=1e4,
        )

    def run_epoch(
        self, rng: RngState, *, validate: Callable[[], tuple[float, ValidationScore]]
    ) -> EpochRun:
        """Train for an epoch with the random numbers of `rng`, and validate.

        Raises:
            DivergenceError: the loss, or that of validation, is no longer a number.
        """
        start = time.perf_counter()
        with rng.use():
            rates, losses = self.train_epoch()
        trained = time.perf_counter()
        valid_loss, score = validate()
        _check_loss(valid_loss, self.epoch)  # which tells of the last step
        objective = self.trainer.objective
        row = Epoch(
            epoch=self.epoch,
            train_loss=sum(losses) / len(losses),
            valid_loss=valid_loss,
            scores=score.values(),
            criterion=objective.criterion,
            pairs_per_second=len(objective.train_rows) / (trained - start),
            time=time.perf_counter() - start,
        )
        return EpochRun(row, rates, losses)

    def train_epoch(self) -> tuple[list[float], list[float]]:
        """Train on all rows once; return the rate and the loss of every step.

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
                if len(losses) % _CHECK_STEPS == 0:
                    _check_loss(losses[-1], self.epoch + 1)
        _check_loss(losses[-1], self.epoch + 1)
        self.epoch += 1
        return rates, torch.stack(losses).tolist()

    def _next_rate(self) -> None:
        # The scaler of float16 skips a step whose gradients overflow, often the very first, and the
        # schedule warns of it.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
            self.schedule.step()

    def _forcing(self) -> float:
        done, epochs = self.epoch - self.first, self.end - self.first
        return self.trainer.forcing(done, epochs=epochs)

    def state(self) -> dict[str, Any]:
        """Return the state that the next epoch depends on, besides weights and random state."""
        return {
            "epoch": self.epoch,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a state that `state` returned."""
        self.epoch = state["epoch"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.scaler.load_state_dict(state["scaler"])


def _warmup_share(config: TrainingConfig, *, steps: int) -> float:
    """Return the share of steps in which the rate rises."""
    share = _WARMUP if config.warmup == "auto" else config.warmup
    # A rise of exactly one step has no length, by which torch divides.
    return share if abs(share * steps - 1) > 1e-6 else 1.5 / steps

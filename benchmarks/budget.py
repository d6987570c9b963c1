"""Budgets of processor time: one pinned core, a timer, and a training plan that fits a budget.

Processor time is used instead of wall time, so that other processes on the machine do not count.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from annoseq.tokenization.batching import shuffled_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding
    from annoseq.training.learner import Learner

PROBE_STEPS = 40
"""Steps that measure the speed of a network before training is planned."""
_WARM_UP = 10
"""Unmeasured steps before those: the first ones allocate memory and take up to a third longer."""
TIMING_NOTE = (
    "All times are processor time of the process (`time.process_time`), with one thread on one "
    "core, because other processes share the machine."
)


def log(message: str) -> None:
    """Print a progress message on standard error."""
    print(message, file=sys.stderr, flush=True)


def cores() -> set[int]:
    """Return the cores that a process can be pinned to, or none where pinning is not supported."""
    allowed = getattr(os, "sched_getaffinity", None)
    return allowed(0) if allowed else set()


def last_core() -> int | None:
    """Return the default core: the last one, as most other processes run on the first."""
    return max(cores(), default=None)


@contextmanager
def pinned_to_core(core: int | None) -> Iterator[None]:
    """Limit this process to one thread, and to one core where pinning is supported."""
    threads, allowed = torch.get_num_threads(), cores()
    torch.set_num_threads(1)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if core is not None:
            os.sched_setaffinity(0, allowed)


class ProcessorTimer:
    """Timer of the processor seconds spent in its `with` blocks, in total."""

    def __init__(self) -> None:
        self._before = 0.0
        self._began: float | None = None

    @property
    def seconds(self) -> float:
        """Total so far, including the current block."""
        running = 0.0 if self._began is None else time.process_time() - self._began
        return self._before + running

    def __enter__(self) -> ProcessorTimer:
        self._began = time.process_time()
        return self

    def __exit__(self, *error: object) -> None:
        self._before, self._began = self.seconds, None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the timer within the block."""
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Number of epochs and rows whose training fits into a time budget."""

    epochs: int
    rows: int

    @classmethod
    def fit(cls, rows: int, *, seconds_per_row: float, seconds: float) -> TrainingPlan:
        """Return the nearest whole number of epochs, with as many rows as fit into the budget.

        >>> TrainingPlan.fit(1000, seconds_per_row=0.1, seconds=370)
        TrainingPlan(epochs=4, rows=925)
        """
        possible = seconds / seconds_per_row
        epochs = max(1, round(possible / rows))
        return cls(epochs, max(1, min(rows, int(possible / epochs))))


def seconds_per_row(learner: Learner, *, max_lr: float, validates: bool = True) -> float:
    """Return the processor seconds of training per row, validation included.

    The weights are restored afterwards.
    """
    learner.lr_find(end_lr=max_lr, steps=_WARM_UP)
    with ProcessorTimer() as watch:
        steps = len(learner.lr_find(end_lr=max_lr, steps=PROBE_STEPS).rates)
    rows = learner.dataset.encoded_train.encodings
    # The range test takes the last batches of the first epoch, which may be longer than others.
    batches = shuffled_batches(rows, learner.batching, seed=f"{learner.config.seed}-0")
    sizes = [_size(batch, rows) for batch in batches]
    probed = sum(sizes[-1 - step % len(sizes)] for step in range(steps))
    seconds = watch.seconds * sum(sizes) / probed
    if validates:
        with ProcessorTimer() as watch:
            learner.validate()
        seconds += watch.seconds
    return seconds / len(rows)


def _size(batch: Sequence[int], examples: Sequence[Seq2SeqEncoding]) -> int:
    """Return the source and target tokens of a batch, padding and end symbols included."""
    longest = [
        max(len(ids) for ids in part) for part in zip(*(examples[i] for i in batch), strict=True)
    ]
    return len(batch) * (sum(longest) + 2)


def cache_folder(name: str) -> Path:
    """Return a folder under the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "annoseq" / name


def repeat(order: Callable[[int], Iterator[list[int]]]) -> Iterator[list[int]]:
    """Yield the batches of endless epochs."""
    epoch = 0
    while True:
        yield from order(epoch)
        epoch += 1

"""Equal time for both sides: one core, its clock, and how much training fits.

The time is the processor's, not the wall's: other processes on the machine take a core away for a
while, and that shall cost neither side.
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

PROBED = 40
"""Steps that tell a network's speed before a run is planned."""
_WARM_UP = 10
"""Steps before those: memory is handed out in the first, which take up to a third longer."""
EXPLAINED = (
    "All times are processor time of the process (`time.process_time`), with one thread on one "
    "core, because other processes share the machine."
)


def note(message: str) -> None:
    """Say what is going on, on standard error."""
    print(message, file=sys.stderr, flush=True)


def cores() -> set[int]:
    """Return the cores that a process can be pinned to; none where a system cannot do that."""
    allowed = getattr(os, "sched_getaffinity", None)
    return allowed(0) if allowed else set()


def last_core() -> int | None:
    """Return the core to use by default: the first is where most else runs."""
    return max(cores(), default=None)


@contextmanager
def one_core(core: int | None) -> Iterator[None]:
    """Keep this process to one thread, and to one core where a system can do that."""
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


class Stopwatch:
    """Processor seconds spent in its blocks, added up."""

    def __init__(self) -> None:
        self._before = 0.0
        self._began: float | None = None

    @property
    def seconds(self) -> float:
        """The sum so far, the block under way counted."""
        running = 0.0 if self._began is None else time.process_time() - self._began
        return self._before + running

    def __enter__(self) -> Stopwatch:
        self._began = time.process_time()
        return self

    def __exit__(self, *error: object) -> None:
        self._before, self._began = self.seconds, None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out what is done within the block."""
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()


@dataclass(frozen=True, slots=True)
class Plan:
    """How many epochs of how many rows fit into a time."""

    epochs: int
    rows: int

    @classmethod
    def fit(cls, rows: int, *, row_seconds: float, seconds: float) -> Plan:
        """Choose the whole number of epochs nearest to the time, and leave rows out to keep to it.

        >>> Plan.fit(1000, row_seconds=0.1, seconds=370), Plan.fit(1000, row_seconds=1, seconds=500)
        (Plan(epochs=4, rows=925), Plan(epochs=1, rows=500))
        """
        possible = seconds / row_seconds
        epochs = max(1, round(possible / rows))
        return cls(epochs, max(1, min(rows, int(possible / epochs))))


def row_seconds(learner: Learner, *, max_lr: float, validates: bool = True) -> float:
    """Return the processor seconds that a row takes to learn from, validation included.

    The weights are afterwards what they were.
    """
    learner.lr_find(end_lr=max_lr, steps=_WARM_UP)
    with Stopwatch() as watch:
        steps = len(learner.lr_find(end_lr=max_lr, steps=PROBED).rates)
    rows = learner.dataset.encoded_train.encodings
    # The range test takes the last batches of the first epoch, which may be longer than others.
    batches = shuffled_batches(rows, learner.batching, seed=f"{learner.config.seed}-0")
    sizes = [_size(batch, rows) for batch in batches]
    probed = sum(sizes[-1 - step % len(sizes)] for step in range(steps))
    seconds = watch.seconds * sum(sizes) / probed
    if validates:
        with Stopwatch() as watch:
            learner.validate()
        seconds += watch.seconds
    return seconds / len(rows)


def _size(batch: Sequence[int], examples: Sequence[Seq2SeqEncoding]) -> int:
    """Return how many tokens a batch has on both sides, padding and ends counted."""
    longest = [
        max(len(ids) for ids in side) for side in zip(*(examples[i] for i in batch), strict=True)
    ]
    return len(batch) * (sum(longest) + 2)


def cache_folder(name: str) -> Path:
    """Return a folder under the user's cache, outside any repository."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "annoseq" / name


def repeat(order: Callable[[int], Iterator[list[int]]]) -> Iterator[list[int]]:
    """Yield the batches of one epoch after the other, without end."""
    epoch = 0
    while True:
        yield from order(epoch)
        epoch += 1

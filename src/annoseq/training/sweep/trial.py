"""One run of a sweep, from fresh weights to its place in the table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from annoseq.errors import DivergenceError, OutOfMemoryError, TrainingError
from annoseq.text.vectors.reader import open_vectors
from annoseq.training.learner import Learner
from annoseq.training.sweep.run import Run, State
from annoseq.training.sweep.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from annoseq.config import DeviceConfig
    from annoseq.text.dataset import Dataset
    from annoseq.training.recorder import Epoch
    from annoseq.training.sweep.folder import SweepFolder
    from annoseq.training.sweep.settings import Value
    from annoseq.training.sweep.space import Space


@dataclass(frozen=True)
class Sweep:
    """What all runs of a sweep share."""

    dataset: Dataset
    space: Space
    folder: SweepFolder
    device: DeviceConfig
    vectors: Path | None = None

    def settings(self, values: Mapping[str, Value]) -> Settings:
        """Return what a run with these values begins with.

        Raises:
            OptionError: it could not begin.
        """
        settings = Settings.of(values).settled(self.dataset)
        if self._width and settings.network.model != "tagger":  # which takes any width
            settings.network.with_embedding(self._width)
        return settings

    @cached_property
    def _width(self) -> int:
        return open_vectors(self.vectors).width if self.vectors else 0


class HopelessRun(Exception):  # noqa: N818
    """What a watcher of a run raises to end it: others were better at this point."""


def carry_out(
    sweep: Sweep,
    number: int,
    values: Mapping[str, Value],
    *,
    watch: Callable[[list[Epoch]], None] = lambda epochs: None,
) -> Run:
    """Train a run to its end, going on where it was interrupted, and put it in the folder.

    `watch` sees all epochs so far after each.

    Raises:
        OptionError: the values are none that a run can begin with.
    """
    settings = Settings.of(values)
    try:
        learner = _learner(sweep, settings)
    except torch.OutOfMemoryError:
        run = Run(number, "out of memory", dict(values), [])
        sweep.folder.keep(run, None)
        return run
    was_begun = sweep.folder.checkpoint(number).exists()
    try:
        state = _train(sweep, number, learner, watch)
    except TrainingError:
        if not was_begun:
            raise
        # A checkpoint that cannot be used: a run is soon begun again.
        sweep.folder.checkpoint(number).unlink()
        learner = _learner(sweep, settings)
        state = _train(sweep, number, learner, watch)
    epochs = learner.recorder.epochs
    if state == "finished" and not math.isfinite(epochs[-1].valid_loss):
        state = "diverged"  # by the very last step, which no later loss tells of
    score = None
    if state == "finished":
        found = [row.score for row in epochs]
        score = max(found) if settings.training.keep == "best" else found[-1]
    run = Run(number, state, dict(values), list(epochs), score)
    sweep.folder.keep(run, learner)
    return run


def _learner(sweep: Sweep, settings: Settings) -> Learner:
    return Learner(
        sweep.dataset,
        model=settings.network,
        training=settings.training,
        batching=settings.batching,
        device=sweep.device,
        vectors=sweep.vectors,
    )


def _train(
    sweep: Sweep, number: int, learner: Learner, watch: Callable[[list[Epoch]], None]
) -> State:
    checkpoint = sweep.folder.checkpoint(number)
    try:
        learner.fit_one_cycle(
            checkpoint=checkpoint,
            resume=checkpoint.exists(),
            report=lambda line: None,
            after_epoch=lambda row: watch(learner.recorder.epochs),
        )
    except DivergenceError:
        return "diverged"
    except HopelessRun:
        return "pruned"
    except (OutOfMemoryError, torch.OutOfMemoryError):
        torch.cuda.empty_cache()
        return "out of memory"
    return "finished"

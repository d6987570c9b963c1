"""Trials of a sweep: one run, a grid of runs, and parallel workers."""

from __future__ import annotations

import math
import os
import signal
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from typing import TYPE_CHECKING

import torch

from annoseq.devices import are_threads_chosen
from annoseq.errors import (
    AnnoseqError,
    DivergenceError,
    OutOfMemoryError,
    TrainingError,
    count_noun,
)
from annoseq.training.learner import Learner
from annoseq.training.sweep.results import RunState, SweepRun
from annoseq.training.sweep.search_space import TrialSettings
from annoseq.vectors.lookup import open_vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from multiprocessing.process import BaseProcess
    from multiprocessing.queues import SimpleQueue
    from pathlib import Path

    from annoseq.config import DeviceConfig
    from annoseq.tokenization.dataset import Dataset
    from annoseq.training.recorder import Epoch
    from annoseq.training.sweep.search_space import SearchSpace, Value
    from annoseq.training.sweep.sweep_folder import SweepFolder

    AfterEpoch = Callable[[list[Epoch]], None]


@dataclass(frozen=True)
class Sweep:
    """Data, search space and folder that all runs of a sweep share."""

    dataset: Dataset
    space: SearchSpace
    folder: SweepFolder
    device: DeviceConfig
    vectors: Path | None = None

    def settings(self, values: Mapping[str, Value]) -> TrialSettings:
        """Return the settings of a run with these values, without any `auto`.

        Raises:
            OptionError: no run can be trained with the values.
        """
        settings = TrialSettings.from_values(values).resolve_auto(self.dataset)
        if self._vectors_width and settings.network.model != "tagger":  # which takes any width
            settings.network.with_embedding(self._vectors_width)
        return settings

    @cached_property
    def _vectors_width(self) -> int:
        return open_vectors(self.vectors).width if self.vectors else 0


class PrunedRun(Exception):  # noqa: N818
    """Raised by an `after_epoch` callback to end a run that is worse than the others."""


def run_trial(
    sweep: Sweep,
    number: int,
    values: Mapping[str, Value],
    *,
    after_epoch: AfterEpoch = lambda epochs: None,
) -> SweepRun:
    """Train a run to its end, from its checkpoint if there is one, and save it in the folder.

    `after_epoch` is called with all epochs so far after each.

    Raises:
        OptionError: no run can be trained with the values.
    """
    settings = TrialSettings.from_values(values)
    try:
        learner = _make_learner(sweep, settings)
    except torch.OutOfMemoryError:
        run = SweepRun(number, "out of memory", dict(values), [])
        sweep.folder.save(run, None)
        return run
    has_checkpoint = sweep.folder.checkpoint(number).exists()
    try:
        state = _train(sweep, number, learner, after_epoch)
    except TrainingError:
        if not has_checkpoint:
            raise
        # The checkpoint is damaged or of other settings; a run is cheap to begin again.
        sweep.folder.checkpoint(number).unlink()
        learner = _make_learner(sweep, settings)
        state = _train(sweep, number, learner, after_epoch)
    epochs = learner.recorder.epochs
    if state == "finished" and not math.isfinite(epochs[-1].valid_loss):
        state = "diverged"  # in the very last step, after which no training loss is seen
    score = None
    if state == "finished":
        scores = [epoch.score for epoch in epochs]
        score = max(scores) if settings.training.keep == "best" else scores[-1]
    run = SweepRun(number, state, dict(values), list(epochs), score)
    sweep.folder.save(run, learner)
    return run


def _make_learner(sweep: Sweep, settings: TrialSettings) -> Learner:
    return Learner(
        sweep.dataset,
        model=settings.network,
        training=settings.training,
        batching=settings.batching,
        device=sweep.device,
        vectors=sweep.vectors,
    )


def _train(sweep: Sweep, number: int, learner: Learner, after_epoch: AfterEpoch) -> RunState:
    checkpoint = sweep.folder.checkpoint(number)
    try:
        learner.fit_one_cycle(
            checkpoint=checkpoint,
            resume=checkpoint.exists(),
            report=lambda line: None,
            after_epoch=lambda epoch: after_epoch(learner.recorder.epochs),
        )
    except DivergenceError:
        return "diverged"
    except PrunedRun:
        return "pruned"
    except (OutOfMemoryError, torch.OutOfMemoryError):
        torch.cuda.empty_cache()
        return "out of memory"
    return "finished"


def run_grid(sweep: Sweep, *, report: Callable[[SweepRun], None]) -> None:
    """Train the runs of the grid that are neither finished nor claimed by another process.

    Several processes may do so at once. `report` is called with each run.
    """
    for number, values in enumerate(sweep.space.grid(), start=1):
        with sweep.folder.claim(number) as is_claimed:
            if is_claimed:
                report(run_trial(sweep, number, values))


def run_workers(work: Callable[[], None], *, workers: int) -> None:
    """Call `work` in several processes, which share the cores among them, and wait for all.

    Raises:
        AnnoseqError: a process raised it.
        TrainingError: a process was killed.
    """
    context = get_context("spawn")  # a fork would inherit torch's threads in any state
    errors: SimpleQueue[AnnoseqError] = context.SimpleQueue()
    threads = max(1, torch.get_num_threads() // workers) if are_threads_chosen() else 1
    processes = [
        context.Process(target=_run_worker, args=(work, threads, errors), daemon=True)
        for _ in range(workers)
    ]
    try:
        _start_ignoring_interrupts(processes)
        for process in processes:
            process.join()
    finally:
        for process in processes:
            if process.is_alive():
                process.terminate()
                process.join()
    if not errors.empty():
        raise errors.get()
    if codes := [process.exitcode for process in processes if process.exitcode]:
        raise TrainingError(
            f"{len(codes)} of {count_noun(workers, 'worker')} ended with exit code {codes[0]}; -9 "
            "is often a lack of memory. Add --resume to go on, perhaps with fewer --workers."
        )


def _start_ignoring_interrupts(processes: Sequence[BaseProcess]) -> None:
    """Start processes that leave Ctrl-C to this one, which then terminates them."""
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for process in processes:
            process.start()
    finally:
        signal.signal(signal.SIGINT, handler)


def _run_worker(work: Callable[[], None], threads: int, errors: SimpleQueue[AnnoseqError]) -> None:
    torch.set_num_threads(threads)
    os.environ["TTY_COMPATIBLE"] = "0"  # progress bars of several processes garble each other
    try:
        work()
    except AnnoseqError as error:
        errors.put(error)

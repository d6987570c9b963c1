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

from annoseq.errors import AnnoseqError, DivergenceError, OutOfMemoryError, TrainingError
from annoseq.training.learner import Learner
from annoseq.training.sweep.runs import Run, State
from annoseq.training.sweep.search_space import Settings
from annoseq.vectors.lookup import open_vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from multiprocessing.process import BaseProcess
    from multiprocessing.queues import SimpleQueue
    from pathlib import Path

    from annoseq.config import DeviceConfig
    from annoseq.tokenization.dataset import Dataset
    from annoseq.training.recorder import Epoch
    from annoseq.training.sweep.search_space import Space, Value
    from annoseq.training.sweep.sweep_folder import SweepFolder


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


def run_grid(sweep: Sweep, *, report: Callable[[Run], None]) -> None:
    """Carry out the runs that nobody has carried out or is at; tell `report` of each.

    Runs in several processes at once: each takes the next that is free.
    """
    for number, values in enumerate(sweep.space.grid(), start=1):
        with sweep.folder.claim(number) as is_ours:
            if is_ours:
                report(carry_out(sweep, number, values))


def work_in_parallel(work: Callable[[], None], *, workers: int) -> None:
    """Do the work in each of some processes, which share the cores among them; wait for all.

    Raises:
        AnnoseqError: what a process raised.
        TrainingError: a process was killed.
    """
    context = get_context("spawn")  # a fork would inherit torch's threads in any state
    faults: SimpleQueue[AnnoseqError] = context.SimpleQueue()
    threads = max(1, torch.get_num_threads() // workers)
    processes = [
        context.Process(target=_work, args=(work, threads, faults), daemon=True)
        for _ in range(workers)
    ]
    try:
        _start(processes)
        for process in processes:
            process.join()
    finally:
        for process in processes:
            if process.is_alive():
                process.terminate()
                process.join()
    if not faults.empty():
        raise faults.get()
    if codes := [process.exitcode for process in processes if process.exitcode]:
        raise TrainingError(
            f"{len(codes)} of {workers} workers ended with exit code {codes[0]}; -9 is often a "
            "lack of memory. Add --resume to go on, perhaps with fewer --workers."
        )


def _start(processes: Sequence[BaseProcess]) -> None:
    """Start processes that leave Ctrl-C to this one, which then ends them."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for process in processes:
            process.start()
    finally:
        signal.signal(signal.SIGINT, before)


def _work(work: Callable[[], None], threads: int, faults: SimpleQueue[AnnoseqError]) -> None:
    torch.set_num_threads(threads)
    os.environ["TTY_COMPATIBLE"] = "0"  # progress bars of several processes spoil each other
    try:
        work()
    except AnnoseqError as error:
        faults.put(error)

"""Folder of training runs, which several processes may fill at once, and those processes.

folder/
├── config.json   plan: data and options, which a resumed command must have too
└── runs/         a record of each finished run, a checkpoint of each unfinished one, and lock files
"""

from __future__ import annotations

import json
import os
import signal
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from filelock import FileLock, Timeout

from annoseq.atomic_io import atomic_folder, check_folder_writable
from annoseq.cpu_threads import usable_cores
from annoseq.devices import are_threads_chosen
from annoseq.errors import (
    AnnoseqError,
    DivergenceError,
    OutOfMemoryError,
    OutputError,
    TrainingError,
    count_noun,
    describe_change,
)
from annoseq.output_lock import OutputLock, restore_interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.process import BaseProcess
    from multiprocessing.queues import SimpleQueue
    from pathlib import Path

    from annoseq.config import Workers
    from annoseq.devices import ComputeDevice
    from annoseq.training.learner import Learner
    from annoseq.training.recorder import Epoch

Result = TypeVar("Result")

PLAN_FILE = "config.json"
_LOCK = "runs/lock"
_POLL_SECONDS = 0.01


@dataclass(frozen=True)
class TrainingRuns:
    """Folder of runs with numbers from 1. Its locks are released by the system at a process's end.

    `kind` is the name of what the runs make up, such as sweep, for messages.
    """

    path: Path
    kind: str

    def check_writable(self, *, overwrite: bool) -> None:
        """Check that `begin` will be able to make the folder.

        Raises:
            OutputError: the folder exists already, or cannot be written, or other processes train
                in it.
        """
        restore_interrupted(self.path)
        if (self.path / PLAN_FILE).exists() and not overwrite:
            raise OutputError(
                f"{self.path} exists already. Add --resume if it is this {self.kind}, interrupted; "
                "choose another name, or add --overwrite to replace it."
            )
        check_folder_writable(self.path, overwrite=overwrite)
        self._check_not_in_use()

    @contextmanager
    def open(self, plan: dict[str, Any], *, resume: bool, overwrite: bool) -> Iterator[None]:
        """Begin or resume the runs; no other process replaces the folder during the block.

        Raises:
            OutputError: as `begin`.
            TrainingError: as `resume`.
        """
        with ExitStack() as stack:
            with OutputLock(self.path):
                if resume:
                    self.resume(plan)
                else:
                    self.begin(plan, overwrite=overwrite)
                stack.enter_context(self._use())
            yield

    def begin(self, plan: dict[str, Any], *, overwrite: bool) -> None:
        """Make the folder, with the plan that resumed runs must have too.

        Raises:
            OutputError: as `check_writable`, or the folder cannot be locked.
        """
        self.check_writable(overwrite=overwrite)
        with atomic_folder(self.path, overwrite=overwrite) as new:
            (new / PLAN_FILE).write_text(json.dumps(plan, indent=1) + "\n", encoding="utf-8")
            (new / "runs").mkdir()
            with self._locked(new / _LOCK, wait=True):
                pass  # where locks do not work, nothing is begun

    def resume(self, plan: dict[str, Any]) -> None:
        """Check that the runs were begun with this plan.

        Raises:
            TrainingError: there are none, the folder is damaged, or its plan is another.
        """
        restore_interrupted(self.path)
        path = self.path / PLAN_FILE
        if not path.exists() or not (self.path / "runs").is_dir():
            raise TrainingError(
                f"there is no {self.kind} at {self.path}. Leave --resume off to begin one."
            )
        try:
            saved = dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise TrainingError(
                f"{path} is damaged, so that the {self.kind} cannot be resumed. Begin another one."
            ) from error
        if change := describe_change(saved, json.loads(json.dumps(plan))):
            raise TrainingError(
                f"{self.path} was begun with {change}. Resume with the same data and options, or "
                "choose another --out."
            )

    def record(self, number: int) -> Path:
        """Return the path of a run's record, which exists once the run is finished."""
        return self._file(number, "json")

    def records(self) -> list[Path]:
        """Return the paths of all records, by their runs' numbers."""
        return sorted((self.path / "runs").glob("*.json"))

    def checkpoint(self, number: int) -> Path:
        """Return the path of an unfinished run's checkpoint."""
        return self._file(number, "training")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder, waiting until no other process has it locked."""
        with self._locked(self.path / _LOCK, wait=True):
            yield

    @contextmanager
    def claim(self, number: int) -> Iterator[bool]:
        """Lock a run; yield True if it is to be trained: not locked elsewhere, not finished."""
        path = self._file(number, "lock")
        is_locked = False
        try:
            with self._locked(path, wait=False) as is_locked:
                yield is_locked and not self.record(number).exists()
        finally:
            # A process that locks the file in between finds that the run is finished.
            if is_locked and self.record(number).exists():
                with suppress(PermissionError):  # Windows deletes no open file
                    path.unlink(missing_ok=True)

    @contextmanager
    def _use(self) -> Iterator[None]:
        """Lock the first file that no other process at work in the folder has locked."""
        for number in count(1):
            with self._locked(self._file(number, "process"), wait=False) as is_locked:
                if is_locked:
                    yield
                    return

    def _check_not_in_use(self) -> None:
        """Check that no process is at work in the folder, nor a worker that outlived its process.

        Raises:
            OutputError: one is.
        """
        runs = self.path / "runs"
        for path in (*runs.glob("*.process"), *runs.glob("*.lock")):
            with self._locked(path, wait=False) as is_locked:
                if not is_locked:
                    raise OutputError(
                        f"{self.path} is in use: another process trains in it. Wait until it ends, "
                        "or choose another --out."
                    )

    def _file(self, number: int, suffix: str) -> Path:
        return self.path / "runs" / f"{number:03d}.{suffix}"

    @contextmanager
    def _locked(self, path: Path, *, wait: bool) -> Iterator[bool]:
        """Lock a file of the folder; without `wait`, yield False if it is locked already.

        Raises:
            OutputError: the file cannot be written, or locks do not work there.
        """
        # A soft lock would outlive a process that dies.
        lock = FileLock(path, poll_interval=_POLL_SECONDS, fallback_to_soft=False)
        try:
            lock.acquire(blocking=wait)
        except Timeout:
            pass
        except OSError as error:
            article = "An" if self.kind[0] in "aeiou" else "A"
            raise OutputError(
                f"{self.path} cannot be locked: {error.strerror}. {article} {self.kind} needs a "
                "folder that it may write to, on a disk where file locks work: choose another "
                "--out."
            ) from error
        try:
            yield lock.is_locked
        finally:
            lock.release()


def train_again_if_damaged(
    make_learner: Callable[[], Learner], checkpoint: Path, train: Callable[[Learner], Result]
) -> tuple[Learner, Result]:
    """Train a run, which goes on from its checkpoint if there is one; return learner and result.

    A checkpoint that is damaged or of other settings is removed, and the run begun again.

    Raises:
        TrainingError: `train` raised it without a checkpoint to blame.
    """
    learner = make_learner()
    has_checkpoint = checkpoint.exists()
    try:
        return learner, train(learner)
    except (DivergenceError, OutOfMemoryError):
        raise
    except TrainingError:
        if not has_checkpoint:
            raise
        checkpoint.unlink()  # a run is cheap to begin again
        learner = make_learner()
        return learner, train(learner)


def fit_from_checkpoint(
    learner: Learner, checkpoint: Path, *, after_epoch: Callable[[Epoch], None] | None = None
) -> None:
    """Train to the end of the learner's settings in silence, from the checkpoint if there is one.

    Raises:
        TrainingError: the checkpoint is damaged or of other settings, or the loss diverged.
    """
    learner.fit_one_cycle(
        checkpoint=checkpoint,
        resume=checkpoint.exists(),
        report=lambda line: None,
        after_epoch=after_epoch,
    )


def count_workers(workers: Workers, compute: ComputeDevice) -> int:
    """Return the number of processes that `auto` stands for on a device."""
    if workers != "auto":
        return workers
    if compute.device.type != "cpu":
        return 1
    return usable_cores()


def run_workers(work: Callable[[], None], *, workers: int) -> None:
    """Call `work` in several processes, which share the cores among them, and wait for all.

    One worker alone is this process itself.

    Raises:
        AnnoseqError: a process raised it.
        TrainingError: a process was killed.
    """
    if workers == 1:
        work()
        return
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

"""Folder of a sweep, which several processes may fill at once.

sweep/
├── config.json   plan: data and options
├── runs/         a record of each finished run, a checkpoint of each unfinished one
├── runs.csv      table of runs
├── sweep.png     learning curves
├── study.db      Optuna's study, of a search
└── best/         model folder of the best run
"""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from annoseq.atomic_io import atomic_folder, check_folder_writable
from annoseq.errors import OutputError, TrainingError
from annoseq.output_lock import restore_interrupted
from annoseq.training.sweep.results import SweepRun, write_results

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from annoseq.training.learner import Learner

_PLAN = "config.json"
_LOCK = "runs/lock"
_POLL_SECONDS = 0.01


@dataclass(frozen=True)
class SweepFolder:
    """Folder of a sweep. Its locks are released by the system when a process dies."""

    path: Path

    @property
    def best(self) -> Path:
        """Model folder of the best run."""
        return self.path / "best"

    @property
    def study(self) -> Path:
        """Database of Optuna's study."""
        return self.path / "study.db"

    @property
    def plot(self) -> Path:
        """Plot of all learning curves."""
        return self.path / "sweep.png"

    def check_writable(self, *, overwrite: bool) -> None:
        """Check that `begin` will be able to make the folder.

        Raises:
            OutputError: the folder exists already, or cannot be written.
        """
        restore_interrupted(self.path)
        if (self.path / _PLAN).exists() and not overwrite:
            raise OutputError(
                f"{self.path} exists already. Add --resume if it is this sweep, interrupted; "
                "choose another name, or add --overwrite to replace it."
            )
        check_folder_writable(self.path, overwrite=overwrite)

    def begin(self, plan: dict[str, Any], *, overwrite: bool) -> None:
        """Make the folder, with the plan that a resumed sweep must have too.

        Raises:
            OutputError: the folder exists already, or cannot be written or locked.
        """
        self.check_writable(overwrite=overwrite)
        with atomic_folder(self.path, overwrite=overwrite) as new:
            (new / _PLAN).write_text(json.dumps(plan, indent=1) + "\n", encoding="utf-8")
            (new / "runs").mkdir()
            with _locked(new / _LOCK, wait=True, folder=self.path):
                pass  # where locks do not work, nothing is begun

    def resume(self, plan: dict[str, Any]) -> None:
        """Check that the sweep was begun with this plan.

        Raises:
            TrainingError: there is no sweep, it is damaged, or its plan is another.
        """
        restore_interrupted(self.path)
        path = self.path / _PLAN
        if not path.exists() or not (self.path / "runs").is_dir():
            raise TrainingError(
                f"there is no sweep at {self.path}. Leave --resume off to begin one."
            )
        try:
            saved = dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise TrainingError(
                f"{path} is damaged, so that the sweep cannot be resumed. Begin another one."
            ) from error
        current = json.loads(json.dumps(plan))
        for name in {**saved, **current}:
            before, now = saved.get(name, "not given"), current.get(name, "not given")
            if before != now:
                raise TrainingError(
                    f"{self.path} was begun with {name} {before}, and now it is {now}. "
                    "Resume with the same data and options, or choose another --out."
                )

    def checkpoint(self, number: int) -> Path:
        """Return the path of an unfinished run's checkpoint."""
        return self._file(number, "training")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder, waiting until no other process has it locked."""
        with _locked(self.path / _LOCK, wait=True, folder=self.path):
            yield

    @contextmanager
    def claim(self, number: int) -> Iterator[bool]:
        """Lock a run; yield True if it is to be trained: not locked elsewhere, not finished."""
        path = self._file(number, "lock")
        is_locked = False
        try:
            with _locked(path, wait=False, folder=self.path) as is_locked:
                yield is_locked and self.find(number) is None
        finally:
            # A process that locks the file in between finds that the run is finished.
            if is_locked and self.find(number) is not None:
                with suppress(PermissionError):  # Windows deletes no open file
                    path.unlink(missing_ok=True)

    def find(self, number: int) -> SweepRun | None:
        """Return a finished run, or None."""
        path = self._file(number, "json")
        return SweepRun.read(path) if path.exists() else None

    def runs(self) -> list[SweepRun]:
        """Return the finished runs, the best first."""
        runs = [SweepRun.read(path) for path in (self.path / "runs").glob("*.json")]
        return sorted(runs, key=lambda run: run.rank, reverse=True)

    def save(self, run: SweepRun, learner: Learner | None) -> None:
        """Save a finished run, and its model if it is the best so far."""
        with self.lock():
            others = [other for other in self.runs() if other.number != run.number]
            is_best = run.score is not None and all(run.rank > other.rank for other in others)
            if learner is not None and is_best:  # before the run counts as finished
                learner.save(self.best, overwrite=True)
            run.write(self._file(run.number, "json"))
            self.checkpoint(run.number).unlink(missing_ok=True)
            self._write_table()

    def write_table(self) -> None:
        """Write the table of runs."""
        with self.lock():
            self._write_table()

    def _write_table(self) -> None:
        write_results(self.runs(), self.path / "runs.csv")

    def _file(self, number: int, suffix: str) -> Path:
        return self.path / "runs" / f"{number:03d}.{suffix}"


@contextmanager
def _locked(path: Path, *, wait: bool, folder: Path) -> Iterator[bool]:
    """Lock a file of a folder; without `wait`, yield False if it is locked already.

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
        raise OutputError(
            f"{folder} cannot be locked: {error.strerror}. A sweep needs a folder that it may "
            "write to, on a disk where file locks work: choose another --out."
        ) from error
    try:
        yield lock.is_locked
    finally:
        lock.release()

"""The folder of a sweep, which several processes may fill at once.

sweep/
├── config.json   the plan: data, options
├── runs/         a file for each run that has ended, a checkpoint for each that has not
├── runs.csv      the table of runs
├── sweep.png     their curves
├── study.db      what Optuna knows, if it is asked
└── best/         the model folder of the best run
"""

from __future__ import annotations

import fcntl
import json
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from annoseq.atomic_io import check_folder_writable, atomic_folder
from annoseq.errors import OutputError, TrainingError
from annoseq.training.sweep.runs import Run, write_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from annoseq.training.learner import Learner

_PLAN = "config.json"
_LOCK = "runs/lock"


@dataclass(frozen=True)
class SweepFolder:
    """A folder of runs. What is held here is held by no other process, and freed if it dies."""

    path: Path

    @property
    def best(self) -> Path:
        """The model folder of the best run."""
        return self.path / "best"

    @property
    def study(self) -> Path:
        """The database of Optuna's study."""
        return self.path / "study.db"

    @property
    def plot(self) -> Path:
        """The picture of all runs."""
        return self.path / "sweep.png"

    def rehearse(self, *, overwrite: bool) -> None:
        """Raise now if `begin` would.

        Raises:
            OutputError: the folder exists already, or cannot be written.
        """
        if (self.path / _PLAN).exists() and not overwrite:
            raise OutputError(
                f"{self.path} exists already. Add --resume if it is this sweep, interrupted; "
                "choose another name, or add --overwrite to replace it."
            )
        check_folder_writable(self.path, overwrite=overwrite)

    def begin(self, plan: dict[str, Any], *, overwrite: bool) -> None:
        """Make the folder.

        Raises:
            OutputError: it exists already, or cannot be written.
        """
        self.rehearse(overwrite=overwrite)
        with atomic_folder(self.path, overwrite=overwrite) as new:
            (new / _PLAN).write_text(json.dumps(plan, indent=1) + "\n", encoding="utf-8")
            (new / "runs").mkdir()
            with _hold(new / _LOCK, wait=True, folder=self.path):
                pass  # where locks do not work, nothing is begun

    def resume(self, plan: dict[str, Any]) -> None:
        """Raise unless the folder was begun with this plan.

        Raises:
            TrainingError: there is no sweep here, it is damaged, or its plan was another.
        """
        path = self.path / _PLAN
        if not path.exists() or not (self.path / "runs").is_dir():
            raise TrainingError(
                f"there is no sweep at {self.path}. Leave --resume off to begin one."
            )
        try:
            begun = dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise TrainingError(
                f"{path} is damaged, so that the sweep cannot be resumed. Begin another one."
            ) from error
        now = json.loads(json.dumps(plan))
        for name in {**begun, **now}:
            one, other = (found.get(name, "not given") for found in (begun, now))
            if one != other:
                raise TrainingError(
                    f"{self.path} was begun with {name} {one}, and now it is {other}. "
                    "Resume with the same data and options, or choose another --out."
                )

    def checkpoint(self, number: int) -> Path:
        """Return where the state of a run between two epochs is kept."""
        return self._file(number, "training")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Wait until no other process holds the folder, and hold it."""
        with _hold(self.path / _LOCK, wait=True, folder=self.path):
            yield

    @contextmanager
    def claim(self, number: int) -> Iterator[bool]:
        """Hold a run, and yield whether it is now ours: no other holds it, it has not ended."""
        path = self._file(number, "lock")
        with _hold(path, wait=False, folder=self.path) as is_held:
            if not is_held:
                yield False
                return
            try:
                yield self.find(number) is None
            finally:
                # Whoever holds a lock that is no longer there finds that the run has ended.
                if self.find(number) is not None:
                    path.unlink(missing_ok=True)

    def find(self, number: int) -> Run | None:
        """Return a run, if it has ended."""
        path = self._file(number, "json")
        return Run.read(path) if path.exists() else None

    def runs(self) -> list[Run]:
        """Return the runs that have ended, the best first."""
        found = [Run.read(path) for path in (self.path / "runs").glob("*.json")]
        return sorted(found, key=lambda run: run.rank, reverse=True)

    def keep(self, run: Run, learner: Learner | None) -> None:
        """Write a run that has ended, and its model if no other run's is better."""
        with self.lock():
            others = [other for other in self.runs() if other.number != run.number]
            is_best = run.score is not None and all(run.rank > other.rank for other in others)
            if learner is not None and is_best:  # before the run counts as ended
                learner.save(self.best, overwrite=True)
            run.write(self._file(run.number, "json"))
            self.checkpoint(run.number).unlink(missing_ok=True)
            self._tabulate()

    def tabulate(self) -> None:
        """Write the table of runs."""
        with self.lock():
            self._tabulate()

    def _tabulate(self) -> None:
        write_table(self.runs(), self.path / "runs.csv")

    def _file(self, number: int, kind: str) -> Path:
        return self.path / "runs" / f"{number:03d}.{kind}"


@contextmanager
def _hold(path: Path, *, wait: bool, folder: Path) -> Iterator[bool]:
    """Hold a file of a folder, and yield whether it is ours: another process may hold it already.

    Raises:
        OutputError: it cannot be written, or locks do not work there.
    """
    with ExitStack() as opened:
        try:
            handle = opened.enter_context(path.open("w"))
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            is_held = True
        except BlockingIOError:
            is_held = False
        except OSError as error:
            raise OutputError(
                f"{folder} cannot be locked: {error.strerror}. A sweep needs a folder that it may "
                "write to, on a disk where file locks work: choose another --out."
            ) from error
        yield is_held

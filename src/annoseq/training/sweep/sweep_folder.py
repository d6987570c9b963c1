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

from dataclasses import dataclass
from typing import TYPE_CHECKING

from annoseq.training.run_folder import TrainingRuns
from annoseq.training.sweep.results import SweepRun, write_results

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.training.learner import Learner


@dataclass(frozen=True)
class SweepFolder:
    """Folder of a sweep."""

    path: Path

    @property
    def files(self) -> TrainingRuns:
        """Plan, locks, records and checkpoints of the runs."""
        return TrainingRuns(self.path, "sweep")

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

    def find(self, number: int) -> SweepRun | None:
        """Return a finished run, or None."""
        path = self.files.record(number)
        return SweepRun.read(path) if path.exists() else None

    def runs(self) -> list[SweepRun]:
        """Return the finished runs, the best first."""
        runs = [SweepRun.read(path) for path in self.files.records()]
        return sorted(runs, key=lambda run: run.rank, reverse=True)

    def save(self, run: SweepRun, learner: Learner | None) -> None:
        """Save a finished run, and its model if it is the best so far."""
        with self.files.lock():
            others = [other for other in self.runs() if other.number != run.number]
            is_best = run.score is not None and all(run.rank > other.rank for other in others)
            if learner is not None and is_best:  # before the run counts as finished
                learner.save(self.best, overwrite=True)
            run.write(self.files.record(run.number))
            self.files.checkpoint(run.number).unlink(missing_ok=True)
            self._write_table()

    def write_table(self) -> None:
        """Write the table of runs."""
        with self.files.lock():
            self._write_table()

    def _write_table(self) -> None:
        write_results(self.runs(), self.path / "runs.csv")

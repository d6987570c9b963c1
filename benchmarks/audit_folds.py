"""Cross-validations of several audits, trained side by side and resumable."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from annoseq.audit.cross_validation import CrossValidation
from annoseq.config import BatchConfig, DeviceConfig, NetworkConfig, TaggerConfig, TrainingConfig
from annoseq.tokenization.dataset import Dataset
from annoseq.training.document_folds import DocumentCorpus
from annoseq.training.learner_settings import LearnerSettings
from annoseq.training.run_folder import TrainingRuns, run_workers
from benchmarks.budget import log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from annoseq.data.examples import Example
    from annoseq.data.pairs import Pairs

FOLDS = 5
_FOLD_SEED = 42


def audit_settings(epochs: int, *, seed: int = 42) -> LearnerSettings:
    """Return the settings of the taggers of an audit: the small ones of all these benchmarks."""
    return LearnerSettings(
        network=NetworkConfig.of(TaggerConfig(hidden=48, embedding=32)),
        training=TrainingConfig(epochs=epochs, max_lr=8e-3, seed=seed),
        batching=BatchConfig(batch_size=16),
        device=DeviceConfig(device="cpu"),
    )


@dataclass(frozen=True, repr=False)
class Audit:
    """Examples to audit, in the order of their rows, and the folder of the trainings."""

    dataset: Dataset
    examples: Sequence[Example]
    epochs: int
    folder: Path

    @property
    def is_finished(self) -> bool:
        """True if all folds are predicted."""
        return self.folds_finished == FOLDS

    @property
    def folds_finished(self) -> int:
        """Number of the first folds that are all predicted."""
        runs = self.cross_validation()
        finished = [runs.folder.record(number + 1).exists() for number in range(FOLDS)]
        return next((count for count in range(FOLDS) if not finished[count]), FOLDS)

    def finished_part(self) -> CrossValidation:
        """Return the cross-validation with the first finished folds alone."""
        runs = self.cross_validation()
        return replace(runs, folds=runs.folds[: self.folds_finished])

    def cross_validation(self) -> CrossValidation:
        """Return the trainings of the folds."""
        corpus = DocumentCorpus.of(self.dataset, self.examples, needed=2 * FOLDS)
        folds = tuple(corpus.folds(FOLDS, seed=_FOLD_SEED))
        runs = TrainingRuns(self.folder, "audit")
        return CrossValidation(corpus, folds, audit_settings(self.epochs), runs)

    def begin(self) -> None:
        """Make the folder, if it is not there."""
        if not (self.folder / "config.json").exists():
            self.cross_validation().folder.begin({"annoseq": "benchmark"}, overwrite=True)

    def train(self) -> None:
        """Train the folds that are neither finished nor claimed by another process."""
        name = f"{self.folder.parent.name} {self.folder.name}"
        self.cross_validation().work(report=lambda number: log(f"{name}: fold {number}"))


def examples_of(pairs: Pairs) -> tuple[Dataset, list[Example]]:
    """Return the dataset of a table and all of its examples, in the order of their rows."""
    dataset = Dataset.from_pairs(pairs)
    examples = sorted((*dataset.train, *dataset.valid), key=lambda example: example.row)
    return dataset, examples


def train_audits(make: Callable[[], Sequence[Audit]], *, jobs: int, minutes: float) -> None:
    """Train all audits that `make` returns, in `jobs` processes; none begins after `minutes`."""
    for audit in make():
        audit.begin()
    run_workers(partial(_train_until, make, time.time() + 60 * minutes), workers=jobs)


def _train_until(make: Callable[[], Sequence[Audit]], end: float) -> None:
    for audit in make():
        if time.time() > end:
            return
        audit.train()

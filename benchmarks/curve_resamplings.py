"""Trainings for the check of learning curves: draws of a corpus, half of which is known.

The trainings of all resamplings are independent of each other: several processes share them, and an
interrupted check goes on with those that are not finished.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from annoseq.config import BatchConfig, DeviceConfig, NetworkConfig, TaggerConfig, TrainingConfig
from annoseq.data.pairs import Pairs
from annoseq.tokenization.dataset import Dataset
from annoseq.training.curve_runs import CurveRuns, Subset, plan_subsets, read_run, write_run
from annoseq.training.document_folds import DocumentCorpus
from annoseq.training.learner_settings import LearnerSettings
from annoseq.training.run_folder import TrainingRuns, run_workers
from benchmarks.budget import log
from benchmarks.linear_tagger import LinearTaggers
from benchmarks.meddocan import read_tables

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from annoseq.evaluation.learning_curve import CurveRun

Tagger = Literal["linear", "neural"]
NETWORK = NetworkConfig.of(TaggerConfig(hidden=32, embedding=32, buckets=8192))
_EPOCHS_OF_ONE_ROW, _MIN_EPOCHS, _MAX_EPOCHS = 150, 4, 30
"""An eighth of the epochs of `annoseq train`, in batches of a quarter of the rows."""
_KNOWN_SHARE = 0.5
_HELD_BACK = 0.2


def settings_for(rows: int) -> LearnerSettings:
    """Return the settings of a training on a number of rows."""
    epochs = max(_MIN_EPOCHS, min(_MAX_EPOCHS, round(_EPOCHS_OF_ONE_ROW / math.sqrt(rows))))
    return LearnerSettings(
        network=NETWORK,
        training=TrainingConfig(epochs=epochs, max_lr=1e-2),
        batching=BatchConfig(batch_size=8),
        device=DeviceConfig(device="cpu"),
    )


@dataclass(frozen=True, slots=True)
class Design:
    """Sizes of a check: documents of the data and most test documents, points, and repeats.

    `tagger` is the kind of tagger that is trained.
    """

    tagger: Tagger
    documents: int
    test: int
    points: int
    repeats: int

    @property
    def name(self) -> str:
        """Name of a folder, so that trainings of another design are not mixed up with these."""
        runs = f"{self.points}x{self.repeats}-runs"
        return f"{self.tagger}-{self.documents}-documents-{runs}-{self.test}-test"


@dataclass(frozen=True, repr=False)
class Unit:
    """A training of a resampling, in a folder of its own."""

    corpus: DocumentCorpus
    subset: Subset
    folder: TrainingRuns
    taggers: LinearTaggers | None

    @property
    def is_finished(self) -> bool:
        """True if the record of the training is there."""
        return self.folder.record(1).exists()

    def begin(self) -> None:
        """Make the folder, if it is not there."""
        if not (self.folder.path / "config.json").exists():
            self.folder.begin({"annoseq": "benchmark"}, overwrite=True)

    def train(self) -> None:
        """Train, unless it is finished or another process does so."""
        if self.is_finished:
            return
        if self.taggers is not None:
            self._train_linear(self.taggers)
            return
        settings = settings_for(len(self.corpus.rows(self.subset.training)))
        path = self.folder.path

        def report(_: int, run: CurveRun) -> None:
            place = f"{path.parent.parent.parent.name} {path.parent.name} {path.name}"
            log(f"{place}: {run.documents} documents, F1 {run.f1:.4f}, {run.seconds:.0f} s")

        CurveRuns(self.corpus, (self.subset,), settings, self.folder).work(report=report)

    def _train_linear(self, taggers: LinearTaggers) -> None:
        with self.folder.claim(1) as is_claimed:
            if is_claimed:
                run = taggers.run(self.corpus, self.subset, seed=self.subset.repeat)
                write_run(run, self.folder.record(1))


@dataclass(frozen=True, repr=False)
class Resampling:
    """A drawn set of data, half of which is known, and test documents."""

    corpus: DocumentCorpus
    number: int
    design: Design
    folder: Path
    taggers: LinearTaggers | None

    def units(self) -> Iterator[Unit]:
        """Return the trainings of the curve of the known half, and that on all of the data."""
        design = self.design
        order = self.corpus.shuffled(f"resampling {self.number}")
        data, others = order[: design.documents], order[design.documents :]
        everything = self._select([*data, *others[: design.test]])
        yield self._unit(everything, _split_at(everything, len(data)), "whole")
        half = self._select(data[: round(_KNOWN_SHARE * len(data))])
        for subset in plan_subsets(
            half,
            points=design.points,
            repeats=design.repeats,
            held_back=_HELD_BACK,
            seed=self.number,
        ):
            yield self._unit(half, subset, f"{subset.repeat}-{len(subset.training)}")

    def curve(self) -> list[CurveRun]:
        """Return the finished runs of the known half."""
        return [read_run(path) for path in sorted(self._path.glob("*-*/runs/001.json"))]

    def whole(self) -> CurveRun | None:
        """Return the training on all of the data, if it is finished."""
        path = self._path / "whole" / "runs" / "001.json"
        return read_run(path) if path.exists() else None

    @property
    def is_finished(self) -> bool:
        """True if all trainings are finished."""
        runs = self.design.points * self.design.repeats
        return self.whole() is not None and len(self.curve()) == runs

    @property
    def _path(self) -> Path:
        return self.folder / str(self.number)

    def _select(self, documents: Sequence[int]) -> DocumentCorpus:
        chosen = tuple(self.corpus.documents[number] for number in documents)
        return replace(self.corpus, documents=chosen)

    def _unit(self, corpus: DocumentCorpus, subset: Subset, name: str) -> Unit:
        folder = TrainingRuns(self._path / name, "learning curve")
        return Unit(corpus, subset, folder, self.taggers)


def _split_at(corpus: DocumentCorpus, count: int) -> Subset:
    """Return the subset that trains on the first `count` documents and is scored on the others."""
    return Subset(0, tuple(range(count)), tuple(range(count, len(corpus.documents))))


def read_resamplings(options: argparse.Namespace, name: str, design: Design) -> list[Resampling]:
    """Read both tables of a corpus as one, and return its resamplings."""
    tables = read_tables(options.data / name / "pairs", first=options.rows)
    dataset = Dataset.from_pairs(Pairs([p for table in tables for p in table], name=name))
    examples = [*dataset.train, *dataset.valid]
    corpus = DocumentCorpus.of(dataset, examples, needed=design.documents + 10)
    folder = options.results / name / design.name
    numbers = range(1, options.resamplings + 1)
    taggers = LinearTaggers() if design.tagger == "linear" else None
    return [Resampling(corpus, number, design, folder, taggers) for number in numbers]


def train_all(options: argparse.Namespace, designs: dict[str, Design]) -> None:
    """Train everything that is not finished, in `--jobs` processes, for `--minutes` at most.

    After that time no training begins; those of the first resamplings of all corpora come first.
    """
    for unit in _units(options, designs):
        unit.begin()
    end = time.time() + 60 * options.minutes
    run_workers(partial(_train_until, options, designs, end), workers=options.jobs)


def _train_until(options: argparse.Namespace, designs: dict[str, Design], end: float) -> None:
    for unit in _units(options, designs):
        if time.time() > end:
            return
        unit.train()


def _units(options: argparse.Namespace, designs: dict[str, Design]) -> Iterator[Unit]:
    corpora = [read_resamplings(options, name, design) for name, design in designs.items()]
    for drawn in zip(*corpora, strict=True):
        for resampling in drawn:
            yield from resampling.units()

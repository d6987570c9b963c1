"""Honesty of the extrapolation of `annoseq curve`: the fit on half of the data predicts the rest.

A resampling draws documents of a corpus: `--documents` of them are the data, and the others test.
`annoseq curve`'s runs are trained on half of the data alone; its forecast for all of the data is
compared with the F1 of one training on all of the data, on the test documents. The networks are
small and the epochs few, so that hundreds of trainings fit on a CPU.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from annoseq.config import BatchConfig, DeviceConfig, NetworkConfig, TaggerConfig, TrainingConfig
from annoseq.data.pairs import Pairs
from annoseq.evaluation.curve_fit import fit_curves, rank_weights
from annoseq.evaluation.learning_curve import CurveTotals, forecast
from annoseq.tokenization.dataset import Dataset
from annoseq.training.curve_runs import CurveRuns, Subset, plan_subsets, read_run
from annoseq.training.held_out import DocumentCorpus, LearnerSettings
from annoseq.training.run_folder import TrainingRuns
from benchmarks.budget import cache_folder, log
from benchmarks.command import (
    command_line,
    exit_status,
    make_parser,
    provenance,
    read_options,
)
from benchmarks.measure import describe_machine, markdown_table, write_report
from benchmarks.meddocan import read_tables

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from annoseq.evaluation.counts import Array
    from annoseq.evaluation.learning_curve import CurveRun, Estimate

REPORT = Path(__file__).with_suffix(".md")
NETWORK = NetworkConfig.of(TaggerConfig(hidden=32, embedding=32, buckets=8192))
_EPOCHS_OF_ONE_ROW, _MIN_EPOCHS, _MAX_EPOCHS = 300, 6, 16
"""A quarter of the epochs of `annoseq train`."""


def settings_for(rows: int) -> LearnerSettings:
    """Return the settings of a training on a number of rows."""
    epochs = max(_MIN_EPOCHS, min(_MAX_EPOCHS, round(_EPOCHS_OF_ONE_ROW / math.sqrt(rows))))
    return LearnerSettings(
        network=NETWORK,
        training=TrainingConfig(epochs=epochs, max_lr=1e-2),
        batching=BatchConfig(batch_size=8),
        device=DeviceConfig(device="cpu"),
    )


@dataclass(frozen=True, repr=False)
class Resampling:
    """A drawn set of data, half of which is known, and test documents."""

    corpus: DocumentCorpus
    number: int
    folder: Path
    options: argparse.Namespace

    def train(self) -> None:
        """Make the runs of the curve of the known half, and the training on all of the data."""
        order = self.corpus.shuffled(f"resampling {self.number}")
        data, test = order[: self.options.documents], order[self.options.documents :]
        half = self._select(data[: len(data) // 2])
        for subset in plan_subsets(
            half,
            points=self.options.points,
            repeats=self.options.repeats,
            held_back=0.2,
            seed=self.number,
        ):
            self._run(half, subset, f"{subset.repeat}-{len(subset.training)}")
        test = test[: self.options.test]
        everything = self._select([*data, *test])
        whole = Subset(0, tuple(range(len(data))), tuple(range(len(data), len(data) + len(test))))
        self._run(everything, whole, "whole")

    def curve(self) -> list[CurveRun]:
        """Return the runs of the known half."""
        return [
            read_run(path) for path in sorted(self.folder.glob(f"{self.number}/*-*/runs/001.json"))
        ]

    def whole(self) -> CurveRun | None:
        """Return the training on all of the data, if it is done."""
        path = self.folder / str(self.number) / "whole" / "runs" / "001.json"
        return read_run(path) if path.exists() else None

    def _select(self, documents: Sequence[int]) -> DocumentCorpus:
        chosen = tuple(self.corpus.documents[number] for number in documents)
        return replace(self.corpus, documents=chosen)

    def _run(self, corpus: DocumentCorpus, subset: Subset, name: str) -> None:
        folder = TrainingRuns(self.folder / str(self.number) / name, "learning curve")
        if not (folder.path / "config.json").exists():
            folder.begin({"annoseq": "benchmark"}, overwrite=True)
        settings = settings_for(len(corpus.rows(subset.training)))
        runs = CurveRuns(corpus, (subset,), settings, folder)
        runs.work(
            report=lambda _, run: log(
                f"{self.number} {name}: {run.documents} documents, F1 {run.f1:.4f}, "
                f"{run.seconds:.0f} s"
            )
        )


def read_corpus(options: argparse.Namespace) -> DocumentCorpus:
    """Read both tables of a corpus as one."""
    tables = read_tables(options.data, first=options.rows)
    pairs = Pairs([pair for table in tables for pair in table], name="corpus")
    dataset = Dataset.from_pairs(pairs)
    examples = [*dataset.train, *dataset.valid]
    return DocumentCorpus.of(dataset, examples, needed=options.documents + 10)


def train_some(options: argparse.Namespace) -> None:
    """Train every resampling that is not finished; several processes may do so at once."""
    corpus = read_corpus(options)
    for number in range(1, options.resamplings + 1):
        Resampling(corpus, number, options.results, options).train()


@dataclass(frozen=True, slots=True)
class Outcome:
    """Forecast of a resampling, the F1 that was measured, and the interval of a single fit."""

    forecast: Estimate
    measured: float
    single_fit: tuple[float, float]

    @property
    def is_held(self) -> bool:
        """True if the interval holds the measured F1."""
        return self.forecast.low <= self.measured <= self.forecast.high

    @property
    def is_held_by_single_fit(self) -> bool:
        """True if the interval of a single power law holds it."""
        low, high = self.single_fit
        return low <= self.measured <= high


def join(options: argparse.Namespace) -> list[Outcome]:
    """Compare the forecasts of all finished resamplings with what was measured."""
    corpus = read_corpus(options)
    outcomes = []
    for number in range(1, options.resamplings + 1):
        resampling = Resampling(corpus, number, options.results, options)
        whole = resampling.whole()
        if whole is None:
            continue
        scores = CurveTotals.of(resampling.curve()).scores()
        found = forecast(scores).score_at(options.documents)
        single = power_law_interval(scores.documents, scores.scores.mean(axis=0), options.documents)
        outcomes.append(Outcome(found, whole.f1, single))
        log(f"{number}: {found} against {whole.f1:.4f}, single fit {single}")
    return outcomes


def power_law_interval(sizes: Array, means: Array, documents: int) -> tuple[float, float]:
    """Return the 95 % interval of one fitted power law from its weighted residuals.

    Figueroa et al. 2012 take such an interval, from the covariance of the parameters.
    """
    weights = rank_weights(len(sizes))
    fitted = fit_curves("power law", sizes, means[None, :], weights)
    residuals = [
        float(fitted.predict(size)[0]) - mean
        for size, mean in zip(sizes.tolist(), means.tolist(), strict=True)
    ]
    freedom = max(1, len(sizes) - 3)
    shares = weights / weights.mean()
    spread = math.sqrt(float((shares * np.square(residuals)).sum()) / freedom)
    value = float(fitted.predict(documents)[0])
    return value - 1.96 * spread, value + 1.96 * spread


def make_table(outcomes: Sequence[Outcome]) -> str:
    """Return the table of errors and intervals."""
    errors = [abs(outcome.forecast.value - outcome.measured) for outcome in outcomes]
    widths = [outcome.forecast.high - outcome.forecast.low for outcome in outcomes]
    held = sum(outcome.is_held for outcome in outcomes)
    single = sum(outcome.is_held_by_single_fit for outcome in outcomes)
    single_widths = [high - low for low, high in (outcome.single_fit for outcome in outcomes)]
    head = ["interval", "holds the measured F1", "mean width", "mean absolute error"]
    count = len(outcomes)
    rows = [
        [
            "annoseq curve",
            f"{held} of {count}",
            f"{np.mean(widths):.3f}",
            f"{np.mean(errors):.4f}",
        ],
        [
            "residuals of one power law",
            f"{single} of {count}",
            f"{np.mean(single_widths):.3f}",
            "",
        ],
    ]
    return markdown_table(head, rows)


def main(given: Sequence[str] | None = None) -> int:
    """Train and compare, and write the report; return the exit status."""
    parser = make_parser("learning_curve", __doc__ or "", report=REPORT)
    add = parser.add_argument
    add("--documents", type=int, default=300, help="documents of the data, half of them known")
    add("--test", type=int, default=400, help="most test documents")
    add("--resamplings", type=int, default=20, help="draws of the data")
    add("--points", type=int, default=5, help="points of a curve")
    add("--repeats", type=int, default=3, help="trainings at a point")
    add("--results", type=Path, default=cache_folder("learning_curve"), help="folder of the runs")
    add("--join", action="store_true", help="only make the report of the finished runs")
    arguments = command_line(given)
    options = read_options(parser, arguments, above_zero=("documents", "resamplings"))

    def work() -> None:
        if not options.join:
            train_some(options)
        outcomes = join(options)
        tables = [make_table(outcomes)]
        print(tables[0])
        facts = {
            "corpus": options.data.parent.name,
            "resamplings": f"{len(outcomes)} of {options.documents} documents, "
            f"{options.documents // 2} of them known, at most {options.test} test documents",
            "measured F1": ", ".join(f"{outcome.measured:.3f}" for outcome in outcomes),
            "forecasts": ", ".join(
                f"{o.forecast.value:.3f} ({o.forecast.low:.3f} to {o.forecast.high:.3f})"
                for o in outcomes
            ),
            **describe_machine(torch.device("cpu")),
            **provenance("learning_curve", arguments),
        }
        write_report(
            options.out,
            title="Forecasts of learning curves",
            about=ABOUT,
            tables=tables,
            facts=facts,
        )

    return exit_status(work)


ABOUT = """A resampling draws the data from a corpus; half of it is known to `annoseq curve`, which
forecasts the F1 of a training on all of the data. That training is made and scored on test
documents that nothing else uses. The taggers are small, with a hidden width of 32 and at most 16
epochs. Below it is the interval that a single fit would give."""


if __name__ == "__main__":
    sys.exit(main())

"""Honesty of the extrapolation of `annoseq curve`: the fit on half of the data predicts the rest.

A resampling draws documents of a corpus: some of them are the data, and others test. The runs of
`annoseq curve` are trained on half of the data alone; its forecast for all of the data is compared
with the F1 of one training on all of the data, on the test documents. The networks are small and
the epochs few, so that a thousand trainings fit on a few cores.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from annoseq.evaluation.curve_fit import fit_curves, rank_weights
from annoseq.evaluation.learning_curve import CurveTotals, forecast
from benchmarks.budget import cache_folder
from benchmarks.command import command_line, exit_status, make_parser, provenance, read_options
from benchmarks.curve_resamplings import Design, read_resamplings, train_all
from benchmarks.measure import describe_machine, markdown_table, write_report
from benchmarks.meddocan import FOLDER

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from annoseq.evaluation.counts import Array
    from annoseq.evaluation.learning_curve import Estimate
    from benchmarks.curve_resamplings import Resampling, Tagger

REPORT = Path(__file__).with_suffix(".md")
DOCUMENTS: dict[Tagger, dict[str, int]] = {
    "linear": {"meddocan": 120, "bc5cdr": 200, "ncbi_disease": 200, "asq_phi": 300},
    "neural": {"meddocan": 80, "bc5cdr": 100, "ncbi_disease": 100, "asq_phi": 300},
}
"""Documents of the data, half of which are known; those of ASQ-PHI have one row each."""
CORPORA = ("meddocan", "bc5cdr", "ncbi_disease")


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


def join(resamplings: Sequence[Resampling]) -> list[Outcome]:
    """Compare the forecasts of all finished resamplings with what was measured."""
    return [_outcome(resampling) for resampling in resamplings if resampling.is_finished]


def _outcome(resampling: Resampling) -> Outcome:
    whole, documents = resampling.whole(), resampling.design.documents
    assert whole is not None
    scores = CurveTotals.of(resampling.curve()).scores()
    single = power_law_interval(scores.documents, scores.scores.mean(axis=0), documents)
    return Outcome(forecast(scores).score_at(documents), whole.f1, single)


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


def make_table(outcomes: dict[str, list[Outcome]]) -> str:
    """Return the table of errors and intervals, by corpus."""
    head = [
        "corpus",
        "measured F1",
        "mean error",
        "mean absolute error",
        "interval holds it",
        "mean width",
        "one power law's holds it",
        "its mean width",
    ]
    rows = [_row(name, found) for name, found in outcomes.items() if found]
    everything = [outcome for found in outcomes.values() for outcome in found]
    if len(rows) > 1:
        rows.append(_row("all", everything))
    return markdown_table(head, rows)


def _row(name: str, outcomes: Sequence[Outcome]) -> list[str]:
    errors = [outcome.forecast.value - outcome.measured for outcome in outcomes]
    widths = [outcome.forecast.high - outcome.forecast.low for outcome in outcomes]
    single_widths = [high - low for low, high in (outcome.single_fit for outcome in outcomes)]
    held = sum(outcome.is_held for outcome in outcomes)
    single = sum(outcome.is_held_by_single_fit for outcome in outcomes)
    return [
        name,
        f"{np.mean([outcome.measured for outcome in outcomes]):.3f}",
        f"{np.mean(errors):+.4f}",
        f"{np.mean(np.abs(errors)):.4f}",
        f"{held} of {len(outcomes)}",
        f"{np.mean(widths):.3f}",
        f"{single} of {len(outcomes)}",
        f"{np.mean(single_widths):.3f}",
    ]


def describe(name: str, design: Design, outcomes: Sequence[Outcome]) -> dict[str, str]:
    """Return the facts about the resamplings of a corpus."""
    forecasts = ", ".join(
        f"{outcome.measured:.3f} in {outcome.forecast.low:.3f} to {outcome.forecast.high:.3f}"
        for outcome in outcomes
    )
    return {
        name: f"{len(outcomes)} resamplings of {design.documents} documents, "
        f"{design.documents // 2} of them known, at most {design.test} test documents; "
        f"measured F1 in its interval: {forecasts}"
    }


def main(given: Sequence[str] | None = None) -> int:
    """Train and compare, and write the report; return the exit status."""
    arguments = command_line(given)
    options = _read(arguments)
    designs = {name: _design(name, options) for name in options.corpora}

    def work() -> None:
        machine = describe_machine(torch.device("cpu"))
        if not options.join:
            train_all(options, designs)
        outcomes = {
            name: join(read_resamplings(options, name, design)) for name, design in designs.items()
        }
        table = make_table(outcomes)
        print(table)
        if options.only_train:
            return
        facts: dict[str, str] = {}
        for name, found in outcomes.items():
            facts |= describe(name, designs[name], found)
        facts |= {**machine, **provenance("learning_curve", arguments)}
        title = "Forecasts of learning curves"
        write_report(options.out, title=title, about=ABOUT, tables=[table], facts=facts)

    return exit_status(work)


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = make_parser("learning_curve", __doc__ or "", report=REPORT)
    parser.set_defaults(data=FOLDER.parents[1])
    add = parser.add_argument
    add(
        "--corpora",
        nargs="+",
        choices=DOCUMENTS["linear"],
        default=CORPORA,
        help="folders in --data",
    )
    add("--tagger", choices=DOCUMENTS, default="linear", help="kind of tagger that is trained")
    add("--documents", type=int, help="documents of the data, half of them known")
    add("--test", type=int, default=150, help="most test documents")
    add("--resamplings", type=int, default=20, help="draws of the data")
    add("--points", type=int, default=5, help="points of a curve")
    add("--repeats", type=int, default=3, help="trainings at a point")
    add("--jobs", type=int, default=1, help="processes that train side by side")
    add("--minutes", type=float, default=10_000.0, help="time after which no training begins")
    add("--results", type=Path, default=cache_folder("learning_curve"), help="folder of the runs")
    alone = parser.add_mutually_exclusive_group()
    alone.add_argument("--only-train", action="store_true", help="write no report")
    alone.add_argument("--join", action="store_true", help="only make the report of finished runs")
    above_zero = ("documents", "test", "resamplings", "points", "repeats", "jobs", "minutes")
    return read_options(parser, arguments, above_zero=above_zero)


def _design(name: str, options: argparse.Namespace) -> Design:
    documents = options.documents or DOCUMENTS[options.tagger][name]
    return Design(options.tagger, documents, options.test, options.points, options.repeats)


ABOUT = """A resampling draws the data from a corpus; half of it is known to `annoseq curve`, which
forecasts the F1 of a training on all of the data. That training is made and scored on test
documents that nothing else uses. The resamplings of a corpus share documents. The taggers are
small, with a hidden width of 32 and 4 to 30 epochs. Beside it is the interval of the weighted
residuals of one power law."""


if __name__ == "__main__":
    sys.exit(main())

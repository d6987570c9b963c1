"""Simulation of `annoseq certify`: how often its bound fails, and how loose it is.

A tagger is trained on four fifths of the training documents. The dev documents are the population:
1,000 samples are drawn from them with replacement, each is certified, and the true risk at the
chosen threshold is that of the population, so that it has no error of its own. The shift test is
simulated on the same documents (`benchmarks/shift_simulation.py`).
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, get_args

import numpy as np
import torch

from annoseq.data.examples import parse_pairs
from annoseq.evaluation.certificate import Loss, loss_table
from annoseq.evaluation.risk_control import learn_then_test
from annoseq.inference.annotator import Annotator
from annoseq.models.serialization import TrainedModel
from benchmarks.budget import cache_folder, log, pinned_to_core
from benchmarks.command import exit_status, make_parser, provenance, read_options
from benchmarks.measure import describe_machine, markdown_table, write_report
from benchmarks.meddocan import read_tables
from benchmarks.shift_simulation import (
    BOUND,
    PERMUTATIONS,
    ShiftSimulation,
    score_documents,
    shift_table,
    upper_case,
    without_accent,
)
from benchmarks.target_recall import CPU, train

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from annoseq.data.examples import Example
    from annoseq.evaluation.certificate import ScoredIdentifier
    from benchmarks.shift_simulation import ScoredDocuments

REPORT = Path(__file__).with_suffix(".md")
RISKS: dict[Loss, tuple[float, ...]] = {"share": (0.02, 0.05), "any": (0.1, 0.2)}
CONFIDENCES = (0.9, 0.95)


class Outcome(NamedTuple):
    """Share of samples whose bound fails, of those without one, and mean risk of the others."""

    failed: float
    refused: float
    risk: float


def simulate(
    units: Sequence[Sequence[ScoredIdentifier]],
    *,
    loss: Loss,
    risk: float,
    delta: float,
    options: argparse.Namespace,
) -> Outcome:
    """Certify samples of units and compare with the risk of all."""
    _, losses = loss_table(units, loss)
    true_risks = losses.mean(1)
    generator = np.random.default_rng(options.seed)
    size = options.size or len(units)
    chosen = [
        learn_then_test(losses[:, generator.integers(0, len(units), size)], risk=risk, delta=delta)
        for _ in range(options.samples)
    ]
    risks = [float(true_risks[index]) for index in chosen if index is not None]
    return Outcome(
        failed=sum(value > risk for value in risks) / len(chosen),
        refused=1 - len(risks) / len(chosen),
        risk=float(np.mean(risks)) if risks else math.nan,
    )


def make_table(units: Sequence[Sequence[ScoredIdentifier]], options: argparse.Namespace) -> str:
    """Simulate all bounds and return the table."""
    rows = []
    for loss in get_args(Loss):
        for risk in RISKS[loss]:
            for confidence in CONFIDENCES:
                delta = 1 - confidence
                outcome = simulate(units, loss=loss, risk=risk, delta=delta, options=options)
                allowed = delta + 2 * math.sqrt(delta * (1 - delta) / options.samples)
                rows.append(
                    [
                        *(f"{loss}, {risk:g}", f"{confidence:g}", f"{outcome.failed:.3f}"),
                        *(f"{allowed:.3f}", f"{outcome.refused:.3f}", f"{outcome.risk:.4f}"),
                    ]
                )
                log(" | ".join(rows[-1]))
    head = [
        *("loss and bound", "confidence", "bound fails"),
        *("allowed, with two standard errors", "no bound", "true risk, mean"),
    ]
    return markdown_table(head, rows)


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser("certify", "Simulate how often a certified bound fails.", report=REPORT)
    add = parser.add_argument
    add("--model", type=Path, help="model folder of a tagger to use, instead of training one")
    add("--epochs", type=int, help="epochs to train; by default the tagger's own")
    add("--samples", type=int, default=1_000, help="samples of documents to certify")
    add("--size", type=int, help="documents in a sample; by default as many as there are")
    add("--repeats", type=int, default=200, help="random halves of the documents: shift test")
    add("--other", type=Path, help="folder of another corpus, whose dev texts are shifted notes")
    add("--results", type=Path, default=cache_folder("certify"), help="where to train it")
    return read_options(parser, arguments, above_zero=("epochs", "samples", "size", "repeats"))


ABOUT = f"""\
A tagger with its defaults, trained on four fifths of the training documents of a corpus. Its dev
documents are the population. Samples are drawn from them with replacement; for each, `annoseq
certify` chooses a threshold for the bound, and the bound fails if the risk of the population at
that threshold is above it. The loss of a document is the share of its identifiers that are missed,
or 1 if any is.

The second table is that of `--new-notes`. A random half of the documents is certified with a bound
of {BOUND.missed:g} on the share of missed identifiers and a confidence of {BOUND.confidence:g},
and compared by the shift test ({PERMUTATIONS} permutations, level of 5 %) with new notes:
documents of the other half, as they are or changed, or documents of another corpus. Their true
risk is the mean share of their identifiers that is missed at the certified threshold."""


def main(given: Sequence[str] | None = None) -> int:
    """Simulate, print the tables, and replace the report."""
    arguments = list(sys.argv[1:] if given is None else given)
    options = parse_arguments(arguments)

    def work() -> None:
        machine = describe_machine(torch.device("cpu"))
        options.results.mkdir(parents=True, exist_ok=True)
        model = TrainedModel.load(options.model) if options.model else train(options)[0]
        annotator = Annotator(model, device=CPU)
        examples = _read_examples(options.data, options)
        population = score_documents(annotator, examples)
        units = population.units
        shifted = _shifted_notes(annotator, examples, options)
        shift = ShiftSimulation(population, shifted, seed=options.seed)
        shift.run(options.repeats)
        tables = [make_table(units, options), shift_table(shift.tallies)]
        print("\n\n".join(tables))
        facts = {
            "corpus": f"{options.data.parent.name}, {len(units):,} dev documents with "
            f"{sum(map(len, units)):,} identifiers",
            "samples": f"{options.samples:,} of {options.size or len(units):,} documents",
            "shift test": f"{options.repeats:,} random halves, "
            f"{shift.certified:,} of them with a bound",
        }
        write_report(
            options.out,
            title="Failures of certified bounds",
            about=ABOUT,
            tables=tables,
            facts=facts | machine | provenance("certify", arguments),
        )

    with pinned_to_core(options.core):
        return exit_status(work)


def _read_examples(folder: Path, options: argparse.Namespace) -> Sequence[Example]:
    _, dev = read_tables(folder, first=options.rows)
    return parse_pairs(dev, task="annotate").examples


def _shifted_notes(
    annotator: Annotator, examples: Sequence[Example], options: argparse.Namespace
) -> dict[str, ScoredDocuments]:
    """Return the notes that differ from the population, by their name in the table."""
    notes = {
        "without accents": score_documents(annotator, examples, change=without_accent),
        "in upper case": score_documents(annotator, examples, change=upper_case),
    }
    if options.other:
        others = _read_examples(options.other, options)
        name = f"of {options.other.parent.name}"
        notes[name] = score_documents(annotator, others, is_population=False)
    return notes


if __name__ == "__main__":
    sys.exit(main())

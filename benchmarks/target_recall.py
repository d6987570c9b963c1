"""Target recall and coverage of the tagger on MEDDOCAN, and the calibration of its scores.

A tagger is trained on four fifths of the training documents and calibrated on the other fifth. The
dev rows are annotated once for each target recall, and select nothing.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from annoseq.config import BatchConfig, DataConfig, DeviceConfig, TrainingConfig
from annoseq.data.examples import parse_pairs
from annoseq.devices import ComputeDevice
from annoseq.errors import OptionError
from annoseq.evaluation.calibration import BinTotals, expected_calibration_error, judge_spans
from annoseq.evaluation.coverage import CoverageTarget
from annoseq.evaluation.coverage_counter import COVERAGE_FLOOR, CoverageCounter
from annoseq.evaluation.recall_thresholds import RecallTarget, lowest_score
from annoseq.inference.annotator import Annotator
from annoseq.models.serialization import TrainedModel
from annoseq.tokenization.dataset import Dataset
from annoseq.training.learner import Learner
from annoseq.training.model_card import calibrate
from benchmarks.budget import TIMING_NOTE, ProcessorTimer, cache_folder, log, pinned_to_core
from benchmarks.command import exit_status, make_parser, provenance, read_options
from benchmarks.coverage_simulation import (
    score_documents,
    simulation_table,
    split_worst,
    transfer_table,
)
from benchmarks.measure import describe_machine, list_facts, markdown_table, write_report
from benchmarks.meddocan import read_tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.data.markup import Span
    from annoseq.data.pairs import Pair
    from annoseq.evaluation.coverage import CoverageCounts, CoveragePoint

REPORT = Path(__file__).with_suffix(".md")
TARGETS = (0.95, 0.96, 0.97, 0.98, 0.99, 0.995)
COVERAGES = (0.98, 0.99, 0.995, 0.998)
CPU = DeviceConfig(device="cpu")
WIDE = BatchConfig(batch_size=256, batch_tokens=16_384)


@dataclass(frozen=True, slots=True)
class Measurement:
    """Counts on some rows; a gold span is `covered` if all its characters are in spans."""

    gold: int
    kept: int
    found: int
    covered: int
    documents: int
    seconds: float

    @property
    def recall(self) -> float:
        """Share of gold spans predicted with their offsets and label."""
        return self.found / max(self.gold, 1)

    @property
    def precision(self) -> float:
        """Share of predicted spans that are correct."""
        return self.found / max(self.kept, 1)


class CalibratedTagger:
    """Calibrated tagger with the rows, and their gold spans, that it is measured on."""

    def __init__(self, model: TrainedModel, pairs: Sequence[Pair]) -> None:
        self.model, self.pairs = model, pairs
        examples = parse_pairs(pairs, task="annotate").examples
        self._gold = [example.tight_spans for example in examples]
        self.annotator = Annotator(model, device=CPU)

    def measure(self, target_recall: float | None) -> Measurement:
        """Annotate all rows with a target recall, or with the most likely spans."""
        with ProcessorTimer() as watch:
            found = self._annotate(self.annotator, target_recall)
        rows = list(zip(self._gold, found, strict=True))
        return Measurement(
            gold=sum(map(len, self._gold)),
            kept=sum(map(len, found)),
            found=sum(right for gold, spans in rows for _, right in judge_spans(gold, spans)),
            covered=sum(_is_covered(one, spans) for gold, spans in rows for one in gold),
            documents=len({pair.document for pair in self.pairs}),
            seconds=watch.seconds,
        )

    def count_coverage(self) -> CoverageCounts:
        """Count the identifiers that each threshold covers."""
        counter = CoverageCounter(floor=COVERAGE_FLOOR)
        parts = self.annotator.score_coverage([pair.source for pair in self.pairs], batching=WIDE)
        for pair, gold, scored in zip(self.pairs, self._gold, parts, strict=True):
            counter.add(pair.source, gold, scored, document=pair.document)
        return counter.counts()

    def errors(self) -> tuple[float, float]:
        """Return the calibration error of the most likely spans before and after calibration."""
        raw = Annotator(replace(self.model, calibration=None), device=CPU)
        first, second = (self._error(one) for one in (raw, self.annotator))
        return first, second

    def _error(self, annotator: Annotator) -> float:
        found = self._annotate(annotator, None)
        scored = [
            (span.score or 0.0, right)
            for gold, spans in zip(self._gold, found, strict=True)
            for span, right in judge_spans(gold, spans)
        ]
        scores, correct = map(list, zip(*scored, strict=True))
        return float(expected_calibration_error(BinTotals.of_spans(scores, correct)))

    def _annotate(self, annotator: Annotator, target_recall: float | None) -> list[list[Span]]:
        texts = [pair.source for pair in self.pairs]
        found = annotator.annotate(texts, batching=WIDE, target_recall=target_recall)
        return [list(one.spans or ()) for one in found]


def _is_covered(gold: Span, spans: Sequence[Span]) -> bool:
    """Return True if every character of a gold span is in a span, whatever its label."""
    marked = {place for span in spans for place in range(span.start, span.end)}
    return marked.issuperset(range(gold.start, gold.end))


def train(options: argparse.Namespace) -> tuple[TrainedModel, float]:
    """Train on four fifths of the training documents; return the model and the seconds taken."""
    folder = options.results / "model"
    training = TrainingConfig(seed=options.seed)
    if options.epochs is not None:
        training = training.model_copy(update={"epochs": options.epochs})
    with ProcessorTimer() as watch:
        learner = Learner(split_rows(options), training=training, device=CPU)
        learner.fit_one_cycle(report=log)
        learner.save(folder, overwrite=True)
    return TrainedModel.load(folder), watch.seconds


def split_rows(options: argparse.Namespace) -> Dataset:
    """Return the training rows, split by the seed into four fifths and a fifth of the documents."""
    train_pairs, _ = read_tables(options.data, first=options.rows)
    return Dataset.from_pairs(train_pairs, config=DataConfig(split_seed=options.seed))


def reuse(options: argparse.Namespace) -> TrainedModel:
    """Return the model that an earlier run trained, calibrated again on the rows kept from it.

    Raises:
        OptionError: it was trained on other rows.
    """
    model, dataset = TrainedModel.load(options.results / "model"), split_rows(options)
    if model.config.fingerprint != dataset.fingerprint:
        raise OptionError(
            f"--reuse: the model in {options.results} was trained on other rows. Leave --reuse off."
        )
    calibration = calibrate(model, dataset.valid, ComputeDevice.select(CPU))
    return replace(model, calibration=calibration)


def prepare(options: argparse.Namespace) -> tuple[CalibratedTagger, str]:
    """Return a calibrated model with the rows to measure it on, and its description.

    Raises:
        OptionError: the model is no tagger, or there are too few spans to calibrate it with.
    """
    _, dev = read_tables(options.data, first=options.rows)
    parts = "on four fifths of the training documents, calibrated on the other fifth"
    if options.reuse:
        model, story = reuse(options), f"trained before {parts}"
    elif options.model is None:
        model, seconds = train(options)
        story = f"trained in {seconds / 60:.1f} CPU minutes {parts}"
    else:
        model, story = TrainedModel.load(options.model), "trained before, with its calibration"
    rows: Sequence[Pair] = dev
    if model.calibration is None and options.model is None:
        raise OptionError("there are too few spans to calibrate with. Raise --rows.")
    if model.calibration is None:
        model, rows = _calibrated_on_half(model, dev)
        story = (
            "trained before on all training documents, its epoch chosen by the dev rows; "
            "calibrated on every other dev document, measured on the rest"
        )
    return CalibratedTagger(model, rows), story


def _calibrated_on_half(
    model: TrainedModel, dev: Sequence[Pair]
) -> tuple[TrainedModel, Sequence[Pair]]:
    names = list(dict.fromkeys(pair.document for pair in dev))
    first = set(names[::2])
    ours, others = (
        [pair for pair in dev if (pair.document in first) == is_first] for is_first in (True, False)
    )
    statistics = calibrate(
        model, parse_pairs(ours, task="annotate").examples, ComputeDevice.select(CPU)
    )
    if statistics is None:
        raise OptionError(
            "there are too few spans to calibrate with. Raise --rows, or name a tagger."
        )
    return replace(model, calibration=statistics), others


def make_tables(trial: CalibratedTagger) -> list[str]:
    """Measure all target recalls, the most likely spans, and the calibration."""
    rows = [["most likely spans", *_measured(trial.measure(None)), "", "", ""]]
    for target in TARGETS:
        chosen = trial.annotator.choose_target(target_recall=target)
        assert isinstance(chosen, RecallTarget)
        rows.append([f"{target:g}", *_measured(trial.measure(target)), *_expected(chosen)])
        log(" | ".join(rows[-1]))
    head = [
        *("target recall", "recall", "precision", "spans per document", "covered", "s"),
        *("recall, expected", "precision, expected", "confidence"),
    ]
    before, after = trial.errors()
    errors = markdown_table(
        ["calibration error of the most likely spans", "before", "after"],
        [["on these rows", f"{before:.4f}", f"{after:.4f}"]],
    )
    return [markdown_table(head, rows), _coverage_table(trial), errors]


def _coverage_table(trial: CalibratedTagger) -> str:
    """Measure all target coverages, and read the curve off the same rows."""
    counts = trial.count_coverage()
    rows = [["most likely spans", *_coverage_values(counts.point(1.0)), "", "", ""]]
    for share in COVERAGES:
        target = trial.annotator.choose_target(target_coverage=share)
        assert isinstance(target, CoverageTarget)
        expected = target.expected
        confidence = "out of reach" if target.is_out_of_reach else f"{target.confidence}%"
        rows.append(
            [
                f"{share:g}",
                *_coverage_values(counts.point(target.threshold)),
                f"{expected.coverage:.4f}",
                f"{expected.other_share:.2%}",
                confidence if target.confidence or target.is_out_of_reach else "none",
            ]
        )
        log(" | ".join(rows[-1]))
    for share in COVERAGES:
        identifiers = counts.all_identifiers()
        bin_ = identifiers.bin_of(math.ceil(share * identifiers.total))
        values = ["out of reach", *[""] * 4]
        if bin_ is not None:
            values = _coverage_values(counts.point(lowest_score(bin_)))
        rows.append([f"{share:g}, threshold read off these rows", *values, "", "", ""])
    head = [
        *("target coverage", "covered", "characters", "documents without a miss"),
        *("other tokens marked", "token precision"),
        *("covered, expected", "other tokens, expected", "confidence"),
    ]
    return markdown_table(head, rows)


def _simulation_tables(trial: CalibratedTagger, options: argparse.Namespace) -> list[str]:
    """Compare calibration and dev documents, and count the samples of both that miss a target."""
    held_out = score_documents(trial.annotator, split_rows(options).valid)
    dev = score_documents(trial.annotator, parse_pairs(trial.pairs, task="annotate").examples)
    populations = {
        "calibration": held_out,
        "dev": dev,
        "dev, without the one with most misses": split_worst(dev, 1.0)[1],
    }
    table = simulation_table(populations, size=len(held_out), samples=options.samples)
    return [transfer_table(held_out, dev), table]


def _coverage_values(point: CoveragePoint) -> list[str]:
    return [
        f"{point.coverage:.4f}",
        f"{point.character_coverage:.4f}",
        f"{point.clean_documents} of {point.documents}",
        f"{point.other_share:.2%}",
        f"{point.precision:.4f}",
    ]


def _measured(one: Measurement) -> list[str]:
    covered = one.covered / max(one.gold, 1)
    spans = one.kept / max(one.documents, 1)
    values = [f"{one.recall:.4f}", f"{one.precision:.4f}", f"{spans:.1f}", f"{covered:.4f}"]
    return [*values, f"{one.seconds:.1f}"]


def _expected(target: RecallTarget) -> list[str]:
    confidence = f"{target.confidence}%" if target.has_margin else "expected"
    expected = target.expected
    values = [f"{expected.recall:.4f}", f"{expected.precision:.4f}"]
    return [*values, "out of reach" if target.is_out_of_reach else confidence]


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        "target_recall", "Measure the recall of a tagger with target recalls.", report=REPORT
    )
    add = parser.add_argument
    add("--model", type=Path, help="model folder of a tagger to use, instead of training one")
    add("--epochs", type=int, help="epochs to train; by default the tagger's own")
    add("--results", type=Path, default=cache_folder("target_recall"), help="where to train it")
    add("--reuse", action="store_true", help="load what an earlier run has trained there")
    add("--samples", type=int, default=1_000, help="samples of documents that choose a threshold")
    add("--more-seeds", type=int, nargs="*", default=[], help="seeds of further models to measure")
    return read_options(parser, arguments, above_zero=("epochs", "samples"))


ABOUT = f"""\
A tagger with its defaults, with a target recall. A span is correct if its offsets and its label
are; covered is the share of gold spans of which every character is in a predicted span,
whatever the label, as redaction needs it. Expected values were measured on the calibration rows.
The confidence is the share of samples of documents in which the target is reached; without one, the
target is only expected, or it is out of reach because too many gold spans are no candidates, or
cross a more likely one.

With a target coverage, tokens that lie in any span with a sufficient probability are marked besides
the most likely spans. An identifier is covered if all its letters, digits and symbols are marked,
whatever the labels; other tokens are those in no identifier.

The confidence of a target coverage is that of chance: the last table of each seed draws as many
documents as the calibration has, with replacement, from the calibration or the dev documents,
chooses a threshold on each sample, and counts the samples with a promise whose threshold covers
less than the target of all these documents; at most a tenth should. The table before it shows what
the threshold of the model covers of both kinds of documents, and the p-value of a permutation test
(of documents) that both are covered alike. {TIMING_NOTE}"""


def measure_seed(options: argparse.Namespace, seed: int) -> list[str]:
    """Return the section of a seed: its tables, and the facts of its model."""
    options = argparse.Namespace(
        **vars(options) | {"seed": seed, "results": options.results / f"seed{seed}"}
    )
    options.results.mkdir(parents=True, exist_ok=True)
    trial, story = prepare(options)
    tables = make_tables(trial)
    statistics = trial.model.calibration
    assert statistics is not None
    candidates, coverage = statistics.candidates, statistics.coverage
    facts = {
        "model": story,
        "seed": f"{seed}, of the split, the weights and the dropout",
        "measured on": f"{len(trial.pairs):,} dev rows, which chose nothing"
        if options.model is None
        else f"{len(trial.pairs):,} dev rows",
        "calibrated on": f"{candidates.gold:,} spans of {statistics.documents:,} documents, by "
        f"{statistics.calibration.method}; a recall there varies {candidates.clustering:.1f} "
        "times as much as that of independent spans, a coverage "
        f"{coverage.clustering:.1f} times as much",
    }
    if options.model is None:
        tables += _simulation_tables(trial, options)
    section = [f"## Seed {seed}", *tables, list_facts(facts)]
    print("\n\n".join(section))
    return section


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print the tables, and replace the report."""
    arguments = list(sys.argv[1:] if given is None else given)
    options = parse_arguments(arguments)

    def work() -> None:
        machine = describe_machine(torch.device("cpu"))
        seeds = [options.seed, *options.more_seeds]
        sections = [part for seed in seeds for part in measure_seed(options, seed)]
        write_report(
            options.out,
            title="Target recall and target coverage",
            about=ABOUT,
            tables=[*sections, "## Machine"],
            facts={"corpus": options.data.parent.name}
            | machine
            | provenance("target_recall", arguments),
        )

    with pinned_to_core(options.core):
        return exit_status(work)


if __name__ == "__main__":
    sys.exit(main())

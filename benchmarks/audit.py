"""Label errors found by `annoseq audit` in a corpus that was corrupted on purpose.

A share of the spans of the training rows is corrupted: a third each is dropped, gets another edge,
or another label. The list of `annoseq audit` is compared with cleanlab's token scores, from the
same out-of-fold probabilities, joined to spans, and with the gold spans in a random order.
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from annoseq.audit.cross_validation import CrossValidation
from annoseq.audit.label_errors import find_label_errors
from annoseq.config import BatchConfig, DeviceConfig, NetworkConfig, TaggerConfig, TrainingConfig
from annoseq.data.markup import Span, render
from annoseq.evaluation.span_matching import overlaps
from annoseq.tokenization.dataset import Dataset
from annoseq.tokenization.pretokenizer import build_pretokenizer
from annoseq.training.held_out import DocumentCorpus, LearnerSettings
from annoseq.training.run_folder import TrainingRuns
from benchmarks.budget import cache_folder, log
from benchmarks.command import command_line, exit_status, make_parser, provenance, read_options
from benchmarks.measure import describe_machine, markdown_table, write_report
from benchmarks.meddocan import read_tables

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from annoseq.audit.cross_validation import HeldOutRow
    from annoseq.data.examples import Example

    Rows = Sequence[tuple[Example, HeldOutRow]]
    Place = tuple[int, int, int]
    """Index of a row, and offsets in it."""

REPORT = Path(__file__).with_suffix(".md")
SETTINGS = LearnerSettings(
    network=NetworkConfig.of(TaggerConfig(hidden=48, embedding=32)),
    training=TrainingConfig(epochs=12, max_lr=8e-3),
    batching=BatchConfig(batch_size=16),
    device=DeviceConfig(device="cpu"),
)
_OUTSIDE = ""


@dataclass(frozen=True, slots=True)
class Corruption:
    """A corrupted span: the index of its row, as it was, and as it is, None if it was dropped."""

    row: int
    old: Span
    new: Span | None

    def is_at(self, place: Place) -> bool:
        """Return True if a place overlaps the span as it was or as it is."""
        row, start, end = place
        spans = [span for span in (self.old, self.new) if span is not None]
        return row == self.row and any(span.start < end and start < span.end for span in spans)


def corrupt(
    examples: Sequence[Example], *, share: float, seed: int
) -> tuple[list[Example], list[Corruption]]:
    """Corrupt a share of the spans; return the examples and what was done."""
    generator = random.Random(seed)
    labels = sorted({span.label for example in examples for span in example.tight_spans})
    places = [(i, span) for i, example in enumerate(examples) for span in example.tight_spans]
    spans = [list(example.tight_spans) for example in examples]
    done = []
    chosen = generator.sample(places, round(share * len(places)))
    for (row, old), kind in zip(chosen, cycle(("dropped", "shifted", "relabelled")), strict=False):
        new: Span | None = None
        if kind == "relabelled":
            other = generator.choice([label for label in labels if label != old.label])
            new = Span(old.start, old.end, other)
        elif kind == "shifted":
            new = _shifted(examples[row].source, old, spans[row], generator)
        spans[row].remove(old)
        spans[row] += [] if new is None else [new]
        done.append(Corruption(row, old, new))
    corrupted = [
        replace(example, spans=tuple(sorted(found)), target=render(example.source, found))
        for example, found in zip(examples, spans, strict=True)
    ]
    return corrupted, done


def _shifted(text: str, old: Span, others: Sequence[Span], generator: random.Random) -> Span | None:
    """Move an edge of a span by a token; None, so that it is dropped, if none can be moved."""
    tokens = tokenize(text)
    inside = [token for token in tokens if old.start <= token[0] and token[1] <= old.end]
    before = [start for start, end in tokens if end <= old.start]
    after = [end for start, end in tokens if start >= old.end]
    edges = [(before[-1], old.end)] if before else []
    edges += [(old.start, after[0])] if after else []
    if len(inside) > 1:
        edges += [(inside[1][0], old.end), (old.start, inside[-2][1])]
    spans = [Span(start, end, old.label) for start, end in edges]
    free = [s for s in spans if not any(overlaps(s, other) for other in others if other != old)]
    return generator.choice(free) if free else None


def tokenize(text: str) -> list[tuple[int, int]]:
    """Return the offsets of the tokens of a text that are not white space."""
    rule = build_pretokenizer()
    return [place for _, place in rule.pre_tokenize_str(text) if text[slice(*place)].strip()]


def rank_by_cleanlab(rows: Rows) -> list[Place]:
    """Return the tokens in the order of cleanlab's issues, the likeliest label error first."""
    from cleanlab.token_classification.filter import find_label_issues

    labels = sorted({span.label for example, _ in rows for span in example.tight_spans})
    numbers = {label: number for number, label in enumerate([_OUTSIDE, *labels])}
    offsets = [tokenize(example.source) for example, _ in rows]
    given, probabilities = [], []
    for (example, predictions), tokens in zip(rows, offsets, strict=True):
        table = np.zeros((len(tokens), len(numbers)))
        own = np.zeros(len(tokens), dtype=int)
        for place, (start, end) in enumerate(tokens):
            for span in predictions.candidates:
                if span.start < end and start < span.end and span.label in numbers:
                    table[place, numbers[span.label]] += span.score or 0.0
            for span in example.tight_spans:
                if span.start < end and start < span.end:
                    own[place] = numbers[span.label]
        table[:, 0] = np.maximum(1 - table.sum(axis=1), 1e-6)
        given.append(own.tolist())
        probabilities.append(table / table.sum(axis=1, keepdims=True))
    issues = find_label_issues(given, probabilities)
    return _spans_of_tokens(rows, [(row, *offsets[row][token]) for row, token in issues])


def _spans_of_tokens(rows: Rows, tokens: Sequence[Place]) -> list[Place]:
    """Return the gold spans that tokens lie in, each once, and the tokens outside of any.

    Of tokens that touch but for a character, only the first is kept: they are one suspicion.
    """
    kept: list[Place] = []
    for row, start, end in tokens:
        gold = rows[row][0].tight_spans
        own = next((span for span in gold if span.start < end and start < span.end), None)
        place = (row, start, end) if own is None else (row, own.start, own.end)
        near = ((r, s - 1, e + 1) for r, s, e in kept if r == row)
        if not any(s < place[2] and place[1] < e for _, s, e in near):
            kept.append(place)
    return kept


def rank_at_random(rows: Rows, *, seed: int) -> list[Place]:
    """Return the gold spans in a random order."""
    places = [
        (row, span.start, span.end)
        for row, (example, _) in enumerate(rows)
        for span in example.tight_spans
    ]
    random.Random(seed).shuffle(places)
    return places


def rank_by_audit(rows: Rows) -> list[Place]:
    """Return the places of the suspected errors of `annoseq audit`."""
    index = {example.row: row for row, (example, _) in enumerate(rows)}
    places = []
    for error in find_label_errors(rows):
        spans = [span for span in (error.gold, error.suggestion) if span is not None]
        start, end = min(span.start for span in spans), max(span.end for span in spans)
        places.append((index[error.example.row], start, end))
    return places


def measure(places: Sequence[Place], done: Sequence[Corruption], *, budget: int) -> list[str]:
    """Return precision in the first 100, and share found in the first `budget`, each found once."""
    found: set[int] = set()
    hits = []
    for place in places[: max(budget, 100)]:
        new = {i for i, corruption in enumerate(done) if corruption.is_at(place)} - found
        hits.append(bool(new))
        found |= new
        if len(hits) == budget:
            share = len(found) / len(done)
    if len(hits) < budget:
        share = len(found) / len(done)
    return [f"{sum(hits[:100])} of 100", f"{share:.1%}"]


def audit(options: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """Corrupt the training rows, audit them, and return the table and facts."""
    pairs, _ = read_tables(options.data, first=options.rows)
    dataset = Dataset.from_pairs(pairs)
    examples = sorted((*dataset.train, *dataset.valid), key=lambda example: example.row)
    corrupted, done = corrupt(examples, share=options.share, seed=options.seed)
    corpus = DocumentCorpus.of(dataset, corrupted, needed=10)
    folder = TrainingRuns(options.results, "audit")
    if not (options.results / "config.json").exists():
        folder.begin({"annoseq": "benchmark"}, overwrite=True)
    runs = CrossValidation(corpus, tuple(corpus.folds(5, seed=42)), SETTINGS, folder)
    runs.work(report=lambda number: log(f"fold {number}"))
    rows = runs.predictions()
    spans = sum(len(example.tight_spans) for example in corrupted)
    budget = round(2 * options.share * spans)
    table = markdown_table(
        ["list", "corrupted, of the first 100", f"found in the first {budget}"],
        [
            ["annoseq audit", *measure(rank_by_audit(rows), done, budget=budget)],
            ["cleanlab, tokens joined", *measure(rank_by_cleanlab(rows), done, budget=budget)],
            [
                "gold spans at random",
                *measure(rank_at_random(rows, seed=options.seed), done, budget=budget),
            ],
        ],
    )
    facts = {
        "corpus": f"{options.data.parent.name}, {len(rows):,} training rows with {spans:,} spans, "
        f"{len(done)} of them corrupted",
        "models": "5 folds, taggers with a hidden width of 48, 12 epochs",
    }
    return table, facts


def main(given: Sequence[str] | None = None) -> int:
    """Corrupt and audit, and write the report; return the exit status."""
    parser = make_parser("audit", __doc__ or "", report=REPORT)
    parser.add_argument("--share", type=float, default=0.03, help="share of spans to corrupt")
    default = cache_folder("audit")
    parser.add_argument("--results", type=Path, default=default, help="folder of the trainings")
    arguments = command_line(given)
    options = read_options(parser, arguments, above_zero=("share",))

    def work() -> None:
        machine = describe_machine(torch.device("cpu"))
        table, facts = audit(options)
        print(table)
        facts |= {**machine, **provenance("audit", arguments)}
        about = __doc__ or ""
        title = "Label errors found in a corrupted corpus"
        write_report(options.out, title=title, about=about, tables=[table], facts=facts)

    return exit_status(work)


if __name__ == "__main__":
    sys.exit(main())

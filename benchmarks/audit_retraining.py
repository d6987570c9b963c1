"""Gain of retraining on pairs that were corrected after an audit, on the dev rows.

The training rows are those of the audit benchmark, corrupted in three ways. A simulated reviewer
looks at the first of the list, twice as many places as there are errors, and mends each error among
them; `annoseq audit apply` writes the corrected pairs. Taggers trained on the corrupted rows, on
the corrected and on the clean ones are scored once on the dev rows, and compared by the paired
bootstrap of `annoseq compare`, over documents. The judged rows are those of the corpus as it is,
with the corrections that were accepted by hand.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import torch

from annoseq.audit.corrections import Correction, apply_corrections, read_corrections
from annoseq.audit.label_errors import find_label_errors
from annoseq.data.pairs import Pair, Pairs, fingerprint_pairs, read_pairs
from annoseq.evaluation.counts import SpanComparison, group_by_document
from annoseq.evaluation.score_file import make_score_file, read_score_file, write_score_file
from annoseq.evaluation.scorer import Scorer
from annoseq.evaluation.significance import compare_scores
from annoseq.inference.predictor import predict_spans
from annoseq.tokenization.dataset import Dataset
from annoseq.training.held_out import predictor_of
from benchmarks.audit import EPOCHS, CorruptedCorpus
from benchmarks.audit_folds import audit_settings, examples_of
from benchmarks.budget import cache_folder, log
from benchmarks.command import command_line, exit_status, make_parser, provenance, read_options
from benchmarks.measure import describe_machine, markdown_table, write_report
from benchmarks.meddocan import FOLDER

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from annoseq.data.examples import Example
    from annoseq.evaluation.score_file import ScoreFile
    from annoseq.training.learner import Learner

REPORT = Path(__file__).with_suffix(".md")
JUDGED = Path(__file__).with_name("audit_judged")
"""Tables of the suspected errors that were judged by hand, by corpus, without text."""
Arm = Literal["corrupted", "corrected", "clean", "judged"]
ARMS: tuple[Arm, ...] = get_args(Arm)
_COMPARED: tuple[tuple[Arm, Arm], ...] = (
    ("corrupted", "corrected"),
    ("corrected", "clean"),
    ("clean", "judged"),
)
_VARIANT = "three-kinds"


@dataclass(frozen=True, slots=True)
class Run:
    """A training: corpus, seed of the corruption and of the weights, and training rows."""

    corpus: str
    seed: int
    arm: Arm

    @classmethod
    def parse(cls, name: str) -> Run:
        """Return the run of a name such as `asq_phi:1:clean`."""
        corpus, seed, arm = name.split(":")
        return cls(corpus, int(seed), next(known for known in ARMS if known == arm))

    def path(self, options: argparse.Namespace) -> Path:
        """Return the path of the scores."""
        folder: Path = options.results
        return folder / f"{self.corpus}-{self.seed}-{self.arm}.json"

    def perform(self, options: argparse.Namespace) -> None:
        """Train, and score the dev rows, unless that is done."""
        path = self.path(options)
        if path.exists():
            return
        dataset = Dataset.from_pairs(self.training_rows(options))
        epochs = options.epochs or EPOCHS[self.corpus]
        learner = audit_settings(epochs, seed=self.seed).make(dataset)
        learner.fit_one_cycle(report=lambda line: None)
        dev = read_pairs(options.data / self.corpus / "pairs" / "dev.csv")[: options.rows]
        scores = score_learner(learner, examples_of(dev)[1])
        write_score_file(scores, path, overwrite=True)
        log(f"{path.stem}: F1 {scores.scores['span_f1'].value:.4f}")

    def training_rows(self, options: argparse.Namespace) -> Pairs:
        """Return the training rows."""
        path = options.data / self.corpus / "pairs" / "train.csv"
        if self.arm in {"clean", "judged"}:
            pairs = read_pairs(path)[: options.rows]
            if self.arm == "clean":
                return pairs
            judged = JUDGED / f"{self.corpus}.csv"
            corrected = apply_corrections(pairs, read_corrections(judged), name=judged.name)
            return Pairs(corrected, name="judged")
        corrupted = CorruptedCorpus.of(f"{self.corpus}:{self.seed}:{_VARIANT}", options)
        pairs = as_pairs(corrupted.audit.examples)
        if self.arm == "corrupted":
            return pairs
        corrections = review(corrupted, budget=round(2 * options.share * corrupted.spans))
        return Pairs(apply_corrections(pairs, corrections, name="review"), name="corrected")


def as_pairs(examples: Sequence[Example]) -> Pairs:
    """Return the pairs of examples."""
    pairs = [Pair(e.source, e.target, e.row, e.document, e.start) for e in examples]
    return Pairs(pairs, name="corrupted")


def review(corrupted: CorruptedCorpus, *, budget: int) -> list[Correction]:
    """Return the corrections of the errors among the first `budget` places of the list."""
    errors = find_label_errors(corrupted.audit.cross_validation().predictions())[:budget]
    index = {example.row: row for row, example in enumerate(corrupted.audit.examples)}
    corrections = {}
    for error in errors:
        spans = [span for span in (error.gold, error.suggestion) if span is not None]
        start, end = min(span.start for span in spans), max(span.end for span in spans)
        place = (index[error.example.row], start, end)
        for number, corruption in enumerate(corrupted.corruptions):
            if corruption.is_at(place):
                row, document = error.example.row, error.example.document or ""
                corrections[number] = Correction(
                    row, number, document, corruption.new, corruption.old
                )
    return list(corrections.values())


def score_learner(learner: Learner, examples: Sequence[Example]) -> ScoreFile:
    """Score a trained tagger."""
    predictor = predictor_of(learner)
    with predictor.exclusive_use():
        texts = predictor.tokenize([example.source for example in examples])
        outputs = predict_spans(predictor, texts)
    scorer = Scorer(labels=predictor.labels)
    rows = [
        SpanComparison(
            id=str(example.row),
            text=example.source,
            gold=example.tight_spans,
            predicted=tuple(text.to_text_spans(best, labels=predictor.labels)),
            document=example.document,
            start=example.start,
        )
        for example, text, (best, *_) in zip(examples, texts, outputs, strict=True)
    ]
    scorer.add_all(group_by_document(rows))
    return make_score_file(scorer, gold=fingerprint_pairs(as_pairs(examples)))


def join(options: argparse.Namespace) -> str:
    """Return the table of the comparisons whose runs are finished."""
    runs = [Run.parse(name) for name in options.runs]
    rows = []
    for corpus, seed in dict.fromkeys((run.corpus, run.seed) for run in runs):
        for arms in _COMPARED:
            paths = [Run(corpus, seed, arm).path(options) for arm in arms]
            if all(path.exists() for path in paths):
                name = f"{corpus}, seed {seed}: {arms[1]} less {arms[0]}"
                rows.append([name, *_difference(*map(read_score_file, paths))])
    head = ["F1", "before", "after", "difference", "95 %", "p"]
    return markdown_table(head, rows)


def _difference(before: ScoreFile, after: ScoreFile) -> list[str]:
    found = compare_scores(before, after)["span_f1"]
    cells = [f"{found.a:.4f}", f"{found.b:.4f}", f"{found.difference:+.4f}"]
    if found.low is None or found.high is None or found.p is None:
        return [*cells, "", ""]
    return [*cells, f"{found.low:+.4f} to {found.high:+.4f}", f"{found.p:.3f}"]


def main(given: Sequence[str] | None = None) -> int:
    """Train and compare, and write the report; return the exit status."""
    arguments = command_line(given)
    options = _read(arguments)

    def work() -> None:
        facts = describe_machine(torch.device("cpu"))
        options.results.mkdir(parents=True, exist_ok=True)
        if not options.join:
            for name in options.runs:
                Run.parse(name).perform(options)
        if options.only_train:
            return
        table = join(options)
        print(table)
        epochs = ", ".join(f"{EPOCHS[name]} for {name}" for name in EPOCHS)
        facts = {"taggers": f"hidden width of 48, epochs: {epochs}", **facts}
        facts |= provenance("audit_retraining", arguments)
        title, about = "Retraining after an audit", __doc__ or ""
        write_report(options.out, title=title, about=about, tables=[table], facts=facts)

    return exit_status(work)


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = make_parser("audit_retraining", __doc__ or "", report=REPORT)
    parser.set_defaults(data=FOLDER.parents[1])
    add = parser.add_argument
    names = [f"{corpus}:{seed}:{arm}" for corpus in EPOCHS for seed in (1, 2, 3) for arm in ARMS]
    add("--runs", nargs="+", choices=names, default=names, help="corpora, seeds and rows")
    add("--share", type=float, default=0.03, help="share of spans that are corrupted")
    add("--epochs", type=int, help="epochs of the taggers; by default those of the corpus")
    add("--results", type=Path, default=cache_folder("audit"), help="folder of the benchmark audit")
    alone = parser.add_mutually_exclusive_group()
    alone.add_argument("--only-train", action="store_true", help="write no report")
    alone.add_argument("--join", action="store_true", help="only make the report of what is there")
    return read_options(parser, arguments, above_zero=("share", "epochs"))


if __name__ == "__main__":
    sys.exit(main())

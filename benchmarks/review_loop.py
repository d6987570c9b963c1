"""Loop of review and retraining on MEDDOCAN, whose gold is the reviewer.

A tagger is trained on a few documents, the next documents are chosen by it in one of the orders of
`annoseq review`, they get their gold spans, and training goes on. F1 on dev is measured against the
number of reviewed documents. The networks are small and the epochs few, so that dozens of trainings
fit on a CPU.
"""

from __future__ import annotations

import json
import math
import sys
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from annoseq.config import BatchConfig, NetworkConfig, TaggerConfig, TrainingConfig
from annoseq.data.splits import hash_rank, split_rows
from annoseq.evaluation.counts import SpanComparison
from annoseq.evaluation.deid_metrics import count_tokens
from annoseq.evaluation.scorer import Scorer
from annoseq.evaluation.span_matching import SpanScore, score_spans
from annoseq.inference.annotator import Annotator
from annoseq.models.serialization import TrainedModel
from annoseq.review.prediction import predict_documents
from annoseq.tokenization.dataset import Dataset
from annoseq.training.document_folds import DocumentCorpus
from annoseq.training.learner import Learner
from benchmarks.budget import cache_folder, log
from benchmarks.command import command_line, exit_status, make_parser, provenance, read_options
from benchmarks.measure import describe_machine, markdown_table, write_report
from benchmarks.meddocan import read_tables
from benchmarks.saved_runs import load_results, save_results

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from annoseq.data.examples import Example
    from annoseq.review.project_records import DocumentPrediction

REPORT = Path(__file__).with_suffix(".md")
ARMS = ("random", "uncertain", "mixed", "mixed, fresh")
"""Orders of documents; with `fresh`, every training begins with fresh weights."""
RANDOM_SHARE = 0.2
NETWORK = NetworkConfig.of(TaggerConfig(hidden=32, embedding=32, buckets=8192))
BATCHING = BatchConfig(batch_size=8)
_MAX_LR = 1e-2
_EPOCHS_OF_ONE_ROW, _MIN_EPOCHS, _MAX_EPOCHS = 300, 6, 16
"""A quarter of the epochs of `annoseq train`, in batches of a quarter of the rows."""


def epochs_for(rows: int) -> int:
    """Return the epochs of a training on a number of rows."""
    return max(_MIN_EPOCHS, min(_MAX_EPOCHS, round(_EPOCHS_OF_ONE_ROW / math.sqrt(rows))))


@dataclass(frozen=True, slots=True)
class Step:
    """A point of a chain: an arm and a seed, after a number of reviewed documents."""

    arm: str
    seed: int
    documents: int

    @property
    def name(self) -> str:
        """Name of its results."""
        return f"{self.arm.replace(', ', '-')}-{self.seed}-{self.documents}"


@dataclass(frozen=True, repr=False)
class ReviewLoop:
    """Corpus, dev rows, and the folder of models and results."""

    corpus: DocumentCorpus
    dev: Sequence[Example]
    folder: Path
    points: tuple[int, ...]
    epochs: int | None = None

    @classmethod
    def read(cls, options: argparse.Namespace) -> ReviewLoop:
        """Read train and dev."""
        train, dev = read_tables(options.data, first=options.rows)
        dataset = Dataset.from_pairs(train, valid=dev)
        corpus = DocumentCorpus.of(dataset, dataset.train, needed=max(options.points))
        dev_corpus = DocumentCorpus.of(dataset, dataset.valid, needed=1)
        documents = tuple(range(min(options.dev_documents, len(dev_corpus.documents))))
        rows = dev_corpus.rows(documents)
        return cls(corpus, rows, options.results, tuple(options.points), options.epochs)

    @cached_property
    def tokens(self) -> list[int]:
        """Number of tokens of each document."""
        return [sum(count_tokens(row.source) for row in rows) for rows in self.corpus.documents]

    def is_done(self, step: Step) -> bool:
        """Return True if a step has results."""
        return (self.folder / f"{step.name}.json").exists()

    def run(self, step: Step) -> None:
        """Choose documents by the model of the point before, train, and score."""
        state = self._review(step)
        base = self._base(step)
        learner = self._train(state["trained"], base, step.seed)
        learner.save(self._model(step), overwrite=True)
        annotator = Annotator.load(self._model(step), device="cpu")
        score = self._score_dev(annotator)
        pool = sorted(set(range(len(self.corpus.documents))) - set(state["reviewed"]))
        figures: dict[str, Any] = {**state, "f1": score.f1, **score.values()}
        figures["uncertainty"] = self._uncertainties(annotator, pool)
        if state["share"]:
            figures["estimate"] = self._estimate(annotator, state["share"])
        save_results(self.folder, step.name, figures)
        log(f"{step.name}: F1 {score.f1:.4f}")

    def _model(self, step: Step) -> Path:
        return self.folder / "models" / step.name

    def _start(self, seed: int) -> Step:
        return Step("start", seed, self.points[0])

    def _before(self, step: Step) -> Step:
        place = self.points.index(step.documents) - 1
        return replace(step, documents=self.points[place]) if place else self._start(step.seed)

    def _base(self, step: Step) -> TrainedModel | None:
        if step.arm in {"start", "mixed, fresh"}:
            return None
        return TrainedModel.load(self._model(self._before(step)))

    def _review(self, step: Step) -> dict[str, Any]:
        """Return all reviewed documents, those to train on, and those of the random share."""
        order = self.corpus.shuffled(f"review loop {step.seed}")
        if step.arm == "start":
            chosen = order[: step.documents]
            return {"reviewed": chosen, "trained": chosen, "share": []}
        before = load_results(self.folder, [self._before(step).name])[self._before(step).name]
        pool = [number for number in order if number not in set(before["reviewed"])]
        new = step.documents - len(before["reviewed"])
        if step.arm == "random":
            chosen, share = pool[:new], []
        else:
            uncertainty = before["uncertainty"]
            kept = self._random_share(step) if step.arm.startswith("mixed") else []
            waiting = [number for number in kept if number not in set(before["share"])]
            share = waiting[: round(RANDOM_SHARE * new)]
            others = [number for number in pool if number not in set(kept)]
            others.sort(key=lambda number: -uncertainty[str(number)])
            chosen = others[: new - len(share)]
        return {
            "reviewed": [*before["reviewed"], *chosen, *share],
            "trained": [*before["trained"], *chosen],
            "share": [*before["share"], *share],
        }

    def _random_share(self, step: Step) -> list[int]:
        """Return the documents that are drawn for the estimate, in a random order."""
        pool = self.corpus.shuffled(f"review loop {step.seed}")[self.points[0] :]
        ranked = sorted(pool, key=lambda number: hash_rank(f"share {step.seed}", number))
        return ranked[: round(RANDOM_SHARE * len(ranked))]

    def _train(self, documents: Sequence[int], base: TrainedModel | None, seed: int) -> Learner:
        rows = self.corpus.rows(tuple(documents))
        config = self.corpus.dataset.config
        parts = split_rows(
            rows, share=config.valid_share, by=config.split_by, seed=config.split_seed
        )
        train, valid = (tuple(rows[row] for row in part) for part in parts)
        dataset = replace(self.corpus.dataset, train=train, valid=valid, folder=None, encoded=None)
        learner = Learner(
            dataset,
            base=base,
            model=NETWORK if base is None else None,
            training=TrainingConfig(seed=seed),
            batching=BATCHING,
            device="cpu",
        )
        epochs = self.epochs or epochs_for(len(rows))
        learner.fit_one_cycle(epochs, _MAX_LR, report=lambda _: None)
        return learner

    def _score_dev(self, annotator: Annotator) -> SpanScore:
        annotations = annotator.annotate(
            [example.source for example in self.dev], advance=lambda _: None
        )
        total = SpanScore()
        for example, annotation in zip(self.dev, annotations, strict=True):
            total += score_spans(annotation.spans or (), example.tight_spans)
        return total

    def _predict(
        self, annotator: Annotator, documents: Sequence[int]
    ) -> dict[int, list[DocumentPrediction]]:
        places = [number for number in documents for _ in self.corpus.documents[number]]
        texts = [row.source for number in documents for row in self.corpus.documents[number]]
        grouped: defaultdict[int, list[DocumentPrediction]] = defaultdict(list)
        for number, prediction in zip(places, predict_documents(annotator, texts), strict=True):
            grouped[number].append(prediction)
        return grouped

    def _uncertainties(self, annotator: Annotator, documents: Sequence[int]) -> dict[int, float]:
        """Return the mean entropy of a token of each document."""
        found = {}
        for number, predictions in self._predict(annotator, documents).items():
            rows = self.corpus.documents[number]
            entropy = sum(
                prediction.uncertainty * max(count_tokens(row.source), 1)
                for row, prediction in zip(rows, predictions, strict=True)
            )
            found[number] = round(entropy / max(self.tokens[number], 1), 6)
        return found

    def _estimate(self, annotator: Annotator, share: Sequence[int]) -> dict[str, float | None]:
        """Return the estimate of the F1 from the reviewed random share, with its interval."""
        scorer = Scorer(labels=annotator.predictor.labels)
        for number, predictions in self._predict(annotator, share).items():
            rows = self.corpus.documents[number]
            scorer.add(
                [
                    SpanComparison(
                        id=str(row.row),
                        text=row.source,
                        gold=row.tight_spans,
                        predicted=prediction.spans,
                        document=row.document,
                        start=row.start,
                    )
                    for row, prediction in zip(rows, predictions, strict=True)
                ]
            )
        score = scorer.all.scores()["span_f1"]
        low, high = score.interval or (None, None)
        return {"f1": score.value, "low": low, "high": high}


def all_steps(options: argparse.Namespace) -> list[list[Step]]:
    """Return the steps by point; those of a point need only those of the point before."""
    first, *others = options.points
    return [
        [Step("start", seed, first) for seed in range(1, options.seeds + 1)],
        *(
            [Step(arm, seed, point) for seed in range(1, options.seeds + 1) for arm in ARMS]
            for point in others
        ),
    ]


_LOOP: ReviewLoop


def _begin(options: argparse.Namespace) -> None:
    """Read the corpus in a process of a pool."""
    global _LOOP  # noqa: PLW0603
    torch.set_num_threads(1)
    _LOOP = ReviewLoop.read(options)


def _run(step: Step) -> None:
    if not _LOOP.is_done(step):
        _LOOP.run(step)


def train_all(options: argparse.Namespace) -> None:
    """Run all steps that are not done, some at a time."""
    options.results.mkdir(parents=True, exist_ok=True)
    if options.jobs == 1:
        _begin(options)
        for step in (step for steps in all_steps(options) for step in steps):
            _run(step)
        return
    with ProcessPoolExecutor(
        options.jobs, get_context("spawn"), initializer=_begin, initargs=(options,)
    ) as pool:
        for steps in all_steps(options):
            list(pool.map(_run, steps))


def load_steps(options: argparse.Namespace) -> dict[Step, dict[str, Any]]:
    """Return the results of all steps that are done."""
    steps = {step.name: step for level in all_steps(options) for step in level}
    return {steps[name]: found for name, found in load_results(options.results, steps).items()}


def curve_table(results: Mapping[Step, dict[str, Any]], points: Sequence[int]) -> str:
    """Return the F1 of each arm by number of reviewed documents: mean, least and most."""
    rows = []
    seeds = len({step.seed for step in results})
    for point in points:
        arms = ["start" if point == points[0] else arm for arm in ARMS]
        rows.append([str(point), *(_cell(_scores(results, arm, point), seeds) for arm in arms)])
    return markdown_table(["reviewed documents", *ARMS], rows)


def _scores(results: Mapping[Step, dict[str, Any]], arm: str, point: int) -> list[float]:
    return [
        found["f1"] for step, found in results.items() if (step.arm, step.documents) == (arm, point)
    ]


def _cell(scores: Sequence[float], seeds: int) -> str:
    if not scores:
        return ""
    fewer = "" if len(scores) == seeds else f", {len(scores)} of {seeds} seeds"
    return f"{np.mean(scores):.3f} ({min(scores):.3f} to {max(scores):.3f}{fewer})"


def difference_table(results: Mapping[Step, dict[str, Any]], points: Sequence[int]) -> str:
    """Return the differences of each arm from the random order, seed by seed."""
    rows = []
    for point in points[1:]:
        for arm in ARMS[1:]:
            differences = [
                found["f1"] - results[other]["f1"]
                for step, found in results.items()
                if (step.arm, step.documents) == (arm, point)
                and (other := replace(step, arm="random")) in results
            ]
            if differences:
                shown = ", ".join(f"{difference:+.3f}" for difference in differences)
                rows.append([str(point), arm, f"{np.mean(differences):+.3f}", shown])
    head = ["reviewed documents", "order", "less random order, mean", "by seed"]
    return markdown_table(head, rows)


def estimate_table(results: Mapping[Step, dict[str, Any]]) -> str:
    """Return the estimates on the random share beside the F1 on dev."""
    rows, held = [], 0
    estimated = [(step, found) for step, found in results.items() if found.get("estimate")]
    for step, found in sorted(estimated, key=lambda item: (item[0].arm, item[0].documents)):
        estimate = found["estimate"]
        low, high = estimate["low"], estimate["high"]
        if low is None:
            continue
        held += low <= found["f1"] <= high
        rows.append(
            [
                f"{step.arm}, seed {step.seed}",
                str(step.documents),
                str(len(found["share"])),
                f"{estimate['f1']:.3f} ({low:.3f} to {high:.3f})",
                f"{found['f1']:.3f}",
            ]
        )
    head = ["order", "reviewed documents", "in the share", "estimate (95 %)", "F1 on dev"]
    table = markdown_table(head, rows)
    return f"{table}\n\nThe interval holds the F1 on dev in {held} of {len(rows)}."


def plot(results: Mapping[Step, dict[str, Any]], points: Sequence[int], path: Path) -> None:
    """Draw the mean F1 of each arm, with the spread over seeds."""
    import matplotlib.pyplot as plt

    from annoseq.atomic_io import atomic_file

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    plt.close(figure)
    for arm in ARMS:
        scores = [
            _scores(results, "start" if point == points[0] else arm, point) for point in points
        ]
        known = [(point, found) for point, found in zip(points, scores, strict=True) if found]
        x = [point for point, _ in known]
        axes.plot(x, [float(np.mean(found)) for _, found in known], "o-", label=arm)
        axes.fill_between(
            x, [min(found) for _, found in known], [max(found) for _, found in known], alpha=0.15
        )
    axes.set(xscale="log", xlabel="reviewed documents", ylabel="span F1 on dev")
    axes.set_xticks([*points], [str(point) for point in points])
    axes.minorticks_off()
    axes.legend()
    with atomic_file(path, overwrite=True) as new:
        figure.savefig(new, format="png", dpi=100)


def _unfinished(options: argparse.Namespace, done: Mapping[Step, object]) -> dict[str, str]:
    """Return the trainings that are missing, for a run that was ended before them."""
    steps = [step for level in all_steps(options) for step in level]
    missing = [
        f"{step.arm}, seed {step.seed}, {step.documents} documents"
        for step in steps
        if step not in done
    ]
    return {"not finished in time": "; ".join(missing)} if missing else {}


def make_report(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """Write the report of all results, with its picture."""
    results = load_steps(options)
    picture = options.out.with_suffix(".png")
    plot(results, options.points, picture)
    tables = [
        curve_table(results, options.points),
        f"![F1 against reviewed documents]({picture.name})",
        difference_table(results, options.points),
        estimate_table(results),
    ]
    print("\n\n".join(tables))
    machine = options.results / "machine.json"
    found = json.loads(machine.read_text(encoding="utf-8")) if machine.exists() else {}
    write_report(
        options.out,
        title="Loop of review and retraining",
        about=ABOUT,
        tables=tables,
        facts={**found, **_unfinished(options, results), **provenance("review_loop", arguments)},
    )


ABOUT = """The gold of MEDDOCAN's training documents is the reviewer: a document that is reviewed
has its gold spans. A tagger is trained on the first documents, drawn at random for each seed; from
point to point, documents are chosen by the model of the point before, and training goes on from its
weights (`--go-on-from`) on everything reviewed, but in `mixed, fresh`, which begins with fresh
weights. `mixed` takes every fifth document from a random share, which is never trained on, as
`annoseq review` does. A fifth of the documents that are trained on choose the epoch. The taggers
are small, with a hidden width of 32 and at most 16 epochs."""


def main(given: Sequence[str] | None = None) -> int:
    """Train, and write the report; return the exit status."""
    parser = make_parser("review_loop", __doc__ or "", report=REPORT)
    add = parser.add_argument
    add("--points", type=int, nargs="+", default=[20, 40, 80, 160], help="reviewed documents")
    add("--seeds", type=int, default=3, help="chains of each order")
    add("--epochs", type=int, help="epochs of every training, instead of by its rows")
    add("--dev-documents", type=int, default=250, help="documents of dev that are scored")
    add("--jobs", type=int, default=2, help="trainings at a time")
    add("--results", type=Path, default=cache_folder("review_loop"), help="folder of the runs")
    alone = parser.add_mutually_exclusive_group()
    alone.add_argument("--only-train", action="store_true", help="write no report")
    alone.add_argument("--join", action="store_true", help="only make the report")
    arguments = command_line(given)
    options = read_options(parser, arguments, above_zero=("seeds", "jobs", "dev_documents"))

    def work() -> None:
        if not options.join:
            options.results.mkdir(parents=True, exist_ok=True)
            facts = describe_machine(torch.device("cpu"))
            (options.results / "machine.json").write_text(json.dumps(facts), encoding="utf-8")
            train_all(options)
        if not options.only_train:
            make_report(options, arguments)

    return exit_status(work)


if __name__ == "__main__":
    sys.exit(main())

"""Runs of a learning curve: trainings on nested subsets of whole documents.

In each repeat, some documents are held back, and the others brought into a random order; the first
n of them are the training documents at a point of the curve, so that the subsets are nested.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from annoseq.atomic_io import atomic_file
from annoseq.decoding.coverage_spans import score_coverage
from annoseq.errors import OptionError, TrainingError
from annoseq.evaluation.counts import Counts, LabelCount
from annoseq.evaluation.learning_curve import CurveRun, count_document
from annoseq.inference.predictor import predict_spans
from annoseq.training.held_out import predictor_of, train_on_documents

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from annoseq.data.examples import Example
    from annoseq.data.markup import Span
    from annoseq.evaluation.counts import CountKey
    from annoseq.training.document_folds import DocumentCorpus, Documents
    from annoseq.training.learner import Learner
    from annoseq.training.learner_settings import LearnerSettings
    from annoseq.training.run_folder import TrainingRuns

_SMALLEST_SHARE = 1 / 16
"""Documents of the first point, as a share of those of the last."""
_LEAST_DOCUMENTS = 4
"""Documents of the first point: one of them chooses the epoch."""


@dataclass(frozen=True, slots=True)
class Subset:
    """Training documents of a run, and the documents held back from its repeat."""

    repeat: int
    training: Documents
    held_back: Documents


@dataclass(frozen=True, repr=False)
class CurveRuns:
    """All runs of a learning curve, numbered from 1, the longest first.

    `subsets` have the documents of `corpus`; `held_back`, if given, are the documents that all
    runs are scored on instead.
    """

    corpus: DocumentCorpus
    subsets: tuple[Subset, ...]
    settings: LearnerSettings
    folder: TrainingRuns
    held_back: DocumentCorpus | None = None

    def work(self, *, report: Callable[[int, CurveRun], None]) -> None:
        """Train the runs that are neither finished nor claimed by another process."""
        for number, subset in enumerate(self.subsets, start=1):
            with self.folder.claim(number) as is_claimed:
                if is_claimed:
                    report(number, self._run(number, subset))

    def finished(self) -> list[CurveRun]:
        """Return the finished runs."""
        return [read_run(path) for path in self.folder.records()]

    def _run(self, number: int, subset: Subset) -> CurveRun:
        start, checkpoint = time.perf_counter(), self.folder.checkpoint(number)
        learner = train_on_documents(self.corpus, subset.training, self.settings, checkpoint)
        scored = self.held_back or self.corpus
        counts = [
            count_document(rows, predicted, parts)
            for rows, predicted, parts in _predict(
                learner, [scored.documents[number] for number in subset.held_back]
            )
        ]
        run = CurveRun(
            repeat=subset.repeat,
            documents=len(subset.training),
            counts=tuple(counts),
            seconds=time.perf_counter() - start,
        )
        write_run(run, self.folder.record(number))
        checkpoint.unlink(missing_ok=True)
        return run


def curve_sizes(available: int, *, points: int) -> list[int]:
    """Return ascending numbers of documents, spaced evenly on a logarithmic scale.

    >>> curve_sizes(160, points=5)
    [10, 20, 40, 80, 160]

    Raises:
        OptionError: there are too few documents for that many points.
    """
    first = max(_LEAST_DOCUMENTS, round(_SMALLEST_SHARE * available))
    sizes = sorted({round(size) for size in np.geomspace(first, available, points)})
    if available <= first or len(sizes) < points:
        raise OptionError(
            f"--points {points}: {available} documents are left to train on, which do not make "
            f"that many sizes from {first} on. Give fewer points, or more documents."
        )
    return sizes


def plan_subsets(
    corpus: DocumentCorpus,
    *,
    points: int,
    repeats: int,
    held_back: float,
    seed: int,
    fixed: Documents | None = None,
) -> tuple[Subset, ...]:
    """Return the subsets of all runs, the largest first.

    A repeat holds back another share of the documents than those before it, until all were held
    back once. With `fixed`, these are held back in every repeat, and they are of another table.

    Raises:
        OptionError: there are too few documents for that many points.
    """
    folds = corpus.folds(max(2, round(1 / held_back)), seed=seed) if fixed is None else [()]
    folds = [folds[repeat % len(folds)] for repeat in range(repeats)]
    orders = [
        [number for number in corpus.shuffled(f"{seed}:{repeat}") if number not in set(fold)]
        for repeat, fold in enumerate(folds)
    ]
    sizes = curve_sizes(min(map(len, orders)), points=points)
    subsets = [
        Subset(repeat, tuple(order[:size]), fold if fixed is None else fixed)
        for repeat, (order, fold) in enumerate(zip(orders, folds, strict=True))
        for size in sizes
    ]
    return tuple(sorted(subsets, key=lambda subset: -len(subset.training)))


def _predict(
    learner: Learner | None, documents: Sequence[Sequence[Example]]
) -> list[tuple[Sequence[Example], list[list[Span]], list[list[Span]]]]:
    """Return each document's rows with their predicted spans, and the parts that these mark."""
    if learner is None:
        return [(rows, [[] for _ in rows], [[] for _ in rows]) for rows in documents]
    predictor = predictor_of(learner)
    with predictor.exclusive_use():
        texts = predictor.tokenize([example.source for rows in documents for example in rows])
        outputs = predict_spans(predictor, texts)
    spans = iter(
        text.to_text_spans(best, labels=predictor.labels)
        for text, (best, *_) in zip(texts, outputs, strict=True)
    )
    predicted = [[next(spans) for _ in rows] for rows in documents]
    return [
        (
            rows,
            row_spans,
            [
                score_coverage(example.source, found, [])
                for example, found in zip(rows, row_spans, strict=True)
            ],
        )
        for rows, row_spans in zip(documents, predicted, strict=True)
    ]


def write_run(run: CurveRun, path: Path) -> None:
    """Write the record of a run as JSON: counts of each held-back document, no text."""
    counts = [
        [[*key, value] if isinstance(key, LabelCount) else [key, value] for key, value in c.items()]
        for c in run.counts
    ]
    record = {
        "repeat": run.repeat,
        "documents": run.documents,
        "seconds": run.seconds,
        "counts": counts,
    }
    with atomic_file(path, overwrite=True) as new:
        new.write_text(json.dumps(record) + "\n", encoding="utf-8")


def read_run(path: Path) -> CurveRun:
    """Read a record that `write_run` wrote.

    Raises:
        TrainingError: the file cannot be read or is damaged.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        counts = tuple(
            Counts({_key(*names): int(value) for *names, value in document})
            for document in record["counts"]
        )
        return CurveRun(
            repeat=int(record["repeat"]),
            documents=int(record["documents"]),
            counts=counts,
            seconds=float(record["seconds"]),
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TrainingError(
            f"{path} is damaged. Delete it, and --resume trains this run again."
        ) from error


def _key(name: str, label: str | None = None) -> CountKey:
    return name if label is None else LabelCount(name, label)

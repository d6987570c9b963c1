"""Cross-validation by document: predictions for every row by a model that has not seen it.

The scores of each fold's model are calibrated on the validation rows of its own training, and a
record of its predictions holds offsets, labels and probabilities, no text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from annoseq.atomic_io import atomic_file
from annoseq.data.markup import Span
from annoseq.errors import OptionError, TrainingError
from annoseq.inference.predictor import SpanQuery, predict_spans
from annoseq.training.calibration_runner import CalibrationRunner
from annoseq.training.held_out import predictor_of, train_on_documents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from annoseq.data.examples import Example
    from annoseq.evaluation.calibration_statistics import CalibrationStatistics
    from annoseq.tokenization.bioes import ScoredTokenSpans
    from annoseq.training.document_folds import DocumentCorpus, Documents
    from annoseq.training.learner import Learner
    from annoseq.training.learner_settings import LearnerSettings
    from annoseq.training.run_folder import TrainingRuns

CANDIDATE_FLOOR = 1e-3
"""Least probability of a candidate span that is kept."""
_COVERAGE_FLOOR = 1e-2
"""Least probability of a token to lie in any span that is kept."""
_DIGITS = 5


@dataclass(frozen=True, slots=True)
class HeldOutRow:
    """Predictions for a row by a model that was not trained on its document.

    `best` are the likeliest spans, `candidates` all spans of at least `CANDIDATE_FLOOR`, which may
    overlap, both with calibrated probabilities; `tokens` are tokens with their probability to lie
    in any span.
    """

    best: tuple[Span, ...]
    candidates: tuple[Span, ...]
    tokens: tuple[Span, ...]


@dataclass(frozen=True, repr=False)
class CrossValidation:
    """Trainings of cross-validation, numbered from 1: each predicts the documents of its fold."""

    corpus: DocumentCorpus
    folds: tuple[Documents, ...]
    settings: LearnerSettings
    folder: TrainingRuns

    def work(self, *, report: Callable[[int], None]) -> None:
        """Train the folds that are neither finished nor claimed by another process."""
        for number, fold in enumerate(self.folds, start=1):
            with self.folder.claim(number) as is_claimed:
                if is_claimed:
                    self._run(number, fold)
                    report(number)

    def predictions(self) -> list[tuple[Example, HeldOutRow]]:
        """Return every row of the corpus with its predictions, in the order of the documents.

        Raises:
            TrainingError: a fold is not finished, or its record is damaged.
        """
        by_document: dict[int, list[tuple[Example, HeldOutRow]]] = {}
        for number, fold in enumerate(self.folds, start=1):
            path = self.folder.record(number)
            rows = iter(read_rows(path))
            for document in fold:
                examples = self.corpus.documents[document]
                try:
                    by_document[document] = [(example, next(rows)) for example in examples]
                except StopIteration:
                    raise _damaged(path) from None
        return [row for document in sorted(by_document) for row in by_document[document]]

    def _run(self, number: int, fold: Documents) -> None:
        others = tuple(sorted({n for other in self.folds for n in other} - set(fold)))
        checkpoint = self.folder.checkpoint(number)
        learner = train_on_documents(self.corpus, others, self.settings, checkpoint)
        if learner is None:
            raise OptionError(
                "the documents of a fold have no span to train on, so that nothing can be audited. "
                "Give annotated pairs."
            )
        write_rows(predict_rows(learner, self.corpus.rows(fold)), self.folder.record(number))
        checkpoint.unlink(missing_ok=True)


def predict_rows(learner: Learner, examples: Sequence[Example]) -> list[HeldOutRow]:
    """Predict the spans of examples, with probabilities calibrated on the validation rows.

    Raises:
        OptionError: the model does not know the probability of every span.
    """
    predictor = predictor_of(learner)
    if not predictor.gives_marginals:
        raise OptionError(
            "an audit needs the probability of every span, which taggers know. Leave --model off, "
            "or give --model tagger."
        )
    calibration = CalibrationRunner(predictor).run(learner.dataset.valid)
    with predictor.exclusive_use():
        texts = predictor.tokenize([example.source for example in examples])
        candidates = predict_spans(predictor, texts, SpanQuery(floor=CANDIDATE_FLOOR))
        covered = predict_spans(predictor, texts, SpanQuery(coverage_floor=_COVERAGE_FLOOR))
        rows = []
        for text, (row_candidates,), (best, tokens) in zip(texts, candidates, covered, strict=True):

            def spans(output: ScoredTokenSpans) -> list[Span]:
                return text.to_text_spans(output, labels=predictor.labels)  # noqa: B023

            rows.append(
                HeldOutRow(
                    best=_calibrated(spans(best), calibration),
                    candidates=_calibrated(spans(row_candidates), calibration),
                    tokens=tuple(spans(tokens)),
                )
            )
    return rows


def _calibrated(
    spans: Sequence[Span], statistics: CalibrationStatistics | None
) -> tuple[Span, ...]:
    """Return spans with calibrated probabilities, where there were enough spans to calibrate."""
    if statistics is None or not spans:
        return tuple(spans)
    probabilities = statistics.probabilities([span.score or 0.0 for span in spans]).tolist()
    return tuple(
        Span(span.start, span.end, span.label, probability)
        for span, probability in zip(spans, probabilities, strict=True)
    )


def write_rows(rows: Iterable[HeldOutRow], path: Path) -> None:
    """Write predictions as JSON lines, one for each row."""
    with atomic_file(path, overwrite=True) as new, new.open("w", encoding="utf-8") as out:
        for row in rows:
            parts = [
                [[s.start, s.end, s.label, round(s.score or 0.0, _DIGITS)] for s in spans]
                for spans in (row.best, row.candidates, row.tokens)
            ]
            out.write(json.dumps(parts) + "\n")


def read_rows(path: Path) -> list[HeldOutRow]:
    """Read what `write_rows` wrote.

    Raises:
        TrainingError: the file is missing or damaged.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [
            HeldOutRow(*(tuple(Span(*values) for values in part) for part in json.loads(line)))
            for line in lines
        ]
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> TrainingError:
    return TrainingError(
        f"{path} is missing or damaged. Delete it if it is there, and --resume trains its fold."
    )

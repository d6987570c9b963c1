"""Calibration of a model's span scores on held-out rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from annoseq.decoding.coverage_spans import score_coverage
from annoseq.decoding.non_crossing import select_non_crossing
from annoseq.evaluation.calibration_statistics import MIN_GOLD_SPANS, CalibrationAccumulator
from annoseq.evaluation.counts import document_order
from annoseq.evaluation.coverage_counter import COVERAGE_FLOOR
from annoseq.inference.predictor import SpanQuery, predict_spans
from annoseq.progress import progress_bar
from annoseq.tokenization.batching import WindowIds, length_sorted_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from annoseq.data.examples import Example
    from annoseq.evaluation.calibration_statistics import CalibrationStatistics
    from annoseq.inference.predictor import SpanPredictor

_FLOORS = (1e-2, 1e-3, 1e-4, 1e-5)
"""Least probabilities of a candidate; the lowest at which there are not too many is taken.

On MEDDOCAN's dev rows 97.5 % of the gold spans have a candidate of at least 1e-2 that can be kept,
98.2 % at 1e-3, 98.7 % at 1e-4, 99.0 % at 1e-5, and 99.1 % at 1e-6: there are 1.1, 1.5, 2.6, 5 and
12 candidates for each gold span."""
_MAX_CANDIDATES = 10
"""Candidates to a token: beyond that, as of an untrained network, they are noise."""
_CHUNK_ROWS = 1_000
"""Rows whose candidates are in memory at once."""


@dataclass(frozen=True)
class CalibrationRunner:
    """Runs a model over held-out rows and accumulates calibration statistics of its scores."""

    predictor: SpanPredictor

    def run(self, examples: Sequence[Example]) -> CalibrationStatistics | None:
        """Compare the candidates of examples, in any order, with their gold spans.

        Returns None if there are too few spans, or the model does not know the probability of
        every span.
        """
        examples = [examples[row] for row in document_order(examples) if examples[row].source]
        gold = sum(len(example.spans or ()) for example in examples)
        if not self.predictor.gives_marginals or gold < MIN_GOLD_SPANS:
            return None
        with self.predictor.exclusive_use():
            accumulator = CalibrationAccumulator(floor=self._choose_floor(examples[:_CHUNK_ROWS]))
            with progress_bar("calibrating", total=len(examples)) as advance:
                for start in range(0, len(examples), _CHUNK_ROWS):
                    chunk = examples[start : start + _CHUNK_ROWS]
                    self._add(accumulator, chunk, advance=advance)
        return accumulator.statistics()

    def _choose_floor(self, examples: Sequence[Example]) -> float:
        """Count the candidates of a batch of middling length; return the floor to use."""
        texts = self.predictor.tokenize([example.source for example in examples])
        windows = [
            WindowIds(text.window_ids(index))
            for text in texts
            for index in range(len(text.windows))
        ]
        batches = length_sorted_batches(windows, self.predictor.default_batching)
        batch = [windows[row].source for row in batches[len(batches) // 2]]
        limit, chosen = _MAX_CANDIDATES * sum(map(len, batch)), _FLOORS[0]
        for floor in _FLOORS[1:]:
            query = SpanQuery(floor=floor)
            outputs = self.predictor.predict_batch(batch, query, names=[""] * len(batch))
            if sum(len(candidates.spans) for candidates, *_ in outputs) > limit:
                break
            chosen = floor
        return chosen

    def _add(
        self,
        accumulator: CalibrationAccumulator,
        examples: Sequence[Example],
        *,
        advance: Callable[[int], None],
    ) -> None:
        """Add the candidates and the best paths of some rows."""
        labels = self.predictor.labels
        texts = self.predictor.tokenize([example.source for example in examples])
        query = SpanQuery(floor=accumulator.floor)
        candidates = predict_spans(self.predictor, texts, query, advance=advance)
        covered = predict_spans(self.predictor, texts, SpanQuery(coverage_floor=COVERAGE_FLOOR))
        for example, text, (row_candidates,), (row_best, row_tokens) in zip(
            examples, texts, candidates, covered, strict=True
        ):
            best = text.to_text_spans(row_best, labels=labels)
            tokens = text.to_text_spans(row_tokens, labels=labels)
            accumulator.add(
                example.tight_spans,
                select_non_crossing(text.to_text_spans(row_candidates, labels=labels)),
                best,
                score_coverage(text.text, best, tokens),
                text=text.text,
                document=example.document,
            )

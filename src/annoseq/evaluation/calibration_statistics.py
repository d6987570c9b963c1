"""Calibration statistics of a tagger's span scores, and their streaming accumulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict

from annoseq.evaluation.calibration import (
    BinTotals,
    Calibration,
    Method,
    expected_calibration_error,
    judge_spans,
)
from annoseq.evaluation.coverage import CoverageCounts
from annoseq.evaluation.coverage_counter import COVERAGE_FLOOR, CoverageCounter
from annoseq.evaluation.recall_thresholds import CandidateCounter, CandidateCounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from annoseq.data.markup import Span
    from annoseq.evaluation.counts import Array

    Flags = NDArray[np.bool_]

MIN_GOLD_SPANS = 100
"""Gold spans that calibration needs: of fewer, a share like 0.95 says little."""


class CalibrationStatistics(BaseModel):
    """Contents of `calibration.json`: a calibration of span scores, counts of candidates, coverage.

    `floor` is the least score of a candidate. `error_before` and `error_after` are the expected
    calibration errors of the best path's spans, the latter under calibrations that were fitted on
    other documents. Format 3 knows the clustering of coverage at one threshold. There is no text.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[3, 4] = 4
    rows: int
    documents: int
    floor: float
    calibration: Calibration
    error_before: float
    error_after: float
    candidates: CandidateCounts
    coverage: CoverageCounts

    def probabilities(self, scores: Sequence[float]) -> Array:
        """Return the probabilities of scores (N,): never 0 or 1, which no count can tell."""
        least = 0.5 / max(self.calibration.spans, 1)
        probabilities: Array = self.calibration.apply(scores).clip(least, 1 - least)
        return probabilities


class CalibrationAccumulator:
    """Streaming accumulator of calibration statistics; rows of a document are consecutive."""

    def __init__(self, *, floor: float) -> None:
        self.floor = floor
        self.rows = 0
        self._counter = CandidateCounter()
        self._coverage = CoverageCounter(floor=COVERAGE_FLOOR)
        self._candidates: list[tuple[float, bool, bool]] = []
        self._best: list[tuple[float, bool, bool]] = []

    def add(
        self,
        gold: Sequence[Span],
        candidates: Sequence[Span],
        best: Sequence[Span],
        parts: Sequence[Span],
        *,
        text: str,
        document: str | None,
    ) -> None:
        """Add a row: gold spans, non-crossing candidates, spans of the best path, scored parts."""
        self.rows += 1
        self._coverage.add(text, gold, parts, document=document)
        judged = self._counter.add(gold, candidates, document=document)
        is_even = self._counter.documents % 2 == 0
        self._candidates += ((score, is_correct, is_even) for score, is_correct in judged)
        self._best += (
            (span.score or 0.0, is_correct, is_even) for span, is_correct in judge_spans(gold, best)
        )

    def statistics(self) -> CalibrationStatistics | None:
        """Return the statistics, or None where there are too few spans."""
        candidates, best = map(_to_arrays, (self._candidates, self._best))
        if self._counter.gold < MIN_GOLD_SPANS or not _can_be_fitted(candidates):
            return None
        errors = {method: _crossed_error(candidates, best, method) for method in get_args(Method)}
        method: Method = min(errors, key=errors.__getitem__)  # of equals the first, simpler one
        return CalibrationStatistics(
            rows=self.rows,
            documents=self._counter.documents,
            floor=self.floor,
            calibration=_fit(candidates, method),
            error_before=_error(best.scores, best.is_correct),
            error_after=errors[method],
            candidates=self._counter.counts(),
            coverage=self._coverage.counts(),
        )


class _JudgedSpans(NamedTuple):
    """Scores (N,), correctness (N,), and the parity (N,) of the spans' documents."""

    scores: Array
    is_correct: Flags
    is_even: Flags

    def half(self, *, is_even: bool) -> _JudgedSpans:
        """Return the spans of every other document."""
        chosen = self.is_even == is_even
        return _JudgedSpans(*(values[chosen] for values in self))


def _to_arrays(judged: Sequence[tuple[float, bool, bool]]) -> _JudgedSpans:
    table = np.array(judged, dtype=np.float64).reshape(-1, 3)
    return _JudgedSpans(table[:, 0], table[:, 1] > 0, table[:, 2] > 0)


def _fit(spans: _JudgedSpans, method: Method) -> Calibration:
    return Calibration.fit(spans.scores.tolist(), spans.is_correct.tolist(), method=method)


def _error(scores: Array, is_correct: Flags) -> float:
    return float(expected_calibration_error(BinTotals.of_spans(scores, is_correct)))


def _can_be_fitted(candidates: _JudgedSpans) -> bool:
    """Return True if each half of the documents has correct and incorrect candidates."""
    halves = [candidates.half(is_even=is_even).is_correct for is_even in (False, True)]
    return all(len(half) > 1 and half.any() and not half.all() for half in halves)


def _crossed_error(candidates: _JudgedSpans, best: _JudgedSpans, method: Method) -> float:
    """Return the calibration error of the best spans, each half calibrated on the other."""
    probabilities = np.empty(len(best.scores))
    for is_even in (False, True):
        calibration = _fit(candidates.half(is_even=not is_even), method)
        half = best.is_even == is_even
        probabilities[half] = calibration.apply(best.scores[half].tolist())
    return _error(probabilities, best.is_correct)

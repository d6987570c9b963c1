"""Calibration of span scores: temperature scaling, isotonic regression, expected calibration error.

Calibrations are fitted on spans that were not trained on, each with a flag that tells whether it is
correct, and stored as JSON. Guo et al. 2017, "On Calibration of Modern Neural Networks".
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from annoseq.errors import OptionError, count_noun
from annoseq.evaluation.counts import Counts, add_counts, ratio

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from annoseq.data.markup import Span
    from annoseq.evaluation.counts import Array, CountTotals


Method = Literal["none", "temperature", "isotonic"]

SCORE_MARGIN = 1e-6
"""Scores are clipped to this distance from 0 and 1, which have no log-odds."""
_MIN_SPANS = 2
BINS = 10
"""Reliability bins of equal width."""
_MILLIONTHS = 1_000_000  # whole numbers add up to the same sum in every order
_BIN_KEYS = [
    [f"reliability.{index}.{name}" for name in ("count", "score", "correct")]
    for index in range(BINS)
]


class Calibration(BaseModel):
    """Monotonic map from scores to probabilities.

    `temperature` divides the log-odds of a score; at 1, as with the method none, nothing changes.
    An isotonic curve is given by points, `scores[i]` becoming `probabilities[i]`, with linear
    interpolation between them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Method
    temperature: float = 1.0
    scores: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()
    spans: int = 0
    """Number of spans that it was fitted on."""

    @classmethod
    def fit(
        cls, scores: Sequence[float], is_correct: Sequence[bool], *, method: Method = "temperature"
    ) -> Calibration:
        """Fit to the scores of spans and their correctness.

        Raises:
            OptionError: there are too few spans, or all are right, or none is.
        """
        x, y = np.asarray(scores, dtype=np.float64), np.asarray(is_correct, dtype=np.float64)
        if len(x) < _MIN_SPANS or y.min() == y.max():
            raise OptionError(
                f"the scores of {count_noun(len(x), 'span')}, with {int(y.sum()):,} right, do not "
                "show how scores relate to being right. Give spans of both kinds, some hundreds "
                "of them."
            )
        if method == "none":
            return cls(method=method, spans=len(x))
        if method == "temperature":
            return cls(method=method, temperature=_fit_temperature(x, y), spans=len(x))
        points, values = _fit_isotonic(x, y)
        return cls(
            method=method,
            scores=tuple(points.tolist()),
            probabilities=tuple(values.tolist()),
            spans=len(x),
        )

    def apply(self, scores: Sequence[float]) -> Array:
        """Return the probabilities of scores (N,)."""
        x = np.asarray(scores, dtype=np.float64)
        if self.method != "isotonic":
            return _sigmoid(_log_odds(x) / self.temperature)
        return np.interp(x, self.scores, self.probabilities)


class ReliabilityBin(BaseModel):
    """Predicted spans whose scores lie in [low, high], and the share of them that is correct."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    low: float
    high: float
    spans: int
    mean_score: float
    share_correct: float


class BinTotals(NamedTuple):
    """Number of spans, sum of scores and number of correct spans in each bin, (BINS, ...)."""

    spans: Array
    scores: Array
    correct: Array

    @classmethod
    def of_spans(
        cls, scores: Sequence[float] | Array, is_correct: Sequence[bool] | NDArray[np.bool_]
    ) -> BinTotals:
        """Sort spans into bins by their scores."""
        x, y = np.asarray(scores, dtype=np.float64), np.asarray(is_correct, dtype=np.float64)
        bins = np.minimum((x * BINS).astype(int), BINS - 1)
        spans, sums, correct = (
            np.bincount(bins, weights=weights, minlength=BINS).astype(np.float64)
            for weights in (np.ones(len(x)), x, y)
        )
        return cls(spans, sums, correct)

    @classmethod
    def of_counts(cls, totals: CountTotals) -> BinTotals:
        """Read what `count_reliability` counted, in documents or in replicates."""
        rows = [np.broadcast_arrays(*(totals[key] for key in keys)) for keys in _BIN_KEYS]
        shape = np.broadcast_shapes(*(row[0].shape for row in rows))
        spans, scores, correct = (
            np.stack([np.broadcast_to(row[part], shape) for row in rows]) for part in range(3)
        )
        return cls(spans, scores / _MILLIONTHS, correct)


def expected_calibration_error(bins: BinTotals) -> Array:
    """Return the mean distance between score and share of correct spans, over spans.

    >>> float(expected_calibration_error(BinTotals.of_spans([0.75, 0.75], [True, False])))
    0.25
    """
    return ratio(np.abs(bins.scores - bins.correct).sum(0), bins.spans.sum(0))


def reliability_bins(totals: CountTotals) -> list[ReliabilityBin]:
    """Return the bins that hold a span, lowest scores first."""
    bins = zip(*(part.tolist() for part in BinTotals.of_counts(totals)), strict=True)
    return [
        ReliabilityBin(
            low=index / BINS,
            high=(index + 1) / BINS,
            spans=int(spans),
            mean_score=scores / spans,
            share_correct=correct / spans,
        )
        for index, (spans, scores, correct) in enumerate(bins)
        if spans
    ]


def judge_spans(gold: Sequence[Span], predicted: Sequence[Span]) -> Iterator[tuple[Span, bool]]:
    """Yield each predicted span, and True if a gold span has its offsets and label."""
    if gold == predicted:  # most rows of a good model
        yield from ((span, True) for span in predicted)
        return
    unmatched = Counter(gold)
    for span in predicted:
        is_correct = unmatched[span] > 0
        unmatched[span] -= 1
        yield span, is_correct


def count_reliability(gold: Sequence[Span], predicted: Sequence[Span]) -> Counts:
    """Count the predicted spans that have a score, by bins of scores."""
    counts = Counts()
    if all(span.score is None for span in predicted):
        return counts
    for span, is_correct in judge_spans(gold, predicted):
        if span.score is None:
            continue
        keys = _BIN_KEYS[min(int(span.score * BINS), BINS - 1)]
        values = (1, round(span.score * _MILLIONTHS), int(is_correct))
        add_counts(counts, dict(zip(keys, values, strict=True)))
    return counts


def _log_odds(scores: Array) -> Array:
    """Return the log-odds of scores, clipped to `SCORE_MARGIN`."""
    clipped = np.clip(scores, SCORE_MARGIN, 1 - SCORE_MARGIN)
    log_odds: Array = np.log(clipped) - np.log1p(-clipped)
    return log_odds


def _sigmoid(log_odds: Array) -> Array:
    """Return probabilities from log-odds."""
    probabilities: Array = 1 / (1 + np.exp(-log_odds))
    return probabilities


def _fit_temperature(scores: Array, correct: Array) -> float:
    """Return the temperature of least negative log-likelihood (golden-section search)."""
    log_odds = _log_odds(scores)

    def cost(log_temperature: float) -> float:
        scaled = log_odds / np.exp(log_temperature)
        return float((np.logaddexp(0, scaled) - correct * scaled).sum())

    low, high = np.log(0.01), np.log(100.0)
    golden = (np.sqrt(5) - 1) / 2
    for _ in range(60):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if cost(left) < cost(right):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def _fit_isotonic(scores: Array, correct: Array) -> tuple[Array, Array]:
    """Return the mean score and the share of correct spans of each block of pooled neighbours.

    Pool adjacent violators (Ayer et al. 1955): neighbours are joined until shares rise.
    """
    order = np.argsort(scores, kind="stable")
    blocks: list[tuple[float, float, int]] = []  # sums of scores, of correct, number
    for score, is_right in zip(scores[order], correct[order], strict=True):
        blocks.append((float(score), float(is_right), 1))
        while len(blocks) > 1 and _violates_order(blocks[-2], blocks[-1]):
            last, before = blocks.pop(), blocks.pop()
            blocks.append((before[0] + last[0], before[1] + last[1], before[2] + last[2]))
    sums = np.array(blocks)
    return sums[:, 0] / sums[:, 2], sums[:, 1] / sums[:, 2]


def _violates_order(block: tuple[float, float, int], following: tuple[float, float, int]) -> bool:
    """Return True if the share does not rise, or the score is the same."""
    is_tie = block[0] * following[2] == following[0] * block[2]
    return is_tie or block[1] * following[2] >= following[1] * block[2]

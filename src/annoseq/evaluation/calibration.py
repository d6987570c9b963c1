"""Calibration of span scores: temperature scaling, isotonic regression, expected calibration error.

Both are fitted on spans that were not trained on, each with whether it was right, and kept as JSON.

Guo et al. 2017, "On Calibration of Modern Neural Networks", with bins of equal width.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from annoseq.errors import OptionError
from annoseq.evaluation.counts import Counts, add_counts, ratio

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from annoseq.data.markup import Span
    from annoseq.evaluation.counts import Array, CountTotals


Method = Literal["none", "temperature", "isotonic"]

SCORE_MARGIN = 1e-6
"""Scores are kept this far from 0 and 1, which have no log-odds."""
_FEWEST = 2


class Calibration(BaseModel):
    """A rising curve from scores to probabilities.

    `temperature` divides the log-odds of a score; at 1, as of the method none, nothing changes. An
    isotonic curve is given by points, `scores[i]` becoming `probabilities[i]`, with straight lines
    between them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Method
    temperature: float = 1.0
    scores: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()
    spans: int = 0
    """How many spans it was fitted on."""

    @classmethod
    def fit(
        cls, scores: Sequence[float], is_correct: Sequence[bool], *, method: Method = "temperature"
    ) -> Calibration:
        """Fit to the scores of spans, and whether each was right.

        Raises:
            OptionError: there are too few spans, or all are right, or none is.
        """
        x, y = np.asarray(scores, dtype=np.float64), np.asarray(is_correct, dtype=np.float64)
        if len(x) < _FEWEST or y.min() == y.max():
            raise OptionError(
                f"{len(x)} spans, of which {int(y.sum())} are right, do not show how scores relate "
                "to being right. Give spans of both kinds, some hundreds of them."
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
            return _probability(_log_odds(x) / self.temperature)
        return np.interp(x, self.scores, self.probabilities)


def expected_calibration_error(
    scores: Sequence[float], is_correct: Sequence[bool], *, bins: int = 10
) -> float:
    """Return how far scores are from the share that is right, on average over the spans.

    Bins of equal width (Guo et al. 2017).

    >>> round(expected_calibration_error([0.9, 0.9], [True, False]), 3)
    0.4
    """
    x, y = np.asarray(scores, dtype=np.float64), np.asarray(is_correct, dtype=np.float64)
    if not len(x):
        return 0.0
    places = np.minimum((x * bins).astype(int), bins - 1)
    gaps = np.bincount(places, weights=x - y, minlength=bins)
    return float(np.abs(gaps).sum() / len(x))


def _log_odds(scores: Array) -> Array:
    """Return the log-odds of scores, which are kept a millionth away from 0 and 1."""
    inside = np.clip(scores, SCORE_MARGIN, 1 - SCORE_MARGIN)
    found: Array = np.log(inside) - np.log1p(-inside)
    return found


def _probability(odds: Array) -> Array:
    """Return the probabilities that have some log-odds."""
    found: Array = 1 / (1 + np.exp(-odds))
    return found


def _fit_temperature(scores: Array, correct: Array) -> float:
    """Return the T of least negative log-likelihood, by golden-section search over log T."""
    odds = _log_odds(scores)

    def cost(log_temperature: float) -> float:
        scaled = odds / np.exp(log_temperature)
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
    """Return the mean score and the share that is right of each block of pooled neighbours.

    Pool adjacent violators (Ayer et al. 1955): neighbours are joined until shares rise.
    """
    order = np.argsort(scores, kind="stable")
    blocks: list[tuple[float, float, int]] = []  # sums of scores, of correct, number
    for score, is_right in zip(scores[order], correct[order], strict=True):
        blocks.append((float(score), float(is_right), 1))
        while len(blocks) > 1 and _falls(blocks[-2], blocks[-1]):
            last, before = blocks.pop(), blocks.pop()
            blocks.append((before[0] + last[0], before[1] + last[1], before[2] + last[2]))
    sums = np.array(blocks)
    return sums[:, 0] / sums[:, 2], sums[:, 1] / sums[:, 2]


def _falls(one: tuple[float, float, int], following: tuple[float, float, int]) -> bool:
    """Tell whether the share does not rise, or the score is the same."""
    is_tie = one[0] * following[2] == following[0] * one[2]
    return is_tie or one[1] * following[2] >= following[1] * one[2]


BINS = 10
_MILLIONTHS = 1_000_000  # whole numbers add up to the same sum in every order

_NAMES = [
    [f"reliability.{bin_}.{part}" for part in ("count", "score", "correct")] for bin_ in range(BINS)
]


class ReliabilityBin(NamedTuple):
    """The predicted spans whose scores lie in [low, high], and how right they are."""

    low: float
    high: float
    spans: int
    mean_score: float
    share_correct: float


def judge_spans(gold: Sequence[Span], predicted: Sequence[Span]) -> Iterator[tuple[Span, bool]]:
    """Yield each predicted span with whether it is one of the gold's, offsets and label."""
    if gold == predicted:  # most rows of a good model
        yield from ((span, True) for span in predicted)
        return
    left = Counter(gold)
    for span in predicted:
        is_correct = left[span] > 0
        left[span] -= 1
        yield span, is_correct


def count_reliability(gold: Sequence[Span], predicted: Sequence[Span]) -> Counts:
    """Count the predicted spans that have a score, by bins of scores."""
    counts = Counts()
    if all(span.score is None for span in predicted):
        return counts
    for span, is_correct in judge_spans(gold, predicted):
        if span.score is None:
            continue
        bin_ = min(int(span.score * BINS), BINS - 1)
        values = (1, round(span.score * _MILLIONTHS), int(is_correct))
        add_counts(counts, dict(zip(_NAMES[bin_], values, strict=True)))
    return counts


def reliability_bins(sums: CountTotals) -> list[ReliabilityBin]:
    """Return the bins that hold a span, the lowest scores first."""
    found = []
    for bin_ in range(BINS):
        count, score, correct = (float(one) for one in _bin(sums, bin_))
        if count:
            low, high = bin_ / BINS, (bin_ + 1) / BINS
            found.append(ReliabilityBin(low, high, int(count), score / count, correct / count))
    return found


def calibration_error(sums: CountTotals) -> Array:
    """Return the expected calibration error: the mean distance of score and share, over spans."""
    counts, scores, corrects = zip(*(_bin(sums, bin_) for bin_ in range(BINS)), strict=True)
    none: Array = np.zeros(())
    distance = sum((np.abs(s - c) for s, c in zip(scores, corrects, strict=True)), none)
    return ratio(distance, sum(counts, none))


def _bin(sums: CountTotals, bin_: int) -> tuple[Array, Array, Array]:
    count, score, correct = (
        sums[f"reliability.{bin_}.{part}"] for part in ("count", "score", "correct")
    )
    return count, score / _MILLIONTHS, correct

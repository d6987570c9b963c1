"""Whether the scores of spans are probabilities: of those scored 0.9, nine in ten should be right.

Guo et al. 2017, "On Calibration of Modern Neural Networks", with bins of equal width.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from annoseq.evaluation.statistics import Statistics, add, ratio

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from annoseq.evaluation.statistics import Array, Sums
    from annoseq.pairs.markup import Span

BINS = 10
_MILLIONTHS = 1_000_000  # whole numbers add up to the same sum in every order

_NAMES = [
    [f"reliability.{bin_}.{part}" for part in ("count", "score", "correct")] for bin_ in range(BINS)
]


class Bin(NamedTuple):
    """The predicted spans whose scores lie in [low, high], and how right they are."""

    low: float
    high: float
    spans: int
    mean_score: float
    share_correct: float


def verdicts(gold: Sequence[Span], predicted: Sequence[Span]) -> Iterator[tuple[Span, bool]]:
    """Yield each predicted span with whether it is one of the gold's, offsets and label."""
    if gold == predicted:  # most rows of a good model
        yield from ((span, True) for span in predicted)
        return
    left = Counter(gold)
    for span in predicted:
        is_correct = left[span] > 0
        left[span] -= 1
        yield span, is_correct


def count_reliability(gold: Sequence[Span], predicted: Sequence[Span]) -> Statistics:
    """Count the predicted spans that have a score, by bins of scores."""
    counts = Statistics()
    if all(span.score is None for span in predicted):
        return counts
    for span, is_correct in verdicts(gold, predicted):
        if span.score is None:
            continue
        bin_ = min(int(span.score * BINS), BINS - 1)
        values = (1, round(span.score * _MILLIONTHS), int(is_correct))
        add(counts, dict(zip(_NAMES[bin_], values, strict=True)))
    return counts


def read_bins(sums: Sums) -> list[Bin]:
    """Return the bins that hold a span, the lowest scores first."""
    found = []
    for bin_ in range(BINS):
        count, score, correct = (float(one) for one in _bin(sums, bin_))
        if count:
            low, high = bin_ / BINS, (bin_ + 1) / BINS
            found.append(Bin(low, high, int(count), score / count, correct / count))
    return found


def calibration_error(sums: Sums) -> Array:
    """Return the expected calibration error: the mean distance of score and share, over spans."""
    counts, scores, corrects = zip(*(_bin(sums, bin_) for bin_ in range(BINS)), strict=True)
    none: Array = np.zeros(())
    distance = sum((np.abs(s - c) for s, c in zip(scores, corrects, strict=True)), none)
    return ratio(distance, sum(counts, none))


def _bin(sums: Sums, bin_: int) -> tuple[Array, Array, Array]:
    count, score, correct = (
        sums[f"reliability.{bin_}.{part}"] for part in ("count", "score", "correct")
    )
    return count, score / _MILLIONTHS, correct

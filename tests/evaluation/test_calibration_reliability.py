from __future__ import annotations

import numpy as np
import pytest

from annoseq.data.markup import Span
from annoseq.evaluation.calibration import (
    BinTotals,
    count_reliability,
    expected_calibration_error,
    judge_spans,
    reliability_bins,
)
from annoseq.evaluation.counts import Counts, CountTotals


def spans_with(scores: list[float]) -> list[Span]:
    return [Span(place, place + 1, "A", score) for place, score in enumerate(scores)]


def test_bins_hold_what_was_predicted() -> None:
    predicted = [*spans_with([0.0, 0.55, 0.55, 1.0]), Span(9, 10, "A")]
    counts = count_reliability(predicted[1:], predicted)
    bins = reliability_bins(CountTotals(counts))
    assert [(one.low, one.high, one.spans) for one in bins] == [
        (0.0, 0.1, 1),
        (0.5, 0.6, 2),
        (0.9, 1.0, 1),
    ]
    assert [one.share_correct for one in bins] == [0, 1, 1]
    assert bins[1].mean_score == 0.55


def test_the_error_of_sums_is_that_of_spans() -> None:
    random = np.random.default_rng(0)
    scores = random.uniform(size=300).round(4).tolist()
    right = (random.uniform(size=300) < np.square(scores)).tolist()
    predicted = spans_with(scores)
    gold = [span for span, is_right in zip(predicted, right, strict=True) if is_right]
    counts = Counts()
    for part in (slice(0, 100), slice(100, 300)):
        counts.update(count_reliability(gold, predicted[part]))
    expected = float(expected_calibration_error(BinTotals.of_spans(scores, right)))
    bins = BinTotals.of_counts(CountTotals(counts))
    assert float(expected_calibration_error(bins)) == pytest.approx(expected)
    assert expected > 0.1


def test_a_gold_span_makes_one_prediction_right() -> None:
    twice = [Span(0, 1, "A", 0.9), Span(0, 1, "A", 0.2)]
    assert [is_right for _, is_right in judge_spans([Span(0, 1, "A")], twice)] == [True, False]
    assert count_reliability([Span(0, 1, "A")], [Span(0, 1, "A")]) == {}

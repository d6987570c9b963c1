from __future__ import annotations

import math

import numpy as np
import pytest

from annoseq.data.markup import Span
from annoseq.evaluation.recall_thresholds import (
    Thresholds,
    choose_thresholds,
    gold_scores,
    measure_thresholds,
)

Row = tuple[list[Span], list[Span]]


def rows(count: int, *, seed: int, missed: float = 0.0) -> list[Row]:
    """Each with a gold span that was found with some score, and a wrong candidate."""
    random = np.random.default_rng(seed)
    found: list[Row] = []
    for _ in range(count):
        right = Span(0, 4, "A", float(random.beta(8, 2)))
        wrong = Span(5, 9, "A", float(random.beta(2, 5)))
        is_missed = random.uniform() < missed
        found.append(([Span(0, 4, "A")], [wrong] if is_missed else [right, wrong]))
    return found


@pytest.mark.parametrize("target", [0.95, 0.99, 0.995])
def test_the_wanted_recall_is_kept_on_unseen_rows(target: float) -> None:
    recalls = []
    for seed in range(12):
        chosen = choose_thresholds(gold_scores(rows(600, seed=seed)), target_recall=target)
        measured = measure_thresholds(rows(600, seed=100 + seed), chosen)
        recalls.append(measured.recall)
        assert measured.precision > 0.55  # that of all candidates is 0.5
    assert np.mean(recalls) >= target - 0.002  # two standard errors of the mean


def test_a_threshold_by_hand() -> None:
    """Of 19 spans the lowest is given up: 18 of 19, and the next one with a chance of 19 in 20."""
    scores = [place / 20 for place in range(1, 20)]
    chosen = choose_thresholds({"A": scores}, target_recall=0.95)
    assert chosen.labels == {"A": 0.05}
    assert choose_thresholds({"A": scores}, target_recall=0.9).labels == {"A": 0.1}


def test_a_label_with_few_spans_takes_the_threshold_of_all() -> None:
    chosen = choose_thresholds({"A": [0.5] * 40, "B": [0.9] * 5}, target_recall=0.95)
    assert chosen.labels == {"A": 0.5}
    assert chosen.of("B") == chosen.overall == 0.5


def test_what_has_no_candidate_cannot_be_reached() -> None:
    scores = gold_scores(rows(200, seed=1, missed=0.2))
    assert scores["A"].count(-math.inf) > 20
    chosen = choose_thresholds(scores, target_recall=0.95)
    assert chosen.out_of_reach == ("", "A")
    assert (chosen.overall, chosen.of("A")) == (0, 0)


def test_with_too_few_spans_all_candidates_are_kept() -> None:
    chosen = choose_thresholds({"A": [0.9] * 5}, target_recall=0.99)
    assert (chosen.overall, chosen.labels, chosen.out_of_reach) == (0, {}, ())


def test_spans_below_are_left_out() -> None:
    chosen = Thresholds(target_recall=0.9, overall=0.5, labels={"B": 0.1})
    low, other, bare = Span(0, 1, "A", 0.4), Span(0, 1, "B", 0.4), Span(0, 1, "A")
    assert chosen.keep([low, other, bare, Span(2, 3, "A", 0.5)]) == [
        other,
        bare,
        Span(2, 3, "A", 0.5),
    ]
    assert Thresholds.model_validate_json(chosen.model_dump_json()) == chosen


def test_nothing_to_measure() -> None:
    measured = measure_thresholds([], Thresholds(target_recall=0.9, overall=0.5))
    assert (measured.recall, measured.precision) == (0, 0)

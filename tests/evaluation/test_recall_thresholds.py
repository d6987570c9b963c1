"""Calibration statistics of held-out rows, and thresholds that reach their recall on others."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest

from annoseq.data.markup import Span
from annoseq.evaluation.calibration import BinTotals, expected_calibration_error, judge_spans
from annoseq.evaluation.calibration_statistics import (
    CalibrationAccumulator,
    CalibrationStatistics,
)
from annoseq.evaluation.recall_thresholds import (
    CandidateCounter,
    ExpectedScores,
    RecallTarget,
    score_bin,
)

TEXT = "Ames 31yo"
GOLD = [Span(0, 4, "NAME"), Span(5, 9, "AGE")]
Row = tuple[list[Span], list[Span]]


def rows(count: int, *, seed: int, missed: float = 0.0) -> list[Row]:
    """Gold spans and candidates; the log-odds of a candidate are twice what they should be."""
    random = Random(seed)
    made: list[Row] = []
    for _ in range(count):
        candidates = []
        for right in GOLD:
            odds = random.gauss(1, 1.5)
            is_right = random.random() < 1 / (1 + math.exp(-odds))
            wrong = Span(right.start, right.end - 1, right.label)
            place = right if is_right else wrong
            score = 1 / (1 + math.exp(-2 * odds))
            if random.random() >= missed:
                candidates.append(Span(place.start, place.end, place.label, score))
            if not is_right and random.random() >= missed:
                low = random.uniform(0.001, 0.2)
                candidates.append(Span(right.start, right.end, right.label, low))
        made.append((GOLD, candidates))
    return made


def measure(some: list[Row], target: RecallTarget) -> ExpectedScores:
    """Count the gold spans, kept candidates and found gold spans of rows at a threshold."""
    kept = [(gold, target.keep(candidates)) for gold, candidates in some]
    return ExpectedScores(
        gold=sum(len(gold) for gold, _ in some),
        kept=sum(len(spans) for _, spans in kept),
        found=sum(right for gold, spans in kept for _, right in judge_spans(gold, spans)),
    )


def accumulate(some: list[Row], *, to_a_document: int = 1) -> CalibrationStatistics | None:
    accumulator = CalibrationAccumulator(floor=1e-3)
    for number, (gold, candidates) in enumerate(some):
        likeliest = [one for one in candidates if (one.score or 0) > 0.5]
        document = None if to_a_document == 1 else str(number // to_a_document)
        accumulator.add(gold, candidates, likeliest, likeliest, text=TEXT, document=document)
    return accumulator.statistics()


def statistics(count: int = 400, *, missed: float = 0.0, seed: int = 1) -> CalibrationStatistics:
    found = accumulate(rows(count, seed=seed, missed=missed))
    assert found is not None
    return found


@pytest.mark.parametrize("target", [0.8, 0.9, 0.95])
def test_the_wanted_recall_is_kept_on_unseen_rows(target: float) -> None:
    recalls = []
    unseen = rows(1000, seed=100)
    for seed in range(6):
        wanted = statistics(300, seed=seed).candidates.choose_threshold(target)
        assert wanted.has_margin
        assert not wanted.is_out_of_reach
        measured = measure(unseen, wanted)
        recalls.append(measured.recall)
        assert measured.precision == pytest.approx(wanted.expected.precision, abs=0.06)
        assert wanted.expected.recall >= target
    assert sum(recall >= target for recall in recalls) >= 4
    assert target <= np.mean(recalls) < target + 0.05


def test_what_was_expected_is_what_its_threshold_does_to_the_same_rows() -> None:
    some = rows(300, seed=3)
    found = accumulate(some)
    assert found is not None
    for target in (0.5, 0.7, 0.9, 0.97):
        wanted = found.candidates.choose_threshold(target)
        assert measure(some, wanted) == wanted.expected


def test_scores_become_probabilities() -> None:
    found = statistics(1500)
    assert found.error_before > 0.06
    assert found.error_after < 0.045
    others = rows(1500, seed=9)
    scores, right = zip(
        *((span.score or 0.0, span in GOLD) for _, row in others for span in row), strict=True
    )
    bins = BinTotals.of_spans(found.probabilities(scores), right)
    after = float(expected_calibration_error(bins))
    assert after < 0.045
    ends = found.probabilities([0.0, 1.0])
    assert 0 < ends[0] < ends[1] < 1


def test_scores_that_are_right_are_left_alone() -> None:
    """Fitting to few spans can only make them worse."""
    random = Random(4)
    some: list[Row] = []
    for _ in range(150):
        score = random.choice([0.1, 0.5, 0.9])
        right = Span(0, 4, "NAME", score)
        place = right if random.random() < score else Span(0, 3, "NAME", score)
        some.append(([Span(0, 4, "NAME")], [place]))
    accumulator = CalibrationAccumulator(floor=1e-3)
    for gold, candidates in some:
        accumulator.add(gold, candidates, candidates, candidates, text=TEXT, document=None)
    found = accumulator.statistics()
    assert found is not None
    assert found.error_after == pytest.approx(found.error_before)
    assert found.calibration.method == "none"
    assert found.calibration.apply([0.25, 0.75]).tolist() == pytest.approx([0.25, 0.75])


def test_what_has_no_candidate_is_out_of_reach() -> None:
    found = statistics(missed=0.1)
    assert 0.85 < found.candidates.reachable < 0.95
    wanted = found.candidates.choose_threshold(0.99)
    assert wanted.is_out_of_reach
    assert not wanted.has_margin
    assert wanted.expected.recall == found.candidates.reachable


def test_what_can_be_reached_but_for_chance_is_not_promised() -> None:
    found = statistics(missed=0.03)
    wanted = found.candidates.choose_threshold(found.candidates.reachable - 0.001)
    assert (wanted.has_margin, wanted.is_out_of_reach) == (False, False)
    assert wanted.expected.recall == pytest.approx(found.candidates.reachable, abs=0.003)


def test_the_margin_is_the_widest_for_which_there_are_candidates() -> None:
    found = statistics(missed=0.03)
    wanted = [
        found.candidates.choose_threshold(found.candidates.reachable - 0.001 * step)
        for step in range(40)
    ]
    assert {one.confidence for one in wanted} == {0, 90, 99}
    assert [one.confidence for one in wanted] == sorted(one.confidence for one in wanted)
    for one in wanted:
        share = one.target_recall
        error = math.sqrt(share * (1 - share) * found.candidates.clustering / found.candidates.gold)
        margin = {0: 0.0, 90: 1.28, 99: 2.32}[one.confidence]
        assert one.expected.recall >= share + margin * error - 1e-9


def test_spans_of_a_document_that_are_missed_together_leave_less_to_chance() -> None:
    some = [
        (gold, candidates if number // 10 % 5 else candidates[:0])
        for number, (gold, candidates) in enumerate(rows(500, seed=2))
    ]
    alone, together = accumulate(some), accumulate(some, to_a_document=10)
    assert alone is not None
    assert together is not None
    assert (alone.documents, together.documents) == (500, 50)
    assert together.candidates.clustering > 5 > alone.candidates.clustering >= 1
    chosen = [one.candidates.choose_threshold(0.7).threshold for one in (alone, together)]
    assert chosen[1] < chosen[0]


def test_too_few_spans_have_no_statistics() -> None:
    assert accumulate(rows(49, seed=1)) is None
    assert accumulate(rows(50, seed=1)) is not None
    assert accumulate([]) is None


def test_candidates_that_are_all_right_have_no_statistics() -> None:
    right = [Span(one.start, one.end, one.label, 0.9) for one in GOLD]
    assert accumulate([(GOLD, right)] * 100) is None


def test_it_is_kept_as_json_without_a_text() -> None:
    found = statistics()
    content = found.model_dump_json()
    assert CalibrationStatistics.model_validate_json(content) == found
    assert set(found.candidates.curves) == {"NAME", "AGE"}
    assert found.candidates.gold == 800
    assert len(content) < 12_000


def test_candidates_without_a_score_count_as_certain() -> None:
    counter = CandidateCounter()
    bare = [Span(one.start, one.end, one.label) for one in GOLD]
    counter.add(GOLD, bare, document=None)
    target = counter.counts().choose_threshold(0.9)
    assert target.expected == ExpectedScores(gold=2, kept=2, found=2)
    assert target.keep(bare) == bare


def test_spans_below_the_threshold_are_left_out() -> None:
    target = RecallTarget(
        target_recall=0.9,
        threshold=0.5,
        expected=ExpectedScores(0, 0, 0),
        confidence=0,
        is_out_of_reach=False,
    )
    low, high, bare = Span(0, 1, "A", 0.4), Span(2, 3, "A", 0.5), Span(0, 1, "A")
    assert target.keep([low, bare, high]) == [bare, high]
    assert (target.expected.recall, target.expected.precision) == (0, 0)


def test_one_threshold_serves_rare_labels_too() -> None:
    counter = CandidateCounter()
    for number in range(60):
        label = "RARE" if number % 20 == 0 else "COMMON"
        score = 0.3 if label == "RARE" else 0.9
        counter.add([Span(0, 4, label)], [Span(0, 4, label, score)], document=None)
    target = counter.counts().choose_threshold(0.99)
    assert target.threshold < 0.3
    assert target.expected == ExpectedScores(gold=60, kept=60, found=60)


def test_without_rows_nothing_is_kept() -> None:
    target = CandidateCounter().counts().choose_threshold(0.9)
    assert (target.threshold, target.confidence) == (1.0, 0)
    assert (target.expected.recall, target.expected.precision) == (0, 0)


@pytest.mark.parametrize("score", [0.0, 1e-9, 1e-5, 0.3, 0.999, 1.0])
def test_places_rise_with_scores(score: float) -> None:
    assert score_bin(score) <= score_bin(min(score * 1.1 + 1e-4, 1.0))
    assert -277 <= score_bin(score) <= 277

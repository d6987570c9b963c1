from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.data.markup import Span
from annoseq.evaluation.counts import CountTotals, SpanComparison
from annoseq.evaluation.metrics import gold_spans, predicted_spans, scheme_score
from annoseq.evaluation.scorer import DocumentCounter
from annoseq.evaluation.span_matching import SCHEMES, count_matches, match_spans
from tests.evaluation.strategies import LENGTH, apart, spans

if TYPE_CHECKING:
    from annoseq.evaluation.span_matching import MatchOutcome, Scheme

NERVALUATE = {"strict": "strict", "exact": "exact", "partial": "partial", "type": "ent_type"}
VERDICTS: tuple[MatchOutcome, ...] = ("correct", "incorrect", "partial", "missed", "spurious")


def nervaluated(gold: list[Span], predicted: list[Span]) -> dict[str, Any]:
    nervaluate = pytest.importorskip("nervaluate")

    def entities(some: list[Span]) -> list[dict[str, object]]:
        # Its ends are inclusive.
        return [{"label": one.label, "start": one.start, "end": one.end - 1} for one in some]

    judge = nervaluate.Evaluator(
        [entities(gold)], [entities(predicted)], tags=list("ABC"), loader="dict"
    )
    found: dict[str, Any] = judge.evaluate()
    return found


def sums_of(gold: list[Span], predicted: list[Span]) -> CountTotals:
    row = SpanComparison("1", "x" * LENGTH, tuple(gold), tuple(predicted))
    return CountTotals(DocumentCounter({"A", "B", "C"}).count([row]))


@given(apart(), apart())
@settings(max_examples=40)
def test_counts_are_those_of_nervaluate_where_spans_lie_apart(
    gold: list[Span], predicted: list[Span]
) -> None:
    theirs = nervaluated(gold, predicted)["overall"]
    for scheme in SCHEMES:
        ours = count_matches(gold, predicted, scheme=scheme)
        expected = theirs[NERVALUATE[scheme]]
        assert {name: ours[name] for name in VERDICTS} == {
            name: getattr(expected, name) for name in VERDICTS
        }


@given(apart(), apart())
@settings(max_examples=30)
def test_scores_are_those_of_nervaluate(gold: list[Span], predicted: list[Span]) -> None:
    theirs, sums = nervaluated(gold, predicted), sums_of(gold, predicted)
    schemes: tuple[Scheme, ...] = ("strict", "partial", "type")
    for label, expected in theirs["entities"].items():
        for scheme in schemes:
            ours = scheme_score(sums, scheme, label=label)
            for name, value in ours.items():
                assert float(value) == pytest.approx(getattr(expected[NERVALUATE[scheme]], name))
    for scheme in SCHEMES:
        for name, value in scheme_score(sums, scheme).items():
            whole = theirs["overall"][NERVALUATE[scheme]]
            assert float(value) == pytest.approx(getattr(whole, name))


@given(spans, spans, st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_order_is_of_no_account(gold: list[Span], predicted: list[Span], random: Any) -> None:
    shuffled = [random.sample(some, len(some)) for some in (gold, predicted)]
    for scheme in SCHEMES:
        assert count_matches(*shuffled, scheme=scheme) == count_matches(
            gold, predicted, scheme=scheme
        )


@given(spans, spans)
@settings(max_examples=40)
def test_strict_and_exact_find_all_that_there_is_to_find(
    gold: list[Span], predicted: list[Span]
) -> None:
    strict = (Counter(gold) & Counter(predicted)).total()
    assert count_matches(gold, predicted, scheme="strict")["correct"] == strict
    offsets = [Counter((one.start, one.end) for one in some) for some in (gold, predicted)]
    schemes: tuple[Scheme, ...] = ("exact", "partial")
    for scheme in schemes:
        found = count_matches(gold, predicted, scheme=scheme)["correct"]
        assert found == (offsets[0] & offsets[1]).total()


@given(spans, spans)
@settings(max_examples=40)
def test_every_span_is_used_once(gold: list[Span], predicted: list[Span]) -> None:
    for scheme in SCHEMES:
        matches = match_spans(gold, predicted, scheme=scheme)
        assert sorted(one.gold for one in matches if one.gold) == sorted(gold)
        assert sorted(one.predicted for one in matches if one.predicted) == sorted(predicted)
    sums = sums_of(gold, predicted)
    assert int(gold_spans(sums)) == len(set(gold))
    assert int(predicted_spans(sums)) == len(set(predicted))


def test_a_right_span_is_not_lost_to_one_before_it() -> None:
    """nervaluate finds none correct here: the first takes the gold span from the second."""
    whole, part = Span(0, 8, "A"), Span(0, 4, "A")
    assert count_matches([whole], [part, whole], scheme="strict") == {"correct": 1, "spurious": 1}
    assert count_matches([part, whole], [whole, part], scheme="strict") == {"correct": 2}


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("strict", {"incorrect": 2, "missed": 1, "spurious": 1, "correct": 1}),
        ("exact", {"correct": 2, "incorrect": 1, "missed": 1, "spurious": 1}),
        ("partial", {"correct": 2, "partial": 1, "missed": 1, "spurious": 1}),
        ("type", {"correct": 2, "incorrect": 1, "missed": 1, "spurious": 1}),
    ],
)
def test_a_case_by_hand(scheme: Scheme, expected: dict[str, int]) -> None:
    gold = [Span(0, 4, "A"), Span(5, 9, "A"), Span(10, 14, "B"), Span(20, 24, "B")]
    found = [Span(0, 4, "A"), Span(5, 9, "B"), Span(10, 12, "B"), Span(30, 34, "A")]
    assert count_matches(gold, found, scheme=scheme) == expected


def test_under_type_the_closest_span_of_the_label_answers() -> None:
    near, far = Span(4, 9, "A"), Span(0, 5, "A")
    [one, other] = match_spans([far, near], [Span(4, 10, "A")], scheme="type")
    assert (one.gold, one.outcome) == (near, "correct")
    assert (other.gold, other.outcome) == (far, "missed")

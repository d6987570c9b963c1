from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given

from annoseq.data.markup import Span
from annoseq.evaluation.error_analysis import ERROR_TYPES, find_span_errors
from tests.evaluation.strategies import spans


@pytest.mark.parametrize(
    ("gold", "predicted", "kind"),
    [
        ([(2, 6)], [], "missed"),
        ([], [(2, 6)], "spurious"),
        ([(2, 6)], [(2, 8)], "long"),
        ([(2, 6)], [(0, 6)], "long"),
        ([(2, 6)], [(0, 8)], "long"),
        ([(2, 6)], [(2, 5)], "short"),
        ([(2, 6)], [(3, 5)], "short"),
        ([(2, 6)], [(4, 8)], "shifted"),
        ([(2, 6)], [(0, 3)], "shifted"),
        ([(2, 6)], [(2, 4), (5, 6)], "split"),
        ([(2, 4), (5, 6)], [(2, 6)], "merged"),
        ([(2, 4), (5, 8)], [(3, 6), (7, 9)], "merged"),
    ],
)
def test_kinds(gold: list[tuple[int, int]], predicted: list[tuple[int, int]], kind: str) -> None:
    golds, found = ([Span(*place, "A") for place in some] for some in (gold, predicted))
    [mistake] = find_span_errors(golds, found)
    assert mistake.kind == kind
    assert (mistake.gold, mistake.predicted) == (tuple(golds), tuple(found))
    assert not mistake.has_wrong_label
    assert kind in ERROR_TYPES


def test_labels() -> None:
    [label] = find_span_errors([Span(0, 4, "A")], [Span(0, 4, "B", 0.7)])
    assert (label.kind, label.label, label.score) == ("label", "A", 0.7)
    [both] = find_span_errors([Span(0, 4, "A")], [Span(0, 3, "B")])
    assert (both.kind, both.has_wrong_label, both.score) == ("short", True, None)
    [alone] = find_span_errors([], [Span(0, 3, "B", 0.2)])
    assert (alone.label, alone.has_wrong_label) == ("B", False)


def test_what_is_right_is_no_mistake_and_holds_nothing_together() -> None:
    outer, inner = Span(0, 9, "A"), Span(2, 4, "B")
    assert find_span_errors([outer, inner], [inner, outer]) == []
    [missed] = find_span_errors([outer, inner], [outer])
    assert (missed.kind, missed.gold) == ("missed", (inner,))


def test_mistakes_come_in_the_order_of_the_text() -> None:
    found = find_span_errors([Span(5, 6, "A")], [Span(8, 9, "A"), Span(0, 1, "A")])
    assert [one.kind for one in found] == ["spurious", "missed", "spurious"]


@given(spans, spans)
def test_every_wrong_span_is_in_one_mistake(gold: list[Span], predicted: list[Span]) -> None:
    found = find_span_errors(gold, predicted)
    common = Counter(gold) & Counter(predicted)
    for some, every in (
        ([span for one in found for span in one.gold], gold),
        ([span for one in found for span in one.predicted], predicted),
    ):
        assert Counter(some) == Counter(every) - common

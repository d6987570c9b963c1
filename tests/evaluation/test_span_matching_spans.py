from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annoseq.data.markup import Span
from annoseq.evaluation.span_matching import SpanScore, score_spans, unique_spans

NAME, AGE, OUTER = Span(0, 4, "NAME"), Span(5, 7, "AGE"), Span(0, 7, "NAME")
spans = st.lists(
    st.builds(Span, st.integers(0, 2), st.integers(3, 4), st.sampled_from("AB")), max_size=6
)


def test_offsets_and_label_must_both_be_right() -> None:
    for wrong in (Span(0, 3, "NAME"), Span(1, 4, "NAME"), Span(0, 4, "AGE")):
        assert score_spans([wrong], [NAME]) == SpanScore(predicted=1, gold=1, correct=0)
    assert score_spans([NAME], [NAME]) == SpanScore(1, 1, 1)


def test_precision_recall_and_their_mean() -> None:
    score = score_spans([NAME, AGE, Span(8, 9, "AGE")], [NAME, OUTER])
    assert (score.precision, score.recall) == (1 / 3, 1 / 2)
    assert score.f1 == pytest.approx(2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2))
    assert score.values() == {
        "span_precision": score.precision,
        "span_recall": score.recall,
        "span_f1": score.f1,
    }


def test_order_is_of_no_account() -> None:
    assert score_spans([AGE, NAME], [NAME, AGE]).f1 == 1


def test_a_span_that_is_there_twice_counts_once() -> None:
    assert score_spans([NAME, NAME], [NAME]) == SpanScore(1, 1, 1)
    assert score_spans([NAME], [NAME, NAME]) == SpanScore(1, 1, 1)
    assert score_spans([NAME, NAME], [NAME, NAME]) == SpanScore(1, 1, 1)


def test_of_equal_spans_the_highest_score_is_kept_and_other_labels_stay() -> None:
    low, high = Span(0, 4, "NAME", score=0.2), Span(0, 4, "NAME", score=0.7)
    other = Span(0, 4, "AGE", score=0.1)
    unique = unique_spans([low, other, high])
    assert [(span.label, span.score) for span in unique] == [("NAME", 0.7), ("AGE", 0.1)]


def test_nested_spans_are_scored_one_by_one() -> None:
    assert score_spans([NAME], [OUTER, NAME]) == SpanScore(1, 2, 1)
    assert score_spans([OUTER, NAME], [OUTER, NAME]).f1 == 1


def test_the_probability_of_a_span_is_of_no_account() -> None:
    assert score_spans([Span(0, 4, "NAME", score=0.1)], [NAME]).correct == 1


def test_nothing_predicted_and_nothing_there() -> None:
    assert score_spans([], []).values() == dict.fromkeys(
        ("span_precision", "span_recall", "span_f1"), 0.0
    )
    assert score_spans([NAME], []).values()["span_f1"] == 0
    assert score_spans([], [NAME]).values()["span_f1"] == 0


@given(spans, spans, spans, spans)
def test_rows_add_up(
    found: list[Span], gold: list[Span], more: list[Span], golds: list[Span]
) -> None:
    """Moved out of each other's way, two rows are scored as one."""
    one, other = score_spans(found, gold), score_spans(more, golds)

    def moved(some: list[Span]) -> list[Span]:
        return [Span(span.start + 10, span.end + 10, span.label) for span in some]

    assert one + other == score_spans(found + moved(more), gold + moved(golds))
    assert one.correct <= min(one.predicted, one.gold)

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.data.markup import Span, parse, render
from annoseq.decoding.non_crossing import select_non_crossing

TEXT = "abcdefgh"
_places = st.integers(0, 7).flatmap(
    lambda start: st.tuples(st.just(start), st.integers(start + 1, 8))
)
spans = st.builds(
    lambda place, label, score: Span(place[0], place[1], label, score),
    _places,
    st.sampled_from("AB"),
    st.sampled_from([0.1, 0.5, 0.5, 0.9]),
)


def cross(one: Span, other: Span) -> bool:
    first, second = sorted((one, other))
    return first.start < second.start < first.end < second.end


def by_hand(candidates: list[Span]) -> set[Span]:
    """Compare each with all that were taken."""
    taken: list[Span] = []
    for one in sorted(candidates, key=lambda span: (-(span.score or 0), span.start, -span.end)):
        if not any(cross(one, other) for other in taken):
            taken.append(one)
    return set(taken)


@settings(max_examples=60, deadline=None)
@given(st.lists(spans, max_size=12))
def test_selected_spans_do_not_cross(candidates: list[Span]) -> None:
    chosen = select_non_crossing(candidates)
    assert parse(render(TEXT, chosen)) == (TEXT, chosen)
    assert not any(cross(*pair) for pair in combinations(chosen, 2))
    assert set(chosen) == by_hand(candidates)


@given(st.lists(spans, max_size=8), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_the_order_of_candidates_does_not_matter(candidates: list[Span], random: object) -> None:
    other = list(candidates)
    random.shuffle(other)  # type: ignore[attr-defined]
    assert [(one, one.score) for one in select_non_crossing(other)] == [
        (one, one.score) for one in select_non_crossing(candidates)
    ]


def test_of_duplicates_the_likelier_span_is_kept() -> None:
    (one,) = select_non_crossing([Span(0, 3, "A", 0.2), Span(0, 3, "A", 0.6)])
    assert one.score == 0.6


def test_of_spans_of_the_same_text_the_likelier_is_outside() -> None:
    chosen = select_non_crossing([Span(0, 3, "A", 0.2), Span(0, 3, "B", 0.6), Span(1, 2, "C")])
    assert render("abc", chosen) == "{{B}}{{A}}a{{C}}b{{/C}}c{{/A}}{{/B}}"

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annoseq.data.markup import Span, render
from annoseq.errors import ReviewError
from annoseq.review import actions
from annoseq.review.decisions import ReviewSpan, ReviewState, places_to_mark
from tests.review.projects import AMES, TEXT


def begin(*spans: Span, length: int = len(TEXT)) -> ReviewState:
    return ReviewState.begin(
        [
            ReviewSpan(f"m{number}", span.start, span.end, span.label, span.score)
            for number, span in enumerate(spans, start=1)
        ],
        length=length,
    )


def after(state: ReviewState, *decisions: actions.Decision) -> ReviewState:
    for step, action in enumerate(decisions, start=1):
        state = state.apply(action, step=step)
    return state


def test_a_document_begins_undecided_and_untouched() -> None:
    state = begin(AMES)
    assert (state.state, state.undecided, state.accepted) == ("untouched", 1, ())


def test_spans_are_accepted_rejected_and_reopened() -> None:
    state = after(begin(AMES), actions.Accept(span="m1"))
    assert state.accepted == (AMES,)
    state = after(state, actions.Reject(span="m1"))
    assert (state.accepted, state.undecided) == ((), 0)
    state = after(state, actions.Reopen(span="m1"))
    assert (state.undecided, state.state) == (1, "started")


def test_relabelling_and_resizing_accept_a_span_and_keep_its_id() -> None:
    state = after(
        begin(AMES),
        actions.Relabel(span="m1", label="NAME:DOCTOR"),
        actions.Resize(span="m1", start=0, end=8),
    )
    assert state.accepted == (Span(0, 8, "NAME:DOCTOR"),)
    assert [*state.spans] == ["m1"]


def test_an_added_span_may_nest_and_touch() -> None:
    state = after(
        begin(),
        actions.Add(start=0, end=8, label="PERSON"),
        actions.Add(start=4, end=8, label="NAME"),
        actions.Add(start=8, end=12, label="NAME"),
        actions.Add(start=4, end=8, label="FAMILY"),
    )
    assert len(state.accepted) == 4
    assert render(TEXT, state.accepted).startswith("{{PERSON}}Dr. {{FAMILY}}{{NAME}}Ames")


def test_adding_what_the_model_found_accepts_that() -> None:
    state = after(begin(AMES), actions.Add(start=4, end=8, label="NAME"))
    assert [(span.id, span.decision, span.origin) for span in state.ordered()] == [
        ("m1", "accepted", "model")
    ]


def test_a_crossing_span_is_refused() -> None:
    state = after(begin(AMES), actions.Accept(span="m1"))
    with pytest.raises(ReviewError) as error:
        after(state, actions.Add(start=6, end=12, label="NAME"))
    assert str(error.value) == (
        "the span crosses one that is accepted. Let one lie within the other, or reject the other "
        "first."
    )
    with pytest.raises(ReviewError):
        after(state, actions.Add(start=0, end=6, label="NAME"))


def test_the_same_span_twice_is_refused() -> None:
    state = after(begin(AMES), actions.Accept(span="m1"))
    with pytest.raises(ReviewError) as error:
        after(state, actions.Add(start=4, end=8, label="NAME"))
    assert str(error.value) == ("this piece of text is already accepted as NAME. Reject this one.")


@pytest.mark.parametrize(("start", "end"), [(5, 5), (6, 5), (0, len(TEXT) + 1)])
def test_a_span_is_a_piece_of_the_text(start: int, end: int) -> None:
    with pytest.raises(ReviewError) as error:
        after(begin(), actions.Add(start=start, end=end, label="NAME"))
    assert str(error.value) == (
        f"a span from {start} to {end} is empty or outside the text, which has 32 characters. "
        "Select a piece of the text."
    )


def test_an_unknown_span_is_refused() -> None:
    with pytest.raises(ReviewError, match="there is no such span in this document"):
        after(begin(), actions.Accept(span="m7"))


def test_only_added_spans_can_be_removed() -> None:
    state = after(begin(AMES), actions.Add(start=0, end=2, label="TITLE"))
    assert [*after(state, actions.Remove(span="r1")).spans] == ["m1"]
    with pytest.raises(ReviewError) as error:
        after(state, actions.Remove(span="m1"))
    assert str(error.value) == (
        "only a span that was added in the review can be removed. Reject this one instead."
    )


def test_a_suggestion_is_taken_in_one_step() -> None:
    span = ReviewSpan("g1", 4, 8, "NAME", problem="wrong edge", suggested=Span(0, 8, "NAME"))
    state = after(ReviewState.begin([span], length=32), actions.TakeSuggestion(span="g1"))
    assert state.accepted == (Span(0, 8, "NAME"),)
    assert state.spans["g1"].suggested is None
    with pytest.raises(ReviewError) as error:
        after(state, actions.TakeSuggestion(span="g1"))
    assert str(error.value) == ("nothing is suggested for this span. Accept or reject it as it is.")


def test_accepting_all_leaves_what_crosses_undecided() -> None:
    state = after(begin(AMES, Span(6, 12, "NAME"), Span(13, 15, "NAME")), actions.AcceptAll())
    assert [span.decision for span in state.ordered()] == ["accepted", "undecided", "accepted"]
    assert state.state == "started"


def test_a_document_is_done_only_without_undecided_spans() -> None:
    with pytest.raises(ReviewError) as error:
        after(begin(AMES), actions.Done())
    assert str(error.value) == (
        "1 span undecided. Accept or reject each, or reject all that are left."
    )
    state = after(begin(AMES), actions.Done(reject_open=True))
    assert (state.state, state.accepted) == ("done", ())
    assert after(begin(AMES), actions.Accept(span="m1"), actions.Done()).state == "done"


def test_reopening_a_span_reopens_the_document() -> None:
    state = after(begin(AMES), actions.AcceptAll(), actions.Done(), actions.Reopen(span="m1"))
    assert state.state == "started"
    assert after(state, actions.Accept(span="m1")).state == "started"


def test_a_skipped_document_is_taken_up_by_the_next_decision() -> None:
    state = after(begin(AMES), actions.Skip())
    assert state.state == "skipped"
    assert after(state, actions.Note(text="scan is illegible")).state == "skipped"
    assert after(state, actions.Accept(span="m1")).state == "started"
    assert after(state, actions.Done(reject_open=True)).state == "done"


def test_starting_again_keeps_the_note() -> None:
    state = after(
        begin(AMES),
        actions.Note(text="two patients"),
        actions.AcceptAll(),
        actions.Done(),
        actions.StartAgain(),
    )
    assert (state.state, state.undecided, state.note) == ("untouched", 1, "two patients")


def test_marking_takes_up_undecided_spans_of_another_label() -> None:
    state = after(
        begin(Span(4, 8, "CITY"), Span(4, 8, "NAME")),
        actions.Mark(label="NAME", ranges=((4, 8), (16, 20))),
    )
    assert state.accepted == (Span(4, 8, "NAME"), Span(16, 20, "NAME"))
    assert state.spans["m2"].decision == "accepted"


def test_places_that_are_decided_on_are_not_marked_again() -> None:
    state = after(
        begin(Span(4, 8, "NAME"), Span(16, 20, "NAME"), Span(22, 26, "CITY")),
        actions.Accept(span="m1"),
        actions.Reject(span="m2"),
        actions.Add(start=28, end=31, label="X"),
    )
    places = [(4, 8), (16, 20), (22, 26), (27, 29)]
    assert places_to_mark(state, places, "NAME") == ((22, 26),)


@pytest.mark.parametrize("label", ["a b", "{x", "/A", "", "x" * 101, "\ud800"])
def test_a_label_that_cannot_stand_in_a_tag_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match="label"):
        actions.Add(start=0, end=1, label=label)


def test_a_note_is_not_shown_by_a_state() -> None:
    assert "secret" not in repr(after(begin(), actions.Note(text="secret")))


def one_by_one(state: ReviewState) -> ReviewState:
    """Accept the undecided spans in their order, each by itself, as far as that is possible."""
    for step, span in enumerate(state.ordered(), start=1):
        with suppress(ReviewError):
            state = state.apply(actions.Accept(span=span.id), step=step)
    return state


EDGES = st.tuples(st.integers(0, 11), st.integers(1, 12), st.sampled_from("AB"))


@given(st.lists(EDGES.filter(lambda edges: edges[0] < edges[1]), max_size=12))
def test_all_spans_are_accepted_as_they_would_be_one_by_one(
    edges: list[tuple[int, int, str]],
) -> None:
    state = begin(*(Span(*each) for each in edges), length=12)
    assert state.apply(actions.AcceptAll(), step=1).spans == one_by_one(state).spans

"""Decisions of a reviewer on the spans of a document, which follow from the log of actions.

A document begins with undecided spans (those of a model, of the audit, or of pairs that a model
contradicts) and accepted ones (of pairs). Actions lead from one state to the next; a state never
changes. Accepted spans are well nested, so that they can always be written as markup, and no two
of them are the same: an action that would break this is refused, or has no effect where the state
that it was meant for was undone.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from annoseq.data.markup import Span
from annoseq.errors import ReviewError, count_noun, display_name
from annoseq.review import actions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SpanDecision = Literal["undecided", "accepted", "rejected"]
SpanOrigin = Literal["model", "reviewer", "gold", "audit"]
DocumentState = Literal["untouched", "started", "done", "skipped"]


@dataclass(frozen=True, slots=True)
class ReviewSpan:
    """A span under review; `suggested` is what an audit proposes instead of it, for `problem`."""

    id: str
    start: int
    end: int
    label: str
    score: float | None = None
    decision: SpanDecision = "undecided"
    origin: SpanOrigin = "model"
    problem: str | None = None
    suggested: Span | None = None

    @property
    def span(self) -> Span:
        """Edges and label."""
        return Span(self.start, self.end, self.label, self.score)

    def is_at(self, start: int, end: int, label: str) -> bool:
        """Return True if the span has these edges and this label."""
        return (self.start, self.end, self.label) == (start, end, label)


@dataclass(frozen=True)
class ReviewState:
    """Spans of a document by id, and what a reviewer said of the document as a whole.

    `length` is that of the text; `first` are the spans that it began with.
    """

    length: int
    first: Mapping[str, ReviewSpan]
    spans: Mapping[str, ReviewSpan]
    is_touched: bool = False
    is_done: bool = False
    is_skipped: bool = False
    note: str = field(default="", repr=False)

    @classmethod
    def begin(cls, spans: Iterable[ReviewSpan], *, length: int) -> ReviewState:
        """Return the state before any action."""
        first = {span.id: span for span in spans}
        return cls(length, first, first)

    @property
    def undecided(self) -> int:
        """Number of undecided spans."""
        return sum(span.decision == "undecided" for span in self.spans.values())

    @property
    def state(self) -> DocumentState:
        """State of the document; one that was done is not as long as a span is undecided."""
        if self.is_skipped:
            return "skipped"
        if self.is_done and not self.undecided:
            return "done"
        return "started" if self.is_touched else "untouched"

    @property
    def accepted(self) -> tuple[Span, ...]:
        """The accepted spans in opening order."""
        spans = (span.span for span in self.spans.values() if span.decision == "accepted")
        return tuple(sorted(spans, key=lambda span: (span.start, -span.end, span.label)))

    def ordered(self) -> list[ReviewSpan]:
        """Return all spans in opening order."""
        return sorted(
            self.spans.values(), key=lambda span: (span.start, -span.end, span.label, span.id)
        )

    def apply(self, action: actions.Decision, *, step: int) -> ReviewState:
        """Return the state after an action; the spans that it adds are named after its `step`.

        Raises:
            ReviewError: there is no such span, its edges are not those of a piece of text, it
                crosses an accepted span or is there twice, or spans are undecided when the
                document is said to be done.
        """
        after = _apply(self, action, step)
        return replace(after, is_touched=not isinstance(action, actions.StartAgain))

    def find(self, id_: str) -> ReviewSpan:
        """Return a span.

        Raises:
            ReviewError: there is no such span.
        """
        if id_ not in self.spans:
            raise ReviewError("there is no such span in this document. Load the document again.")
        return self.spans[id_]

    def crosses_accepted(self, start: int, end: int, *, but: str = "") -> bool:
        """Return True if a piece of text crosses an accepted span, the one `but` left aside."""
        return any(
            span.decision == "accepted" and span.id != but and _crosses(span, start, end)
            for span in self.spans.values()
        )


def _crosses(span: ReviewSpan, start: int, end: int) -> bool:
    """Return True if a span and a piece of text overlap, and neither contains the other."""
    return span.start < start < span.end < end or start < span.start < end < span.end


def _apply(state: ReviewState, action: actions.Decision, step: int) -> ReviewState:
    match action:
        case actions.Note():
            return replace(state, note=action.text)
        case actions.Skip():
            return replace(state, is_skipped=True, is_done=False)
        case actions.StartAgain():
            return replace(ReviewState(state.length, state.first, state.first), note=state.note)
        case actions.Done():
            return _finish(state, reject_open=action.reject_open)
        case actions.Reopen():
            span = replace(state.find(action.span), decision="undecided")
            return replace(_with(state, span), is_done=False, is_skipped=False)
        case _:
            return replace(_decide(state, action, step), is_skipped=False)


def _decide(state: ReviewState, action: actions.Decision, step: int) -> ReviewState:
    """Return the state after an action on spans."""
    match action:
        case actions.Remove():
            return _remove(state, action.span)
        case actions.AcceptAll():
            return _accept_all(state)
        case actions.Mark():
            return _mark(state, action, step)
        case actions.Reject():
            return _with(state, replace(state.find(action.span), decision="rejected"))
        case actions.Add():
            span = ReviewSpan(f"r{step}", action.start, action.end, action.label, origin="reviewer")
            return _accept(state, _known(state, span) or span)
        case _:
            return _accept(state, _changed(state, action))


def _changed(state: ReviewState, action: actions.Decision) -> ReviewSpan:
    """Return the span of an action as it will be accepted."""
    match action:
        case actions.Relabel():
            return replace(state.find(action.span), label=action.label)
        case actions.Resize():
            return replace(state.find(action.span), start=action.start, end=action.end)
        case actions.TakeSuggestion():
            return _as_suggested(state.find(action.span))
        case actions.Accept():
            return state.find(action.span)
        case _:
            raise TypeError(f"{action.type} is no action on a span")


def _as_suggested(span: ReviewSpan) -> ReviewSpan:
    new = span.suggested
    if new is None:
        raise ReviewError("nothing is suggested for this span. Accept or reject it as it is.")
    return replace(span, start=new.start, end=new.end, label=new.label, suggested=None)


def _with(state: ReviewState, span: ReviewSpan) -> ReviewState:
    return replace(state, spans={**state.spans, span.id: span})


def _accept(state: ReviewState, span: ReviewSpan) -> ReviewState:
    """Return the state with a new or changed span accepted.

    Raises:
        ReviewError: it is no piece of the text, crosses an accepted span, or is there twice.
    """
    if not 0 <= span.start < span.end <= state.length:
        raise ReviewError(
            f"a span from {span.start} to {span.end} is empty or outside the text, which has "
            f"{count_noun(state.length, 'character')}. Select a piece of the text."
        )
    if state.crosses_accepted(span.start, span.end, but=span.id):
        raise ReviewError(
            "the span crosses one that is accepted. Let one lie within the other, or reject the "
            "other first."
        )
    if any(
        other.id != span.id
        and other.decision == "accepted"
        and other.is_at(span.start, span.end, span.label)
        for other in state.spans.values()
    ):
        name = display_name(span.label, kind="label")
        raise ReviewError(f"this piece of text is already accepted as {name}. Reject this one.")
    return _with(state, replace(span, decision="accepted"))


def _known(state: ReviewState, span: ReviewSpan) -> ReviewSpan | None:
    """Return the span that has the edges and the label of another and is not accepted, if any."""
    candidates = [
        other for other in state.spans.values() if other.is_at(span.start, span.end, span.label)
    ]
    return next((other for other in candidates if other.decision != "accepted"), None)


def _remove(state: ReviewState, id_: str) -> ReviewState:
    if state.find(id_).origin != "reviewer":
        raise ReviewError(
            "only a span that was added in the review can be removed. Reject this one instead."
        )
    spans = {other: span for other, span in state.spans.items() if other != id_}
    return replace(state, spans=spans)


class _Acceptance:
    """Spans of a state while many of them are accepted one after the other.

    Edges of accepted spans are kept in order, so that a long document takes no time that grows
    with the square of its spans.
    """

    def __init__(self, state: ReviewState) -> None:
        self._state = state
        self._spans = dict(state.spans)
        accepted = [span for span in self._spans.values() if span.decision == "accepted"]
        self._known = {(span.start, span.end, span.label) for span in accepted}
        self._by_start = sorted((span.start, span.end) for span in accepted)
        self._by_end = sorted((span.end, span.start) for span in accepted)

    def try_accept(self, span: ReviewSpan) -> None:
        """Accept an undecided or a new span, unless that would be refused."""
        start, end = span.start, span.end
        edges = (start, end, span.label)
        if not start < end <= self._state.length or edges in self._known:
            return
        if self.is_crossed(start, end):
            return
        self._spans[span.id] = replace(span, decision="accepted")
        self._known.add(edges)
        insort(self._by_start, (start, end))
        insort(self._by_end, (end, start))

    def is_crossed(self, start: int, end: int) -> bool:
        """Return True if an accepted span begins within a piece and ends after it, or reversed."""
        first, last = bisect_left(self._by_start, (start + 1,)), bisect_left(self._by_start, (end,))
        if any(other_end > end for _, other_end in self._by_start[first:last]):
            return True
        first, last = bisect_left(self._by_end, (start + 1,)), bisect_left(self._by_end, (end,))
        return any(other_start < start for _, other_start in self._by_end[first:last])

    def state(self) -> ReviewState:
        """Return the state with what was accepted."""
        return replace(self._state, spans=self._spans)


def _accept_all(state: ReviewState) -> ReviewState:
    acceptance = _Acceptance(state)
    for span in state.ordered():
        if span.decision == "undecided":
            acceptance.try_accept(span)
    return acceptance.state()


def _mark(state: ReviewState, action: actions.Mark, step: int) -> ReviewState:
    acceptance = _Acceptance(state)
    undecided: defaultdict[tuple[int, int], list[ReviewSpan]] = defaultdict(list)
    for span in state.spans.values():
        if span.decision == "undecided":
            undecided[span.start, span.end].append(span)
    for number, (start, end) in enumerate(action.ranges, start=1):
        span = ReviewSpan(f"r{step}-{number}", start, end, action.label, origin="reviewer")
        # Of several labels of a model for this piece, the one that is wanted.
        known = sorted(undecided[start, end], key=lambda other: other.label != action.label)
        acceptance.try_accept(replace(known[0], label=action.label) if known else span)
    return acceptance.state()


def _finish(state: ReviewState, *, reject_open: bool) -> ReviewState:
    if state.undecided and not reject_open:
        raise ReviewError(
            f"{count_noun(state.undecided, 'span')} undecided. Accept or reject each, or reject "
            "all that are left."
        )
    spans = {
        id_: replace(span, decision="rejected") if span.decision == "undecided" else span
        for id_, span in state.spans.items()
    }
    return replace(state, spans=spans, is_done=True, is_skipped=False)


def places_to_mark(
    state: ReviewState, ranges: Iterable[tuple[int, int]], label: str
) -> tuple[tuple[int, int], ...]:
    """Return the pieces of text that an `ApplyEverywhere` would change: those not decided on.

    A piece is decided on that has an accepted span, or a rejected one of this label, with these
    edges; one that crosses an accepted span cannot be marked.
    """
    decided = {
        (span.start, span.end)
        for span in state.spans.values()
        if span.decision == "accepted" or (span.decision == "rejected" and span.label == label)
    }
    acceptance = _Acceptance(state)
    return tuple(
        place for place in ranges if place not in decided and not acceptance.is_crossed(*place)
    )

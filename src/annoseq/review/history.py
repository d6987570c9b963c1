"""History of a document under review: its first spans, and the steps that can be undone.

A step is what a reviewer did at once, in one document or in many. The state of a document is that
after all of its steps that are not undone, in their order; a step in the middle can be undone from
another document, and what builds on it then has no effect.
"""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING

from annoseq.errors import ReviewError
from annoseq.review.actions import RedoStep, UndoStep
from annoseq.review.decisions import ReviewSpan, ReviewState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from annoseq.data.markup import Span
    from annoseq.review.actions import Decision, LoggedAction
    from annoseq.review.project_records import ReviewDocument, SuspectedSpan

_NOT_PREDICTED, _NOT_IN_PAIRS = "not predicted", "not in the pairs"


class DocumentHistory:
    """Steps of a reviewer in a document, and the state that they lead to.

    `model` is the number of the model whose spans it began with; `revision` counts all steps,
    undoing and redoing included; `keys` are those of the requests that were carried out.
    """

    def __init__(self, first: ReviewState, *, model: int) -> None:
        self.model = model
        self.revision = 0
        self.last_change = ""
        self.keys: set[str] = set()
        self._first = first
        self._actions: dict[int, Decision] = {}
        self._live: list[int] = []
        self._states: list[ReviewState] = []
        self._undone: list[int] = []

    @property
    def state(self) -> ReviewState:
        """The state after all steps that are not undone."""
        return self._states[-1] if self._states else self._first

    @property
    def undoable(self) -> int | None:
        """The last step that is not undone."""
        return self._live[-1] if self._live else None

    @property
    def redoable(self) -> int | None:
        """The step that was undone last, if nothing was done since."""
        return self._undone[-1] if self._undone else None

    def has_step(self, step: int) -> bool:
        """Return True if a step was taken in this document."""
        return step in self._actions

    def append(self, step: int, action: LoggedAction, *, at: str) -> None:
        """Append a step, or the undoing or redoing of one."""
        self.revision += 1
        self.last_change = at
        match action:
            case UndoStep(step=target):
                place = self._live.index(target)
                self._undone.append(self._live.pop(place))
                self._replay(place)
            case RedoStep(step=target):
                if target in self._undone:
                    self._undone.remove(target)
                insort(self._live, target)
                self._replay(self._live.index(target))
            case _:
                self._actions[step] = action
                self._live.append(step)
                self._undone.clear()
                self._replay(len(self._live) - 1)

    def _replay(self, first: int) -> None:
        """Compute the states from a place in the live steps on."""
        del self._states[first:]
        for step in self._live[first:]:
            try:
                state = self.state.apply(self._actions[step], step=step)
            except ReviewError:  # it builds on a step that was undone
                state = self.state
            self._states.append(state)


def begin_review(
    document: ReviewDocument, predicted: Sequence[Span], *, is_audit: bool
) -> ReviewState:
    """Return the state of a document before any decision.

    All spans of a text are those of the model, undecided. The spans of a pair are accepted, but for
    those that the model contradicts, or in an audit those that are suspected; beside them are the
    suggested spans, undecided.
    """
    if document.gold is None:
        spans = [_model_span(number, span) for number, span in enumerate(predicted, start=1)]
    elif is_audit:
        spans = [*_audited(document.gold, document.suspected)]
    else:
        spans = [*_compared(document.gold, predicted)]
    return ReviewState.begin(spans, length=len(document.text))


def _model_span(number: int, span: Span, problem: str | None = None) -> ReviewSpan:
    edges = span.start, span.end, span.label, span.score
    return ReviewSpan(f"m{number}", *edges, problem=problem)


def _compared(gold: Sequence[Span], predicted: Sequence[Span]) -> Iterator[ReviewSpan]:
    """Yield the spans of a pair and those that a model adds."""
    scores = {span: span.score for span in predicted}
    for number, span in enumerate(dict.fromkeys(gold), start=1):
        is_found = span in scores
        yield ReviewSpan(
            f"g{number}",
            span.start,
            span.end,
            span.label,
            scores.get(span),
            decision="accepted" if is_found else "undecided",
            origin="gold",
            problem=None if is_found else _NOT_PREDICTED,
        )
    known = set(gold)
    for number, span in enumerate(predicted, start=1):
        if span not in known:
            yield _model_span(number, span, _NOT_IN_PAIRS)


def _audited(gold: Sequence[Span], suspected: Sequence[SuspectedSpan]) -> Iterator[ReviewSpan]:
    """Yield the spans of a pair and those that an audit adds."""
    problems = {error.old: error for error in reversed(suspected) if error.old is not None}
    for number, span in enumerate(dict.fromkeys(gold), start=1):
        error = problems.get(span)
        yield ReviewSpan(
            f"g{number}",
            span.start,
            span.end,
            span.label,
            decision="accepted" if error is None else "undecided",
            origin="gold",
            problem=None if error is None else error.problem,
            suggested=None if error is None else error.new,
        )
    known = set(gold)
    missed = [error for error in suspected if error.old is None and error.new not in known]
    for number, error in enumerate(missed, start=1):
        assert error.new is not None
        edges = error.new.start, error.new.end, error.new.label, error.score
        yield ReviewSpan(f"a{number}", *edges, origin="audit", problem=error.problem)

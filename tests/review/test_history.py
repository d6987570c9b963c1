from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.data.markup import Span
from annoseq.review import actions
from annoseq.review.history import DocumentHistory, begin_review
from annoseq.review.project_input import make_documents
from annoseq.review.project_records import SuspectedSpan
from tests.review.projects import AMES, BO, TEXT, rows_of

if TYPE_CHECKING:
    from annoseq.review.decisions import ReviewState
    from annoseq.review.project_records import ReviewDocument


def document(
    gold: tuple[Span, ...] | None = None, suspected: tuple[SuspectedSpan, ...] = ()
) -> ReviewDocument:
    (made,) = make_documents(
        rows_of([TEXT], [gold]), seed=1, random_share=0, suspected={1: [*suspected]}
    )
    return made


def described(state: ReviewState) -> list[tuple[object, ...]]:
    return [(s.id, s.start, s.end, s.decision, s.origin, s.problem) for s in state.ordered()]


def test_the_spans_of_a_text_are_those_of_the_model_undecided() -> None:
    state = begin_review(document(), [AMES], is_audit=False)
    assert described(state) == [("m1", 4, 8, "undecided", "model", None)]
    assert state.spans["m1"].score == 0.9


def test_the_spans_of_a_pair_are_undecided_where_the_model_contradicts_them() -> None:
    state = begin_review(document((AMES, BO)), [AMES, Span(22, 26, "NAME", 0.3)], is_audit=False)
    assert described(state) == [
        ("g1", 4, 8, "accepted", "gold", None),
        ("g2", 13, 15, "undecided", "gold", "not predicted"),
        ("m2", 22, 26, "undecided", "model", "not in the pairs"),
    ]


def test_an_audit_shows_suspected_errors_with_their_suggestions() -> None:
    suspected = (
        SuspectedSpan(BO, Span(13, 20, "NAME"), "wrong edge", 0.9),
        SuspectedSpan(None, Span(22, 26, "NAME"), "missed", 0.8),
        SuspectedSpan(BO, None, "spurious", 0.1),
    )
    state = begin_review(document((AMES, BO), suspected), [], is_audit=True)
    assert described(state) == [
        ("g1", 4, 8, "accepted", "gold", None),
        ("g2", 13, 15, "undecided", "gold", "wrong edge"),
        ("a1", 22, 26, "undecided", "audit", "missed"),
    ]
    assert state.spans["g2"].suggested == Span(13, 20, "NAME")


def accepted(history: DocumentHistory) -> tuple[Span, ...]:
    return history.state.accepted


def history() -> DocumentHistory:
    return DocumentHistory(begin_review(document(), [AMES], is_audit=False), model=1)


def test_steps_are_undone_and_redone_one_by_one() -> None:
    past = history()
    past.append(1, actions.Accept(span="m1"), at="1")
    past.append(2, actions.Reject(span="m1"), at="2")
    assert (past.undoable, past.redoable) == (2, None)
    past.append(3, actions.UndoStep(step=2), at="3")
    assert accepted(past) == (AMES,)
    past.append(4, actions.UndoStep(step=1), at="4")
    assert (past.state.state, past.undoable, past.redoable) == ("untouched", None, 1)
    past.append(5, actions.RedoStep(step=1), at="5")
    past.append(6, actions.RedoStep(step=2), at="6")
    assert (accepted(past), past.redoable, past.revision) == ((), None, 6)
    assert past.last_change == "6"


def test_a_new_step_ends_redoing() -> None:
    past = history()
    past.append(1, actions.Accept(span="m1"), at="")
    past.append(2, actions.UndoStep(step=1), at="")
    past.append(3, actions.Skip(), at="")
    assert past.redoable is None


def test_what_builds_on_an_undone_step_has_no_effect() -> None:
    past = history()
    past.append(1, actions.Mark(label="NAME", ranges=((13, 15),)), at="")
    past.append(2, actions.Relabel(span="r1-1", label="CITY"), at="")
    assert accepted(past) == (Span(13, 15, "CITY"),)
    past.append(3, actions.UndoStep(step=1), at="")  # from another document
    assert accepted(past) == ()
    past.append(4, actions.RedoStep(step=1), at="")
    assert accepted(past) == (Span(13, 15, "CITY"),)

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.data.markup import Span
from annoseq.errors import ReviewError, StaleRevisionError
from annoseq.review import actions
from annoseq.review.project_records import LogEntry
from tests.review.projects import AMES, BO, TEXT, make_project, prediction, reopened

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.review.project import ReviewProject

ADA = "ada"


def act(
    project: ReviewProject,
    id_: int,
    action: actions.Decision | actions.ApplyEverywhere,
    *,
    reviewer: str = ADA,
) -> int:
    revision = project.history(reviewer, id_).revision
    return project.act(reviewer, id_, action, revision=revision)


def finish(project: ReviewProject, id_: int, *spans: Span, reviewer: str = ADA) -> None:
    """Let a reviewer decide for these spans alone."""
    act(project, id_, actions.Done(reject_open=True), reviewer=reviewer)
    for span in spans:
        add = actions.Add(start=span.start, end=span.end, label=span.label)
        act(project, id_, add, reviewer=reviewer)
    assert project.state(reviewer, id_).state == "done"


def test_every_action_is_in_the_file_at_once(tmp_path: Path) -> None:
    project = make_project(tmp_path / "review.db")
    act(project, 1, actions.Accept(span="m1"))
    assert reopened(project).state(ADA, 1).accepted == (AMES,)


def test_each_reviewer_has_decisions_of_their_own(tmp_path: Path) -> None:
    project = make_project(tmp_path / "review.db")
    act(project, 1, actions.Accept(span="m1"))
    act(project, 1, actions.Reject(span="m1"), reviewer="bo")
    assert project.state(ADA, 1).accepted == (AMES,)
    assert project.state("bo", 1).accepted == ()
    assert project.reviewers == ["ada", "bo"]


def test_an_action_on_an_older_revision_is_refused(tmp_path: Path) -> None:
    project = make_project(tmp_path / "review.db")
    act(project, 1, actions.Accept(span="m1"))
    with pytest.raises(StaleRevisionError) as error:
        project.act(ADA, 1, actions.Reject(span="m1"), revision=0)
    assert str(error.value) == (
        "the document has changed since it was loaded, in another window or by a step that reached "
        "it from another document. Look at it again."
    )


def test_a_repeated_request_is_carried_out_once(tmp_path: Path) -> None:
    project = make_project(tmp_path / "review.db")
    add = actions.Add(start=0, end=2, label="TITLE")
    assert project.act(ADA, 1, add, revision=0, key="k1") == 1
    assert project.act(ADA, 1, add, revision=0, key="k1") == 0
    again = reopened(project)
    assert again.act(ADA, 1, add, revision=0, key="k1") == 0
    assert again.undo(ADA, 1, revision=1, key="k2") == 1
    assert again.undo(ADA, 1, revision=1, key="k2") == 0
    assert again.history(ADA, 1).revision == 2


def test_a_refused_action_leaves_no_trace(tmp_path: Path) -> None:
    project = make_project(tmp_path / "review.db")
    with pytest.raises(ReviewError):
        act(project, 1, actions.Done())
    assert project.store.log() == []
    assert project.reviewers == []


def test_undo_and_redo_go_on_after_a_restart(tmp_path: Path) -> None:
    project = make_project(tmp_path / "review.db")
    for number in range(20):
        act(project, 1, actions.Note(text=str(number)))
    for number in reversed(range(19)):
        project = reopened(project) if number % 7 == 0 else project
        project.undo(ADA, 1, revision=project.history(ADA, 1).revision)
        assert project.state(ADA, 1).note == str(number)
    project.undo(ADA, 1, revision=39)
    with pytest.raises(ReviewError, match="there is nothing to undo in this document"):
        project.undo(ADA, 1, revision=40)
    project = reopened(project)
    for number in range(20):
        project.redo(ADA, 1, revision=40 + number)
    assert project.state(ADA, 1).note == "19"
    with pytest.raises(ReviewError, match="there is nothing to redo in this document"):
        project.redo(ADA, 1, revision=60)


def test_a_string_is_accepted_everywhere_in_the_document(tmp_path: Path) -> None:
    project = make_project(tmp_path / "review.db")
    everywhere = actions.ApplyEverywhere(span="m1", scope="document")
    assert act(project, 1, everywhere) == 1
    assert project.state(ADA, 1).accepted == (
        Span(4, 8, "NAME"),
        Span(16, 20, "NAME"),
        Span(22, 26, "NAME"),
    )
    assert project.state(ADA, 2).state == "untouched"


def test_a_string_is_accepted_everywhere_in_the_project_and_undone_in_one_step(
    tmp_path: Path,
) -> None:
    texts = (TEXT, "Ames, AMES, Amesbury; Ames", "nothing", "skipped Ames")
    empty = prediction()
    project = make_project(tmp_path / "review.db", texts, [prediction(AMES), empty, empty, empty])
    act(project, 4, actions.Skip())
    everywhere = actions.ApplyEverywhere(span="m1", scope="project")
    assert act(project, 1, everywhere) == 2
    assert project.state(ADA, 2).accepted == (Span(0, 4, "NAME"), Span(22, 26, "NAME"))
    assert (project.state(ADA, 3).state, project.state(ADA, 4).state) == ("untouched", "skipped")
    assert act(project, 1, everywhere) == 0  # nothing is left to mark
    assert project.undo(ADA, 2, revision=1) == 2
    assert project.state(ADA, 1).accepted == project.state(ADA, 2).accepted == ()
    assert project.redo(ADA, 1, revision=2) == 2
    assert len(reopened(project).state(ADA, 1).accepted) == 3


def test_a_rejected_place_is_left_alone(tmp_path: Path) -> None:
    found = prediction(AMES, Span(16, 20, "NAME", 0.5))
    project = make_project(tmp_path / "review.db", [TEXT], [found])
    act(project, 1, actions.Reject(span="m2"))
    act(project, 1, actions.ApplyEverywhere(span="m1"))
    assert project.state(ADA, 1).accepted == (AMES, Span(22, 26, "NAME"))


def test_a_string_of_white_space_is_not_applied_everywhere(tmp_path: Path) -> None:
    project = make_project(tmp_path / "review.db", ["a   b"], [prediction()])
    act(project, 1, actions.Add(start=1, end=4, label="GAP"))
    with pytest.raises(ReviewError) as error:
        act(project, 1, actions.ApplyEverywhere(span="r1"))
    assert str(error.value) == "the span has no letter, digit or symbol. Choose another."


def test_undoing_from_another_document_reopens_one_that_was_done(tmp_path: Path) -> None:
    found = prediction(Span(4, 8, "NAME", 0.9))
    project = make_project(tmp_path / "review.db", [TEXT, TEXT], [found, found])
    act(project, 1, actions.ApplyEverywhere(span="m1", scope="project"))
    act(project, 2, actions.Done())
    assert project.state(ADA, 2).state == "done"
    project.undo(ADA, 1, revision=1)
    assert (project.state(ADA, 2).undecided, project.state(ADA, 2).state) == (1, "untouched")
    assert project.settled(2) is None


def test_an_unknown_document_is_an_error(tmp_path: Path) -> None:
    project = make_project(tmp_path / "review.db")
    with pytest.raises(ReviewError) as error:
        act(project, 9, actions.Skip())
    assert str(error.value) == "the project has no document 9. Load the queue again."


def test_a_document_is_settled_if_those_who_are_done_agree(tmp_path: Path) -> None:
    project = make_project(tmp_path / "review.db")
    assert project.settled(1) is None
    finish(project, 1, AMES)
    act(project, 1, actions.Accept(span="m1"), reviewer="cy")  # not done: does not count
    settled = project.settled(1)
    assert settled is not None
    assert (settled.spans, settled.reviewers) == ((AMES,), ("ada",))
    finish(project, 1, AMES, BO, reviewer="bo")
    assert project.settled(1) is None
    assert project.disagreements() == [1]
    project.adjudicate("eve", 1, [BO])
    settled = reopened(project).settled(1)
    assert settled is not None
    assert (settled.spans, settled.reviewers, settled.is_adjudicated) == ((BO,), ("eve",), True)
    assert project.disagreements() == []


def test_an_adjudication_is_made_of_spans_that_can_be_written(tmp_path: Path) -> None:
    project = make_project(tmp_path / "review.db")
    with pytest.raises(ReviewError, match="the span crosses one that is accepted"):
        project.adjudicate("eve", 1, [Span(0, 8, "A"), Span(4, 12, "B")])
    with pytest.raises(ReviewError, match="is empty or outside the text"):
        project.adjudicate("eve", 1, [Span(0, 80, "A")])


def test_a_new_model_gives_its_spans_to_untouched_documents_alone(tmp_path: Path) -> None:
    project = make_project(tmp_path / "review.db")
    act(project, 1, actions.Accept(span="m1"))
    new = {1: prediction(BO), 2: prediction(BO)}
    assert project.use_model("/models/second", {"before": 0.5}, new) == 2
    for each in (project, reopened(project)):
        assert each.state(ADA, 1).accepted == (AMES,)
        assert [s.label for s in each.state(ADA, 2).ordered()] == ["NAME"]
        assert each.state(ADA, 2).ordered()[0].start == BO.start
        assert each.state("bo", 1).ordered()[0].start == BO.start
        assert each.models[-1].gain == {"before": 0.5}


def test_the_log_has_an_entry_for_each_document_of_a_step(tmp_path: Path) -> None:
    project = make_project(tmp_path / "review.db")
    act(project, 1, actions.ApplyEverywhere(span="m1", scope="project"))
    log = project.store.log()
    assert [(entry.step, entry.document, entry.action.type) for entry in log] == [
        (1, 1, "mark"),
        (1, 2, "mark"),
    ]
    assert isinstance(log[0], LogEntry)
    assert log[0].at.endswith("+00:00")

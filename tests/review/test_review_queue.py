from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.data.markup import Span
from annoseq.errors import OptionError
from annoseq.review import actions
from annoseq.review.project import ReviewProject
from annoseq.review.project_records import DocumentPrediction, SuspectedSpan
from annoseq.review.review_queue import ReviewQueue
from tests.review.projects import AMES, TEXT, make_project, make_store, prediction, rows_of

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 20


@pytest.fixture
def project(tmp_path: Path) -> ReviewProject:
    """Documents of which the later are the less certain, and the earlier leak more."""
    found = [
        prediction(AMES, uncertainty=number / COUNT, leak=1 - number / COUNT)
        for number in range(COUNT)
    ]
    return make_project(tmp_path / "review.db", [TEXT] * COUNT, found, random_share=0.2)


def ids(project: ReviewProject, order: str) -> list[int]:
    return [each.id for each in ReviewQueue(project).documents(order, reviewer="ada")]


def drawn(project: ReviewProject) -> list[int]:
    some = [each for each in project.documents.values() if each.in_random_share]
    return [each.id for each in sorted(some, key=lambda each: each.rank)]


def test_the_least_certain_come_first_without_the_random_share(project: ReviewProject) -> None:
    share = drawn(project)
    expected = [number for number in range(COUNT, 0, -1) if number not in share]
    assert ids(project, "uncertain") == expected
    assert len(share) == 4


def test_the_random_share_is_mixed_in_evenly(project: ReviewProject) -> None:
    share, mixed = drawn(project), ids(project, "mixed")
    assert [number for number in mixed if number in share] == share
    assert [number for number in mixed if number not in share] == ids(project, "uncertain")
    assert [place for place, number in enumerate(mixed) if number in share] == [0, 5, 10, 15]


def test_the_random_order_begins_with_the_random_share(project: ReviewProject) -> None:
    order = ids(project, "random")
    assert order[:4] == drawn(project)
    assert sorted(order) == list(range(1, COUNT + 1))
    assert order[4:] != sorted(order[4:])


def test_the_highest_leak_risk_comes_first(project: ReviewProject) -> None:
    assert ids(project, "leak") == list(range(1, COUNT + 1))
    assert ids(project, "document") == list(range(1, COUNT + 1))


def test_a_model_without_marginals_gives_no_leak_risk(tmp_path: Path) -> None:
    project = make_project(tmp_path / "review.db", [TEXT], [prediction(AMES, leak=None)])
    assert "leak" not in ReviewQueue(project).orders
    with pytest.raises(OptionError) as error:
        ids(project, "leak")
    assert str(error.value) == (
        "the project has no such order of documents. Choose one of mixed, uncertain, random, label,"
        " document."
    )


def test_the_least_certain_span_of_a_label_comes_first(tmp_path: Path) -> None:
    found = [
        prediction(Span(0, 2, "A", 0.2), Span(4, 8, "B", 0.9)),
        prediction(Span(4, 8, "B", 0.5)),
        prediction(Span(0, 2, "A", 0.1)),
    ]
    project = make_project(tmp_path / "review.db", [TEXT] * 3, found)
    queue = ReviewQueue(project)
    assert ids(project, "label") == [3, 1, 2]
    assert [each.id for each in queue.documents("label", reviewer="ada", label="B")] == [2, 1]
    project.act("ada", 2, actions.Reject(span="m1"), revision=0)
    assert [each.id for each in queue.documents("label", reviewer="ada", label="B")] == [1]


def test_an_audit_has_its_own_order_which_is_the_first(tmp_path: Path) -> None:
    suspected = {
        1: [SuspectedSpan(None, AMES, "missed", 0.3)],
        3: [SuspectedSpan(None, AMES, "missed", 0.1), SuspectedSpan(None, AMES, "missed", 0.8)],
    }
    nothing = [DocumentPrediction((), 0.0)] * 3
    rows = rows_of([TEXT] * 3, [(), (), ()])
    project = ReviewProject(make_store(tmp_path / "review.db", rows, nothing, suspected=suspected))
    assert ReviewQueue(project).orders[0] == "audit"
    assert ids(project, "audit") == [3, 1]


def test_the_next_document_is_one_that_is_open(project: ReviewProject) -> None:
    queue, order = ReviewQueue(project), ids(project, "mixed")
    project.act("ada", order[1], actions.Done(reject_open=True), revision=0)
    project.act("ada", order[2], actions.Skip(), revision=0)
    project.act("ada", order[3], actions.Accept(span="m1"), revision=0)
    following = queue.next("mixed", reviewer="ada", after=order[0])
    assert following is not None
    assert following.id == order[3]
    first = queue.next("mixed", reviewer="ada", after=order[-1])
    assert first is not None
    assert first.id == order[0]
    other = queue.next("mixed", reviewer="bo", after=order[0])
    assert other is not None
    assert other.id == order[1]

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.review import actions
from annoseq.review.quality_estimate import compare_models, estimate_f1, random_sample
from tests.review.projects import AMES, BO, TEXT, make_project, prediction
from tests.review.test_project import finish

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.review.project import ReviewProject

COUNT = 20


@pytest.fixture
def project(tmp_path: Path) -> ReviewProject:
    return make_project(
        tmp_path / "review.db", [TEXT] * COUNT, [prediction(AMES)] * COUNT, random_share=0.4
    )


def share(project: ReviewProject) -> list[int]:
    drawn = [each for each in project.documents.values() if each.in_random_share]
    return [each.id for each in sorted(drawn, key=lambda each: each.rank)]


def test_there_is_no_estimate_without_a_decided_document(project: ReviewProject) -> None:
    sample = random_sample(project)
    assert sample.documents == []
    assert estimate_f1(project, sample) is None
    assert compare_models(sample, {}, {}) is None


def test_only_the_random_share_counts(project: ReviewProject) -> None:
    others = [number for number in project.documents if number not in share(project)]
    for number in others:
        finish(project, number)
    assert random_sample(project).documents == []
    for number in share(project):
        finish(project, number, AMES, BO)
    score = estimate_f1(project, random_sample(project))
    assert score is not None
    assert score.value == pytest.approx(2 / 3)
    assert score.interval is not None
    assert score.interval.low <= score.value <= score.interval.high


def test_the_sample_ends_at_the_first_document_that_is_not_decided(
    project: ReviewProject,
) -> None:
    drawn = share(project)
    for number in (drawn[0], drawn[1], drawn[3]):
        finish(project, number, AMES)
    assert [row.id for row in random_sample(project).rows] == drawn[:2]
    project.act("ada", drawn[2], actions.Skip(), revision=0)
    sample = random_sample(project)
    assert [row.id for row in sample.rows] == [drawn[0], drawn[1], drawn[3]]
    assert sample.left_out == 1


def test_a_disputed_document_is_left_out_and_counted(project: ReviewProject) -> None:
    drawn = share(project)
    finish(project, drawn[0], AMES)
    finish(project, drawn[0], BO, reviewer="bo")
    finish(project, drawn[1], AMES)
    sample = random_sample(project)
    assert ([row.id for row in sample.rows], sample.left_out) == ([drawn[1]], 1)
    project.adjudicate("eve", drawn[0], [AMES])
    assert random_sample(project).left_out == 0


def test_two_models_are_compared_in_pairs(project: ReviewProject) -> None:
    for number in share(project):
        finish(project, number, AMES, BO)
    sample = random_sample(project)
    old = {row.id: [AMES] for row in sample.rows}
    new = {row.id: [AMES, BO] for row in sample.rows}
    difference = compare_models(sample, old, new)
    assert difference is not None
    assert difference.a == pytest.approx(2 / 3, abs=1e-6)
    assert difference.b == 1
    assert difference.difference == pytest.approx(1 / 3, abs=1e-6)
    assert difference.p is not None
    assert difference.p < 0.05

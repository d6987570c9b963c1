"""Runs of a learning curve."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from annoseq.errors import OptionError, TrainingError
from annoseq.evaluation.counts import Counts, LabelCount
from annoseq.evaluation.learning_curve import CurveRun
from annoseq.training.curve_runs import (
    CurveRuns,
    curve_sizes,
    plan_subsets,
    read_run,
    write_run,
)
from annoseq.training.run_folder import TrainingRuns
from tests.training.test_held_out import SETTINGS, corpus_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def runs(tmp_path: Path) -> CurveRuns:
    corpus = corpus_of(12)
    folder = TrainingRuns(tmp_path / "curve", "learning curve")
    folder.begin({}, overwrite=False)
    subsets = plan_subsets(corpus, points=2, repeats=1, held_back=0.25, seed=1)
    return CurveRuns(corpus, subsets, SETTINGS, folder)


def test_the_subsets_of_a_repeat_are_nested_and_leave_the_held_back_out() -> None:
    subsets = plan_subsets(corpus_of(40), points=4, repeats=3, held_back=0.2, seed=1)
    assert [len(subset.training) for subset in subsets] == sorted(
        (len(subset.training) for subset in subsets), reverse=True
    )
    held_back = set()
    for repeat in range(3):
        own = [subset for subset in subsets if subset.repeat == repeat]
        assert [len(subset.training) for subset in own] == [32, 16, 8, 4]
        for larger, smaller in pairwise(own):
            assert larger.training[: len(smaller.training)] == smaller.training
        assert len({subset.held_back for subset in own}) == 1
        assert set(own[0].training).isdisjoint(own[0].held_back)
        held_back |= set(own[0].held_back)
    assert len(held_back) == 24  # each repeat holds back other documents


def test_repeats_have_the_same_sizes_where_the_folds_differ_by_one() -> None:
    subsets = plan_subsets(corpus_of(39), points=4, repeats=5, held_back=0.2, seed=1)
    assert len({len(subset.training) for subset in subsets}) == 4


def test_given_documents_are_held_back_from_every_repeat() -> None:
    subsets = plan_subsets(
        corpus_of(16), points=2, repeats=2, held_back=0.2, seed=1, fixed=(0, 1, 2)
    )
    assert {subset.held_back for subset in subsets} == {(0, 1, 2)}
    assert {len(subset.training) for subset in subsets} == {4, 16}


def test_too_few_documents_for_the_points_are_told() -> None:
    with pytest.raises(OptionError) as caught:
        curve_sizes(8, points=8)
    assert str(caught.value) == (
        "--points 8: 8 documents are left to train on, which do not make that many sizes from 4 "
        "on. Give fewer points, or more documents."
    )


def test_every_run_is_trained_once_and_recorded(runs: CurveRuns) -> None:
    seen: list[tuple[int, int]] = []
    runs.work(report=lambda number, run: seen.append((number, run.documents)))
    assert seen == [(1, 9), (2, 4)]
    runs.work(report=lambda number, run: seen.append((number, run.documents)))
    assert len(seen) == 2
    finished = runs.finished()
    assert [run.documents for run in finished] == [9, 4]
    assert [len(run.counts) for run in finished] == [3, 3]
    assert sum(counts["gold"] for counts in finished[0].counts) == 3
    assert not runs.folder.checkpoint(1).exists()


def test_a_run_that_was_lost_is_trained_again_alike(runs: CurveRuns) -> None:
    runs.work(report=lambda number, run: None)
    before = runs.finished()[1]
    runs.folder.record(2).unlink()
    runs.work(report=lambda number, run: None)
    assert runs.finished()[1].counts == before.counts


def test_subsets_without_spans_score_nothing(tmp_path: Path) -> None:
    corpus = corpus_of(8, has_names=False)
    folder = TrainingRuns(tmp_path / "curve", "learning curve")
    folder.begin({}, overwrite=False)
    subsets = plan_subsets(corpus, points=2, repeats=1, held_back=0.25, seed=1)
    runs = CurveRuns(corpus, subsets, SETTINGS, folder)
    runs.work(report=lambda number, run: None)
    assert [run.f1 for run in runs.finished()] == [0, 0]


def test_a_record_comes_back_without_any_text(tmp_path: Path) -> None:
    counts = Counts({"gold": 2, LabelCount("gold", "NAME"): 2})
    run = CurveRun(repeat=1, documents=5, counts=(counts, Counts()), seconds=1.5)
    write_run(run, tmp_path / "run.json")
    assert read_run(tmp_path / "run.json") == run


@pytest.mark.parametrize("content", ["", "[]", '{"repeat": 1}', '{"counts": [[1]]}'])
def test_a_damaged_record_is_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / "001.json"
    path.write_text(content)
    with pytest.raises(TrainingError) as caught:
        read_run(path)
    assert str(caught.value) == (
        f"{path} is damaged. Delete it, and --resume trains this run again."
    )

"""Sample size estimates, and their words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.errors import TableError
from annoseq.evaluation.counts import Counts, LabelCount
from annoseq.evaluation.learning_curve import CurveRun, CurveTotals
from annoseq.evaluation.sample_size import (
    LearningCurve,
    TargetForecast,
    estimate_sample_size,
    read_learning_curve,
)
from annoseq.evaluation.score_file import write_score_file
from tests.evaluation.test_learning_curve import simulated_runs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def results() -> LearningCurve:
    return estimate_sample_size(
        CurveTotals.of(simulated_runs(0), replicates=200),
        documents=160,
        target_f1=0.87,
        target_coverage=0.9,
        minutes_per_document=4,
    )


def test_the_curve_says_what_there_is_and_what_twice_as_much_would_give(
    results: LearningCurve,
) -> None:
    assert results.repeats == 3
    assert [point.documents for point in results.f1.points] == [8, 16, 32, 64, 128]
    assert results.f1.now.documents == 160
    assert results.f1.doubled.documents == 320
    assert results.f1.doubled.score == pytest.approx(0.95 - 1.2 * 320**-0.5, abs=0.03)
    assert results.f1.fitted[-1].documents == 320
    first, needs, *_ = results.statements()
    assert first.startswith("with all 160 documents: F1 0.8")
    assert "; twice the documents: F1 0.8" in first
    assert needs.startswith("F1 0.87 needs about ")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ((470, 360, 810), "needs about 310 more documents (95 %: 200 to 650; about 21 hours of "),
        ((470, 360, None), "needs about 310 more documents (95 %: at least 200; about 21 hours"),
        ((None, 360, None), "is hardly in reach: it needs at least 200 more documents"),
        ((None, None, None), "is not in reach"),
        ((100, 90, 120), "is reached with the documents that there are"),
    ],
)
def test_a_target_is_told_in_words(
    target: tuple[int | None, int | None, int | None], words: str, results: LearningCurve
) -> None:
    documents, low, high = target
    found = TargetForecast(target=0.97, documents=documents, low=low, high=high)
    f1 = results.f1.model_copy(update={"target": found})
    statement = [*results.model_copy(update={"f1": f1}).statements()][1]
    assert statement.startswith(f"F1 0.97 {words}")
    assert statement.endswith(" or is not in reach") == (high is None and documents is not None)


def test_hours_are_told_only_if_minutes_are_known(results: LearningCurve) -> None:
    silent = results.model_copy(update={"minutes_per_document": None})
    assert not any("hour" in statement for statement in silent.statements())


def test_a_label_with_few_spans_has_no_forecast_and_starves() -> None:
    runs = []
    for run in simulated_runs(0):
        rare = Counts(run.counts[0])
        rare[LabelCount("gold", "RARE")] = 1
        runs.append(CurveRun(run.repeat, run.documents, (rare, *run.counts[1:])))
    found = estimate_sample_size(CurveTotals.of(runs, replicates=50), documents=160)
    assert found.labels["RARE"].doubled is None
    assert found.starving() == ["RARE"]
    assert not found.labels["NAME"].is_starving  # it gains what all labels gain


def test_results_come_back_from_their_file(results: LearningCurve, tmp_path: Path) -> None:
    write_score_file(results, tmp_path / "curve.json", overwrite=False)
    assert read_learning_curve(tmp_path) == results


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "curve.json cannot be read: No such file or directory. "),
        ("{}", "curve.json is no learning curve: "),
    ],
)
def test_what_is_no_curve_is_told(content: str | None, problem: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "curve.json").write_text(content)
    with pytest.raises(TableError) as caught:
        read_learning_curve(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}: {problem}")
    assert str(caught.value).endswith("Name the folder that `annoseq curve` wrote.")

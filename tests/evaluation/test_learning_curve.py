"""Learning curves from the counts of runs, and their extrapolation."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from annoseq.data.examples import Example
from annoseq.data.markup import Span
from annoseq.errors import TrainingError
from annoseq.evaluation.counts import Counts, LabelCount
from annoseq.evaluation.learning_curve import (
    COVERAGE,
    CurveRun,
    CurveScores,
    CurveTotals,
    count_document,
    forecast,
)

SIZES = (8, 16, 32, 64, 128)
DOCUMENTS = 25


def truth(documents: float) -> float:
    """Return the score of a curve that the runs of `simulated_runs` are drawn from."""
    return 0.95 - 1.2 / sqrt(documents)


def simulated_runs(seed: int, *, repeats: int = 3) -> list[CurveRun]:
    """Draw runs whose documents have ten spans each, of two labels."""
    generator = np.random.default_rng(seed)
    runs = []
    for repeat in range(repeats):
        for size in SIZES:
            score = truth(size) + generator.normal(0, 0.01)
            counts = []
            for correct in generator.binomial(10, score, DOCUMENTS).tolist():
                document = Counts({"identifiers": 10, "covered": correct})
                for name, value in (("correct", correct), ("predicted", 10), ("gold", 10)):
                    document[name] = value
                    document[LabelCount(name, "NAME")] = value
                counts.append(document)
            runs.append(CurveRun(repeat, size, tuple(counts)))
    return runs


def test_a_document_is_counted_by_label_and_by_coverage() -> None:
    text = "Ada Ames of Bonn"
    gold = (Span(0, 8, "NAME"), Span(12, 16, "CITY"))
    example = Example(text, "", gold, 1)
    found = [Span(0, 3, "NAME"), Span(12, 16, "CITY")]
    counts = count_document([example], [found], [found])
    assert counts == {
        "correct": 1,
        "predicted": 2,
        "gold": 2,
        LabelCount("correct", "NAME"): 0,
        LabelCount("predicted", "NAME"): 1,
        LabelCount("gold", "NAME"): 1,
        LabelCount("correct", "CITY"): 1,
        LabelCount("predicted", "CITY"): 1,
        LabelCount("gold", "CITY"): 1,
        "identifiers": 2,
        "covered": 1,
    }


def test_the_scores_are_those_of_the_summed_counts() -> None:
    totals = CurveTotals.of(simulated_runs(0), replicates=50)
    scores = totals.scores()
    assert scores.documents.tolist() == list(SIZES)
    assert (scores.scores.shape, scores.replicates.shape) == ((3, 5), (50, 3, 5))
    assert scores.scores[0] == pytest.approx([truth(size) for size in SIZES], abs=0.1)
    assert totals.labels == ["NAME"]
    assert totals.gold("NAME") == 10 * DOCUMENTS
    assert totals.scores(COVERAGE).scores == pytest.approx(scores.scores)
    assert totals.scores("NAME").scores == pytest.approx(scores.scores)


def test_all_runs_of_a_repeat_have_the_same_replicates() -> None:
    run = simulated_runs(0)[0]
    twins = [CurveRun(0, size, run.counts) for size in SIZES]
    replicates = CurveTotals.of(twins, replicates=20).scores().replicates
    assert np.ptp(replicates, axis=2).max() == 0
    assert np.ptp(replicates, axis=0).min() > 0


def test_a_missing_run_is_told() -> None:
    with pytest.raises(TrainingError) as caught:
        CurveTotals.of(simulated_runs(0)[:-1], replicates=10).scores()
    assert str(caught.value) == (
        "14 runs are not 3 repeats of the same 5 sizes. Train the missing ones with --resume."
    )


def test_the_interval_holds_about_what_it_says() -> None:
    held = 0
    for seed in range(20):
        found = forecast(CurveTotals.of(simulated_runs(seed), replicates=100).scores())
        estimate = found.score_at(256)
        held += estimate.low <= truth(256) <= estimate.high
        assert estimate.low <= estimate.value <= estimate.high
    assert 18 <= held <= 20


def test_more_documents_have_a_wider_interval() -> None:
    found = forecast(CurveTotals.of(simulated_runs(1), replicates=200).scores())
    widths = [found.score_at(size).high - found.score_at(size).low for size in (128, 256)]
    assert widths == sorted(widths)


def test_the_documents_for_a_score_agree_with_the_score_at_them() -> None:
    found = forecast(CurveTotals.of(simulated_runs(2), replicates=400).scores())
    needed = found.documents_for(0.86)
    assert needed.low <= needed.value <= needed.high
    assert found.score_at(needed.value).value == pytest.approx(0.86, abs=0.01)
    assert found.documents_for(1.1).value == np.inf


def test_one_repeat_takes_its_noise_from_the_steps_of_the_curve() -> None:
    sizes = np.array(SIZES, dtype=np.float64)
    scores = np.array([[0.5, 0.6, 0.7, 0.8, 0.9]])
    smooth = forecast(CurveScores(sizes, scores, np.repeat(scores[None], 50, axis=0)))
    assert smooth.noise == pytest.approx(0)
    rough = scores + np.array([[0.02, -0.02, 0.02, -0.02, 0.02]])
    assert forecast(CurveScores(sizes, rough, np.repeat(rough[None], 50, axis=0))).noise > 0.2


def test_the_same_runs_have_the_same_forecast() -> None:
    one, other = (
        forecast(CurveTotals.of(simulated_runs(3), replicates=100).scores()).score_at(300)
        for _ in range(2)
    )
    assert one == other

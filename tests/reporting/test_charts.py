from __future__ import annotations

import pytest

from annoseq.evaluation.learning_curve import CurveTotals
from annoseq.evaluation.sample_size import estimate_sample_size
from annoseq.models.model_config import EpochRecord, TrainingHistory
from annoseq.reporting.charts import HEIGHT, WIDTH, draw_charts, draw_learning_curve
from tests.evaluation.test_learning_curve import simulated_runs
from tests.reporting.samples import sample_history


def test_lines_go_through_the_values_of_steps_and_epochs() -> None:
    loss, rate, scores = draw_charts(sample_history())
    assert [line.name for line in loss.lines] == ["training", "validation"]
    assert loss.lines[0].points == "75.0,0.0 150.0,40.0 225.0,80.0 300.0,120.0"
    assert loss.lines[1].points == "150.0,20.0 300.0,100.0"
    assert loss.lines[1].values == "3.5, 1.5"
    assert (loss.low, loss.high, loss.x_label) == ("0", "4", "1,200 steps")
    assert (rate.high, rate.lines[0].points.split()[1]) == ("0.002", "150.0,0.0")
    assert [line.name for line in scores.lines] == ["span precision", "span f1"]
    assert (scores.low, scores.high, scores.x_label) == ("0", "1", "epochs 3 to 4")


@pytest.mark.parametrize("losses", [(), (-1.0,), (0.0, 0.0)])
def test_short_and_odd_curves_stay_within_the_drawing(losses: tuple[float, ...]) -> None:
    one = EpochRecord(epoch=1, train_loss=0.0, valid_loss=-2.0, scores={})
    history = TrainingHistory(epochs=(one,), steps=len(losses), losses=losses, rates=losses)
    for chart in draw_charts(history):
        for line in chart.lines:
            for point in line.points.split():
                x, y = map(float, point.split(","))
                assert 0 <= x <= WIDTH
                assert 0 <= y <= HEIGHT


def test_a_run_that_ended_before_its_first_epoch() -> None:
    charts = draw_charts(TrainingHistory(epochs=(), steps=0, losses=(), rates=()))
    assert [chart.x_label for chart in charts] == ["0 steps", "0 steps", "no epoch"]


def test_a_learning_curve_is_drawn_from_its_first_point_to_twice_the_documents() -> None:
    totals = CurveTotals.of(simulated_runs(0), replicates=20)
    chart = draw_learning_curve(estimate_sample_size(totals, documents=160))
    assert chart.x_label == "documents: 8 to 320, logarithmic"
    assert [line.name for line in chart.lines] == [
        *("F1, fitted", "F1, measured", "coverage, fitted", "coverage, measured")
    ]
    assert chart.lines[0].points.split()[0].startswith("0.0,")
    assert chart.lines[0].points.split()[-1].startswith(f"{WIDTH}.0,")

"""Picture of a learning curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.evaluation.learning_curve import CurveTotals
from annoseq.evaluation.sample_size import estimate_sample_size
from annoseq.reporting.curve_plot import plot_learning_curve
from tests.evaluation.test_learning_curve import SIZES, simulated_runs

if TYPE_CHECKING:
    from pathlib import Path


def test_the_picture_has_both_scores_and_a_target(tmp_path: Path) -> None:
    totals = CurveTotals.of(simulated_runs(0), replicates=20)
    results = estimate_sample_size(totals, documents=160, target_f1=0.9)
    figure = plot_learning_curve(results, path=tmp_path / "curve.svg")
    (axes,) = figure.axes
    labels = [text.get_text() for text in axes.get_legend().get_texts()]  # type: ignore[union-attr]
    assert [label.partition(",")[0] for label in labels] == ["span F1", "coverage"]
    assert axes.get_xlim()[0] < SIZES[0]
    assert axes.get_xlim()[1] > 320
    assert (tmp_path / "curve.svg").read_text().startswith("<?xml")

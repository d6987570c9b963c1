"""Forms of learning curves, fitted by least squares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.optimize import least_squares

from annoseq.evaluation.curve_fit import FORMS, choose_curves, fit_curves, rank_weights

if TYPE_CHECKING:
    from annoseq.evaluation.counts import Array
    from annoseq.evaluation.curve_fit import CurveForm

SIZES = np.array([10.0, 16, 25, 40, 63, 100, 160, 200])
MORE = 400.0


def curve(form: CurveForm, documents: Array | float) -> Array:
    """Return the scores of a curve of each form."""
    n = np.asarray(documents, dtype=np.float64)
    scores: dict[CurveForm, Array] = {
        "power law": 0.95 - 0.9 * n**-0.6,
        "exponential": 0.9 - 0.5 * np.exp(-n / 80),
        "logarithmic": 0.4 + 0.08 * np.log(n),
    }
    return scores[form]


@pytest.mark.parametrize("form", FORMS)
def test_a_curve_of_a_form_is_found_again(form: CurveForm) -> None:
    scores = np.stack([curve(form, SIZES), curve(form, SIZES) - 0.1])
    fitted = fit_curves(form, SIZES, scores, rank_weights(len(SIZES)))
    assert fitted.predict(MORE) == pytest.approx(curve(form, MORE) - [0, 0.1], abs=0.006)


@pytest.mark.parametrize("form", FORMS)
def test_the_form_that_made_the_points_is_chosen(form: CurveForm) -> None:
    scores = curve(form, SIZES)[None, :]
    chosen = choose_curves(SIZES, scores)
    # A slow exponential is nearly a logarithm where it was seen.
    assert np.abs(chosen.errors[FORMS.index(form), 0]) < 0.005
    assert abs(chosen.errors[chosen.choice[0], 0]) == np.abs(chosen.errors).min()


def test_the_squared_error_is_about_that_of_an_outside_optimizer() -> None:
    generator = np.random.default_rng(0)
    scores = np.clip(curve("power law", SIZES) + generator.normal(0, 0.02, len(SIZES)), 0, 1)
    weights = rank_weights(len(SIZES))

    def residuals(parameters: Array) -> Array:
        a, b, c = parameters
        found: Array = np.sqrt(weights) * (a - b * SIZES**-c - scores)
        return found

    outside = least_squares(residuals, (0.9, 1.0, 0.5), bounds=((0, 0, 0.05), (1, np.inf, 2)))
    fitted = fit_curves("power law", SIZES, scores[None, :], weights)
    ours = residuals(np.array([fitted.a[0], fitted.b[0], fitted.c[0]]))
    assert (ours**2).sum() == pytest.approx(2 * outside.cost, rel=0.05)


def test_scores_that_fall_are_fitted_by_their_mean() -> None:
    scores = np.linspace(0.9, 0.5, len(SIZES))[None, :]
    fitted = fit_curves("power law", SIZES, scores, np.ones(len(SIZES)))
    assert fitted.predict(1000.0) == pytest.approx([0.7])
    assert fitted.documents_for(0.6).tolist() == [0.0]
    assert fitted.documents_for(0.8).tolist() == [np.inf]


@pytest.mark.parametrize("form", FORMS)
def test_no_curve_leaves_the_range_of_a_score(form: CurveForm) -> None:
    scores = np.linspace(0.1, 0.99, len(SIZES))[None, :]
    fitted = fit_curves(form, SIZES, scores, np.ones(len(SIZES)))
    for size in (1.0, 1e3, 1e9):
        assert 0 <= fitted.predict(size)[0] <= 1
    if form != "logarithmic":
        assert fitted.a[0] <= 1


@pytest.mark.parametrize("form", FORMS)
def test_the_documents_for_a_score_have_that_score(form: CurveForm) -> None:
    fitted = fit_curves(form, SIZES, curve(form, SIZES)[None, :], rank_weights(len(SIZES)))
    needed = fitted.documents_for(0.85)
    assert fitted.predict(float(needed[0])) == pytest.approx([0.85], abs=1e-6)


def test_a_score_above_the_asymptote_needs_infinitely_many_documents() -> None:
    scores = curve("exponential", SIZES)[None, :]
    fitted = fit_curves("exponential", SIZES, scores, rank_weights(len(SIZES)))
    assert fitted.documents_for(0.99).tolist() == [np.inf]

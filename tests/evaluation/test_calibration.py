from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from annoseq.errors import OptionError
from annoseq.evaluation.calibration import (
    BinTotals,
    Calibration,
    Method,
    expected_calibration_error,
)

METHODS: tuple[Method, ...] = ("temperature", "isotonic")


def error(scores: list[float], correct: list[bool]) -> float:
    return float(expected_calibration_error(BinTotals.of_spans(scores, correct)))


def overconfident(count: int, *, seed: int) -> tuple[list[float], list[bool]]:
    """Scores whose log-odds are twice what they should be."""
    random = np.random.default_rng(seed)
    odds = random.normal(1, 1.5, count)
    right = random.uniform(size=count) < 1 / (1 + np.exp(-odds))
    return (1 / (1 + np.exp(-2 * odds))).tolist(), right.tolist()


def test_the_temperature_that_was_put_in_is_found() -> None:
    fitted = Calibration.fit(*overconfident(20_000, seed=1))
    assert fitted.temperature == pytest.approx(2, rel=0.05)
    assert fitted.spans == 20_000


@pytest.mark.parametrize("method", METHODS)
def test_scores_become_probabilities_on_unseen_spans(method: Method) -> None:
    fitted = Calibration.fit(*overconfident(4000, seed=1), method=method)
    scores, right = overconfident(4000, seed=2)
    before = error(scores, right)
    after = error(fitted.apply(scores).tolist(), right)
    assert before > 0.06
    assert after < 0.025


@pytest.mark.parametrize("method", METHODS)
def test_a_higher_score_never_becomes_a_lower_probability(method: Method) -> None:
    fitted = Calibration.fit(*overconfident(300, seed=3), method=method)
    curve = fitted.apply(np.linspace(0, 1, 50).tolist())
    assert (np.diff(curve) >= 0).all()
    assert curve.min() >= 0
    assert curve.max() <= 1


@pytest.mark.parametrize("method", METHODS)
def test_it_is_kept_as_json(method: Method) -> None:
    fitted = Calibration.fit(*overconfident(50, seed=3), method=method)
    again = Calibration.model_validate_json(fitted.model_dump_json())
    assert again == fitted
    assert again.apply([0.3, 0.9]).tolist() == fitted.apply([0.3, 0.9]).tolist()
    with pytest.raises(ValidationError):
        Calibration.model_validate_json('{"method": "other"}')


def test_isotonic_regression_by_hand() -> None:
    fitted = Calibration.fit(
        [0.1, 0.2, 0.3, 0.4, 0.5], [False, True, False, True, True], method="isotonic"
    )
    assert fitted.scores == pytest.approx((0.1, 0.25, 0.45))
    assert fitted.probabilities == pytest.approx((0, 0.5, 1))
    assert fitted.apply([0.0, 0.25, 0.35, 1.0]).tolist() == pytest.approx([0, 0.5, 0.75, 1])


def test_equal_scores_are_one_point() -> None:
    fitted = Calibration.fit([0.5] * 4, [False, True, True, True], method="isotonic")
    assert (fitted.scores, fitted.probabilities) == ((0.5,), (0.75,))


@pytest.mark.parametrize(
    ("scores", "right", "found"),
    [
        ([], [], "0 spans, with 0 right"),
        ([0.5], [True], "1 span, with 1 right"),
        ([0.5, 0.6], [False, False], "2 spans, with 0 right"),
    ],
)
def test_spans_of_one_kind_show_nothing(scores: list[float], right: list[bool], found: str) -> None:
    with pytest.raises(OptionError) as caught:
        Calibration.fit(scores, right)
    assert str(caught.value) == (
        f"the scores of {found}, do not show how scores relate to being right. "
        "Give spans of both kinds, some hundreds of them."
    )


def test_no_spans_have_no_error() -> None:
    assert error([], []) == 0
    assert error([1.0, 0.0], [True, False]) == 0

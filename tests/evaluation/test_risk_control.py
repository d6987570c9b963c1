"""Risk control: p-values against scipy and simulation, and bounds that hold."""

from __future__ import annotations

import importlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm
from scipy.stats import t as student

from annoseq.evaluation.risk_control import (
    betting_p_value,
    binomial_p_value,
    clustered_p_value,
    conformal_risk_control,
    learn_then_test,
    p_value,
    units_needed,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


@given(st.integers(1, 400), st.integers(0, 400), st.sampled_from([0.001, 0.02, 0.3, 0.9, 1.0]))
def test_the_binomial_p_value_is_scipys(units: int, failures: int, risk: float) -> None:
    expected = binom.cdf(min(failures, units), units, risk)
    assert binomial_p_value(failures, units=units, risk=risk) == pytest.approx(expected, rel=1e-9)


@pytest.fixture(scope="module")
def mapie() -> Any:
    """MAPIE's risk control, another implementation of both papers."""
    pytest.importorskip("mapie", reason="needs MAPIE: pip install 'annoseq[dev]'")
    return importlib.import_module("mapie.risk_control")


@pytest.fixture(scope="module")
def falling_losses() -> NDArray[np.float64]:
    """Shares of missed identifiers (T, U) of 120 documents, the threshold that marks most first."""
    generator = np.random.default_rng(11)
    scores = generator.normal(3 - generator.exponential(0.8, (120, 1)), 1.0, (120, 23))
    return np.array([(scores < threshold).mean(1) for threshold in np.linspace(-3, 3, 61)])


@pytest.mark.parametrize("risk", [0.05, 0.2])
def test_exact_p_values_and_the_threshold_are_those_of_mapie(
    risk: float, mapie: Any, falling_losses: NDArray[np.float64]
) -> None:
    losses = (falling_losses > 0.2).astype(np.float64)
    ours = [p_value(row, risk=risk, delta=0.1) for row in losses]
    theirs = mapie.methods.compute_hoeffding_bentkus_p_value(
        losses.mean(1), losses.shape[1], risk, binary=True
    )[:, 0]
    assert ours == pytest.approx(theirs, rel=1e-9)
    rejected = mapie.control_fwer(theirs, 0.1, "fixed_sequence")
    assert learn_then_test(losses, risk=risk, delta=0.1) == rejected[-1]
    assert rejected.tolist() == list(range(len(rejected)))


@pytest.mark.parametrize("risk", [0.02, 0.1, 0.3])
def test_conformal_risk_control_is_that_of_mapie(
    risk: float, mapie: Any, falling_losses: NDArray[np.float64]
) -> None:
    indices = np.arange(len(falling_losses))
    _, bounds = mapie.methods.get_r_hat_plus(
        falling_losses.T, indices, method="crc", bound=None, delta=None, sigma_init=None
    )
    theirs = mapie.methods.find_best_predict_param(indices, bounds, np.array([risk]))
    assert conformal_risk_control(falling_losses, risk=risk) == int(theirs[0])


def test_betting_certifies_more_than_hoeffding_and_bentkus(
    mapie: Any, falling_losses: NDArray[np.float64]
) -> None:
    theirs = mapie.methods.compute_hoeffding_bentkus_p_value(falling_losses.mean(1), 120, 0.05)
    rejected = mapie.control_fwer(theirs[:, 0], 0.1, "fixed_sequence")
    ours = learn_then_test(falling_losses, risk=0.05, delta=0.1)
    assert ours is not None
    assert ours > rejected[-1]


@pytest.mark.parametrize("clusters", [10, 100])
def test_clusters_count_for_as_many_items_as_tell_something(clusters: int) -> None:
    shrink = (norm.ppf(0.9) / student.ppf(0.9, clusters - 1)) ** 2
    effective = 1_000 / 2.5 * shrink
    found = clustered_p_value(
        12, items=1_000, clusters=clusters, design_effect=2.5, risk=0.03, delta=0.1
    )
    expected = binom.cdf(math.ceil(12 * effective / 1_000), math.floor(effective), 0.03)
    assert found == pytest.approx(expected, rel=1e-9)


def test_of_few_clusters_nothing_is_known() -> None:
    few = clustered_p_value(0, items=999, clusters=4, design_effect=1.0, risk=0.1, delta=0.1)
    assert few == 1.0


def test_without_a_loss_the_exact_p_value_is_that_of_no_failure() -> None:
    assert p_value(np.zeros(59), risk=0.05, delta=0.05) == pytest.approx(0.95**59)
    assert p_value(np.array([]), risk=0.05, delta=0.05) == 1.0


@pytest.mark.parametrize("spread", ["rare", "even"])
def test_a_bet_on_a_risk_that_holds_is_seldom_won(spread: str) -> None:
    generator, risk, delta = np.random.default_rng(3), 0.05, 0.1
    won = 0
    for _ in range(2_000):
        if spread == "rare":  # a twentieth of the units lose all that they have
            losses = (generator.random(150) < risk) * generator.choice([0.999, 1.0], 150)
        else:
            losses = generator.random(150) * 2 * risk
        won += betting_p_value(losses, risk=risk * 0.999, delta=delta) <= delta
    assert won / 2_000 <= delta + 2 * math.sqrt(delta * (1 - delta) / 2_000)


def test_a_small_variance_needs_few_units() -> None:
    losses = np.where(np.arange(250) % 10 == 0, 0.07, 0.0)  # mean .007
    assert p_value(losses, risk=0.02, delta=0.05) <= 0.05
    # Hoeffding's bound would need more.
    divergence = 0.993 * math.log(0.993 / 0.98) + 0.007 * math.log(0.007 / 0.02)
    assert math.exp(-250 * divergence) > 0.15


def test_thresholds_are_tested_in_their_order_until_the_first_that_fails() -> None:
    losses = np.array([[0.0] * 100, [1.0] * 1 + [0.0] * 99, [1.0] * 60 + [0.0] * 40, [0.0] * 100])
    assert learn_then_test(losses, risk=0.1, delta=0.05) == 1
    assert learn_then_test(losses[2:], risk=0.1, delta=0.05) is None
    assert learn_then_test(losses[:0], risk=0.1, delta=0.05) is None


def test_the_expected_risk_allows_for_one_further_unit() -> None:
    losses = np.array([[0.0] * 99, [1.0] * 4 + [0.0] * 95, [1.0] * 5 + [0.0] * 94])
    assert conformal_risk_control(losses, risk=0.05) == 1
    assert conformal_risk_control(losses, risk=0.009) is None


def test_the_number_of_units_is_told_if_there_is_one() -> None:
    few = np.zeros(10)
    needed = units_needed(few, risk=0.05, delta=0.05)
    assert needed == 59
    assert p_value(np.zeros(needed), risk=0.05, delta=0.05) <= 0.05
    assert units_needed(np.full(10, 0.05), risk=0.05, delta=0.05) is None
    assert units_needed(np.full(10, 0.0499999), risk=0.05, delta=0.05) is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(0.001, 0.5))
def test_p_values_are_probabilities(losses: list[float], risk: float) -> None:
    assert 0 <= p_value(np.array(losses), risk=risk, delta=0.05) <= 1

from __future__ import annotations

from math import exp

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from annoseq.decoding.logits_processors import apply_temperature, apply_top_k, apply_top_p

INF = float("inf")
NO_HURRY = settings(deadline=None)
_scores = st.lists(
    st.integers(-36, 0).map(lambda n: n / 4) | st.just(-INF), min_size=1, max_size=9
).filter(lambda row: max(row) > -INF)


def scores_of(*probabilities: float) -> torch.Tensor:
    return torch.tensor([probabilities], dtype=torch.double).log()


def kept(scores: torch.Tensor) -> list[list[bool]]:
    found: list[list[bool]] = (scores > -INF).tolist()
    return found


def shares(row: list[float]) -> list[float]:
    total = sum(map(exp, row))
    return [exp(one) / total for one in row]


@NO_HURRY
@given(row=_scores, temperature=st.floats(0.05, 20))
def test_a_temperature_is_a_power_of_probabilities(row: list[float], temperature: float) -> None:
    found = (
        apply_temperature(torch.tensor([row], dtype=torch.double), temperature)
        .softmax(-1)[0]
        .tolist()
    )
    powers = [share ** (1 / temperature) for share in shares(row)]
    assert found == pytest.approx([power / sum(powers) for power in powers], abs=1e-9)


@pytest.mark.parametrize("temperature", [1e-3, 1e-100, 1e-300])
def test_a_very_low_temperature_keeps_only_the_best(temperature: float) -> None:
    found = apply_temperature(scores_of(0.2, 0.41, 0.39), temperature)
    assert found.softmax(-1)[0].tolist() == pytest.approx([0, 1, 0])


@NO_HURRY
@given(row=_scores, k=st.integers(1, 12))
def test_top_k_keeps_the_k_best(row: list[float], k: int) -> None:
    assume(len(set(row)) == len(row) or k >= len(row))
    (found,) = apply_top_k(torch.tensor([row], dtype=torch.double), k).tolist()
    best = sorted(row, reverse=True)[:k]
    assert found == [one if one in best else -INF for one in row]


def test_of_equal_scores_top_k_keeps_no_more_than_k() -> None:
    assert sum(kept(apply_top_k(scores_of(0.25, 0.25, 0.25, 0.25), 2))[0]) == 2


@NO_HURRY
@given(row=_scores, p=st.floats(0.01, 1))
def test_the_nucleus_is_the_fewest_that_reach_p(row: list[float], p: float) -> None:
    order = sorted(range(len(row)), key=lambda place: -row[place])
    mass, nucleus = 0.0, set[int]()
    for place in order:
        assume(abs(mass - p) > 1e-6)  # where rounding decides
        if mass < p:
            nucleus.add(place)
        mass += shares(row)[place]
    lowest = min(row[place] for place in nucleus)
    assume(all(row[place] < lowest for place in order if place not in nucleus))
    (found,) = apply_top_p(torch.tensor([row], dtype=torch.double), p).tolist()
    if p == 1:
        nucleus = set(order)
    assert found == [one if place in nucleus else -INF for place, one in enumerate(row)]


@pytest.mark.parametrize("p", [1e-12, 0.1, 0.5])
def test_a_small_nucleus_keeps_only_the_best(p: float) -> None:
    assert kept(apply_top_p(scores_of(0.2, 0.6, 0.2), p)) == [[False, True, False]]


def test_full_top_p_and_full_top_k_change_nothing() -> None:
    scores = scores_of(0.5, 0, 0.3, 0.2)
    assert torch.equal(apply_top_p(scores, 1), scores)
    assert torch.equal(apply_top_k(scores, 4), scores)
    assert torch.equal(apply_top_k(scores, 400), scores)


def test_masked_tokens_stay_masked() -> None:
    scores = scores_of(0.5, 0, 0.5, 0)
    for filtered in (
        apply_temperature(scores, 0.1),
        apply_top_k(scores, 3),
        apply_top_p(scores, 0.999),
    ):
        assert kept(filtered) == [[True, False, True, False]]


def test_rows_are_processed_independently() -> None:
    scores = torch.cat([scores_of(0.7, 0.2, 0.1), scores_of(0.1, 0.2, 0.7)])
    assert kept(apply_top_k(scores, 1)) == [[True, False, False], [False, False, True]]
    assert kept(apply_top_p(scores, 0.8)) == [[True, True, False], [False, True, True]]


def test_processors_compose_and_renormalise() -> None:
    scores = scores_of(0.4, 0.3, 0.2, 0.1)
    # Of the three best, 0.4 and 0.3 make up 7/9.
    both = apply_top_p(apply_top_k(scores, 3), 0.75)
    assert both.softmax(-1)[0].tolist() == pytest.approx([4 / 7, 3 / 7, 0, 0])
    assert kept(apply_top_p(scores, 0.75)) == [[True, True, True, False]]


@NO_HURRY
@given(row=_scores, shift=st.floats(-50, 50), k=st.integers(1, 9))
def test_logits_and_log_probabilities_give_the_same(row: list[float], shift: float, k: int) -> None:
    assume(len(set(row)) == len(row))
    scores = torch.tensor([row], dtype=torch.double)
    for one, other in (
        (apply_top_k(scores, k), apply_top_k(scores + shift, k)),
        (apply_temperature(scores, 2), apply_temperature(scores + shift, 2)),
    ):
        torch.testing.assert_close(one.softmax(-1), other.softmax(-1))
    (best,) = kept(apply_top_p(scores + shift, 1e-9))
    assert best == [one == max(row) for one in row]

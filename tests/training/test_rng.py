from __future__ import annotations

import pytest
import torch

from annoseq.training.rng import RngState

CPU = torch.device("cpu")


def drawn(randomness: RngState, *, keep: bool = True) -> list[float]:
    with randomness.use(keep=keep):
        values: list[float] = torch.rand(3).tolist()
    return values


def test_it_goes_on_where_it_was() -> None:
    randomness = RngState(1, CPU)
    first, second = drawn(randomness), drawn(randomness)
    assert first != second
    again = RngState(1, CPU)
    assert [drawn(again), drawn(again)] == [first, second]
    assert drawn(RngState(2, CPU)) != first


def test_what_is_not_kept_is_drawn_again() -> None:
    randomness = RngState(1, CPU)
    first = drawn(randomness, keep=False)
    assert drawn(randomness) == first
    assert drawn(randomness) != first


def test_an_error_within_the_block_keeps_nothing() -> None:
    randomness, before = RngState(1, CPU), torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), randomness.use():
        torch.rand(5).tolist()[0] / 0
    assert torch.equal(torch.get_rng_state(), before)
    assert drawn(randomness) == drawn(RngState(1, CPU))


def test_it_neither_disturbs_nor_is_disturbed() -> None:
    before = torch.get_rng_state()
    randomness = RngState(1, CPU)
    first = drawn(randomness)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert drawn(RngState(1, CPU)) == first


def test_its_states_can_be_put_back() -> None:
    randomness = RngState(1, CPU)
    drawn(randomness)
    states = randomness.states
    second = drawn(randomness)
    randomness.states = states
    assert drawn(randomness) == second

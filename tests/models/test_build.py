from __future__ import annotations

import torch

from tests.tiny import same_weights, tiny_network


def test_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    one = tiny_network(seed=5)
    torch.manual_seed(2)
    torch.rand(3)
    assert same_weights(one, tiny_network(seed=5))
    assert not same_weights(one, tiny_network(seed=6))


def test_what_others_draw_is_not_disturbed() -> None:
    before = torch.get_rng_state()
    tiny_network(seed=5)
    assert torch.equal(torch.get_rng_state(), before)

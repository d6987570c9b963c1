from __future__ import annotations

import torch
from torch import nn

from annoseq.training.checkpoint import BestCheckpoint
from tests.tiny import tiny_network


def offered(*values: float) -> tuple[BestCheckpoint, list[int]]:
    """Offer values epoch by epoch, the weights being the epoch's number; return the epochs kept."""
    best, network, kept = BestCheckpoint(), nn.Linear(1, 1), []
    for epoch, value in enumerate(values, 1):
        nn.init.constant_(network.weight, epoch)
        best.offer(value, loss=1.0, epoch=epoch, network=network)
        kept.append(best.epoch)
        assert float(best.weights["weight"]) == best.epoch
    return best, kept


def test_the_highest_value_is_kept_and_of_equals_the_first() -> None:
    best, kept = offered(0.0, 0.2, 0.1, 0.2, 0.3, 0.3)
    assert kept == [1, 2, 2, 2, 5, 5]
    assert (best.value, best.epoch) == (0.3, 5)


def test_of_equals_the_one_with_the_lowest_loss_is_kept() -> None:
    best = BestCheckpoint()
    for epoch, (value, loss) in enumerate([(0.0, 3.0), (0.0, 2.0), (0.0, 2.5), (0.1, 9.0)], 1):
        best.offer(value, loss=loss, epoch=epoch, network=nn.Linear(1, 1))
        assert best.epoch == {3: 2}.get(epoch, epoch)


def test_before_the_first_there_is_none() -> None:
    assert (BestCheckpoint().epoch, BestCheckpoint().weights) == (0, {})


def test_what_is_kept_does_not_change_with_the_network() -> None:
    network = tiny_network()
    best, before = BestCheckpoint(), torch.clone(network.target.embedding.weight.detach())
    best.offer(0.5, loss=1.0, epoch=1, network=network)
    with torch.no_grad():
        for weights in network.parameters():
            weights.zero_()
    assert torch.equal(best.weights["target.embedding.weight"], before)
    network.load_state_dict(best.weights)
    assert torch.equal(network.target.embedding.weight, before)


def test_weights_with_two_names_are_kept_once() -> None:
    best = BestCheckpoint()
    best.offer(0.5, loss=1.0, epoch=1, network=tiny_network())
    one, other = (best.weights[f"target.{name}.weight"] for name in ("embedding", "output"))
    assert one.data_ptr() == other.data_ptr()


def test_its_state_makes_it_again() -> None:
    best, _ = offered(0.1, 0.3, 0.2)
    again = BestCheckpoint(**best.state())
    assert (again.value, again.epoch, again.weights) == (0.3, 2, best.weights)

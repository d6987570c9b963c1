from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from annoseq.config import TrainingConfig
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding
from annoseq.tokenization.vocabulary import BEGIN, PAD
from annoseq.training.losses import padded_loss
from annoseq.training.objectives import Seq2SeqObjective
from tests.tiny import (
    STILL,
    STILL_ATTENTION,
    TINY_ATTENTION,
    batch_of,
    same_weights,
    target_of,
    tiny_network,
)

if TYPE_CHECKING:
    from torch import Tensor

    from annoseq.config import AnyNetworkConfig
    from annoseq.tokenization.batching import Batch

ROWS = [
    Seq2SeqEncoding([4, 5, 6, 7], [8, 9]),
    Seq2SeqEncoding([5], [4, 4, 4, 7, 8]),
    Seq2SeqEncoding([], []),
]
every_network = pytest.mark.parametrize("config", [STILL, STILL_ATTENTION], ids=["gru", "attn"])


def objective(config: AnyNetworkConfig = STILL_ATTENTION, **training: Any) -> Seq2SeqObjective:
    return Seq2SeqObjective(tiny_network(config), TrainingConfig(**training))


def forced_logits(ours: Seq2SeqObjective, batch: Batch) -> Tensor:
    """Step by step, the target's tokens fed."""
    network, target = ours.network, target_of(batch)
    state, scores = network.start(batch), []
    for column in F.pad(target, (1, -1), value=BEGIN).unbind(1):
        state = network.step(state, column)
        scores.append(network.target.logits(network.decoder_output(state)))
    return torch.stack(scores, dim=1)


@every_network
@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_over_tokens_it_is_the_cross_entropy_without_padding(
    config: AnyNetworkConfig, label_smoothing: float
) -> None:
    ours = objective(config, loss="token", label_smoothing=label_smoothing)
    batch = batch_of(ROWS)
    loss = ours(batch, forcing=1.0)
    expected = F.cross_entropy(
        forced_logits(ours, batch).flatten(0, 1),
        target_of(batch).flatten(),
        ignore_index=PAD,
        label_smoothing=label_smoothing,
    )
    torch.testing.assert_close(loss.total / loss.positions, expected)
    expected_positions = sum(len(row.target) + 1 for row in ROWS)
    assert loss.positions == ours.positions(batch) == expected_positions


@every_network
def test_padded_it_is_the_notebooks(config: AnyNetworkConfig) -> None:
    ours, batch = objective(config, loss="padded"), batch_of(ROWS)
    loss = ours(batch, forcing=1.0)
    expected = padded_loss(forced_logits(ours, batch), target_of(batch))
    torch.testing.assert_close(loss.total / loss.positions, expected)
    assert loss.positions == ours.positions(batch) == target_of(batch).numel()


@every_network
def test_every_weight_learns(config: AnyNetworkConfig) -> None:
    for forcing in (0.0, 0.5, 1.0):
        ours = objective(config, loss="token")
        ours(batch_of(ROWS), forcing=forcing).total.backward()
        for name, parameter in ours.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.any(), (name, forcing)


def test_its_weights_are_the_networks() -> None:
    ours = objective()
    assert list(ours.parameters()) == list(ours.network.parameters())
    assert same_weights(ours.network, tiny_network(STILL_ATTENTION))


@every_network
def test_how_likely_the_target_is_fed_makes_a_difference(config: AnyNetworkConfig) -> None:
    ours, batch = objective(config, loss="token"), batch_of(ROWS)
    forced, free = (float(ours(batch, forcing=rate).total.detach()) for rate in (1.0, 0.0))
    assert forced != pytest.approx(free, rel=1e-4)


@every_network
def test_running_freely_it_is_the_loss_of_its_own_output(config: AnyNetworkConfig) -> None:
    ours, batch = objective(config, loss="token"), batch_of(ROWS)
    loss, output = ours.run_freely(batch)
    again = ours(batch, forcing=0.0)
    assert loss.positions == again.positions
    torch.testing.assert_close(loss.total, again.total.detach())
    assert output.shape == target_of(batch).shape
    network, last = ours.network, torch.full((len(ROWS),), BEGIN)
    state = network.start(batch)
    for column in output.unbind(1):
        state = network.step(state, last)
        last = network.scores(state).argmax(-1)
        assert torch.equal(column, last)


def test_running_freely_it_is_not_smoothed() -> None:
    batch = batch_of(ROWS)
    plain, smoothed = (
        objective(loss="token", label_smoothing=share).run_freely(batch)[0].total
        for share in (0.0, 0.3)
    )
    assert torch.equal(plain, smoothed)


def test_dropout_stands_before_the_output_too() -> None:
    """`output_loss` reads the weights only, so the objective must apply what is before them."""
    config = TINY_ATTENTION.model_copy(update={"dropout": 0.5})
    ours = objective(config, loss="token")
    others = [one for one in ours.modules() if isinstance(one, nn.Dropout)]
    others.remove(ours.network.target.dropout)
    assert len(others) == 2
    for place in others:
        place.p = 0.0
    batch = batch_of(ROWS)
    one, other = (float(ours(batch, forcing=1.0).total.detach()) for _ in range(2))
    assert one != other
    ours.eval()
    one, other = (float(ours(batch, forcing=1.0).total.detach()) for _ in range(2))
    assert one == other

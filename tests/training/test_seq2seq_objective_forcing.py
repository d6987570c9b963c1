from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from annoseq.config import TrainingConfig
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding
from annoseq.tokenization.vocabulary import BEGIN, END, PAD
from annoseq.training.objectives import (
    run_freely,
    teacher_forcing_probability,
    tokens_to_feed,
)
from tests.tiny import SIZE, STILL, STILL_ATTENTION, batch_of, target_of, tiny_network

if TYPE_CHECKING:
    from torch import Tensor

    from annoseq.config import AnyNetworkConfig
    from annoseq.models.interfaces import AnySeq2SeqNetwork
    from annoseq.tokenization.batching import Batch

ROWS = [
    Seq2SeqEncoding(
        [4 + (i * 5 + k) % 8 for k in range(1 + i % 4)], [4 + (i + k * 3) % 8 for k in range(i)]
    )
    for i in range(12)
]
every_network = pytest.mark.parametrize("config", [STILL, STILL_ATTENTION], ids=["gru", "attn"])


def rates(epochs: int, **settings: Any) -> list[float]:
    config = TrainingConfig(**settings)
    return [teacher_forcing_probability(epoch, config, epochs=epochs) for epoch in range(epochs)]


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_a_number_holds_in_every_epoch(rate: float) -> None:
    assert rates(4, teacher_forcing=rate) == [rate] * 4


def test_it_falls_from_one_in_the_first_epoch_to_zero_in_the_last() -> None:
    assert rates(5, teacher_forcing="falling") == pytest.approx([1, 0.75, 0.5, 0.25, 0])
    assert rates(2, teacher_forcing="falling") == [1, 0]


def test_it_falls_to_zero_in_the_epoch_that_is_given_and_stays_there() -> None:
    falling = rates(6, teacher_forcing="falling", forcing_end_epoch=3)
    assert falling == pytest.approx([1, 0.5, 0, 0, 0, 0])


def test_a_run_that_is_shorter_does_not_fall_to_the_end() -> None:
    assert rates(3, teacher_forcing="falling", forcing_end_epoch=5) == [1, 0.75, 0.5]


def test_in_a_single_epoch_it_has_no_room_to_fall() -> None:
    assert rates(1, teacher_forcing="falling") == [1]
    assert rates(3, teacher_forcing="falling", forcing_end_epoch=1) == [1, 0, 0]


def decided(config: AnyNetworkConfig) -> AnySeq2SeqNetwork:
    """Return a network with so large weights that what it writes varies."""
    network = tiny_network(config, seed=1)
    with torch.no_grad():
        for weights in network.parameters():
            weights.mul_(4)
    return network


def fed_by(network: AnySeq2SeqNetwork, batch: Batch, forcing: float) -> Tensor:
    torch.manual_seed(3)
    return tokens_to_feed(network, network.start(batch), target_of(batch), forcing=forcing)


@every_network
def test_forced_it_is_fed_the_target_after_the_begin_symbol(config: AnyNetworkConfig) -> None:
    fed = fed_by(
        tiny_network(config), batch_of([Seq2SeqEncoding([4], [5, 6]), Seq2SeqEncoding([4], [7])]), 1
    )
    assert fed.tolist() == [[BEGIN, 5, 6], [BEGIN, 7, END]]


@every_network
def test_free_it_is_fed_its_own_best(config: AnyNetworkConfig) -> None:
    network, batch = decided(config), batch_of(ROWS)
    fed = fed_by(network, batch, 0)
    assert fed.shape == target_of(batch).shape
    state, last = network.start(batch), torch.full((len(ROWS),), BEGIN)
    for column in fed.unbind(1):
        assert torch.equal(column, last)
        state = network.step(state, column)
        last = network.scores(state).argmax(-1)
    assert len(set(fed[:, 1:].flatten().tolist())) > 2


@every_network
def test_in_between_each_token_is_the_targets_or_its_own_best(config: AnyNetworkConfig) -> None:
    """Its own best after what it was fed, not after what it would have written."""
    network, batch = decided(config), batch_of(ROWS)
    fed, target = fed_by(network, batch, 0.5), target_of(batch)
    assert (fed[:, 0] == BEGIN).all()
    state, forced, own = network.start(batch), 0, 0
    for place in range(target.shape[1] - 1):
        state = network.step(state, fed[:, place])
        best, wanted, got = network.scores(state).argmax(-1), target[:, place], fed[:, place + 1]
        assert ((got == best) | (got == wanted)).all()
        forced += int(((got == wanted) & (best != wanted)).sum())
        own += int(((got == best) & (best != wanted)).sum())
    assert min(forced, own) > 0.35 * (forced + own)


@every_network
@pytest.mark.parametrize("forcing", [0.2, 0.8])
def test_the_share_of_the_targets_tokens_is_as_asked(
    config: AnyNetworkConfig, forcing: float
) -> None:
    network = tiny_network(config)
    with torch.no_grad():
        network.target.output.bias[9] = 100  # which is what it will always write
    rows = [Seq2SeqEncoding([4], [5] * 60)] * 20
    fed = fed_by(network, batch_of(rows), forcing)[:, 1:]
    assert set(fed.flatten().tolist()) == {5, 9}
    assert float((fed == 5).float().mean()) == pytest.approx(forcing, abs=0.05)  # 4 sigma


@every_network
@pytest.mark.parametrize("forcing", [0.0, 0.5, 1.0])
def test_no_gradient_passes_through_the_choice(config: AnyNetworkConfig, forcing: float) -> None:
    network, batch = tiny_network(config), batch_of(ROWS)
    state = network.start(batch)
    assert network.decoder_output(state).requires_grad
    fed = tokens_to_feed(network, state, target_of(batch), forcing=forcing)
    assert not fed.requires_grad
    assert fed.dtype == torch.long
    _, tops = run_freely(network, state, target_of(batch))
    assert not tops.requires_grad


@every_network
def test_what_it_put_out_belongs_to_what_it_was_fed(config: AnyNetworkConfig) -> None:
    network, batch = decided(config), batch_of(ROWS)
    state = network.start(batch)
    fed, tops = run_freely(network, state, target_of(batch))
    length = target_of(batch).shape[1]
    assert fed.shape == (len(ROWS), 1 + length)
    assert tops.shape == (len(ROWS), length, 16)
    torch.testing.assert_close(
        tops, network.decode(state, fed[:, :-1]).detach(), rtol=1e-4, atol=1e-4
    )
    assert torch.equal(network.target.logits(tops).argmax(-1), fed[:, 1:])


@every_network
def test_without_forcing_nothing_is_drawn(config: AnyNetworkConfig) -> None:
    network, batch = tiny_network(config), batch_of(ROWS)
    before = torch.get_rng_state()
    run_freely(network, network.start(batch), target_of(batch))
    assert torch.equal(torch.get_rng_state(), before)


def test_padding_can_be_fed_and_does_no_harm() -> None:
    network, batch = tiny_network(STILL_ATTENTION), batch_of(ROWS)
    fed = fed_by(network, batch, 1)
    assert (fed == PAD).any()
    assert network.decode(network.start(batch), fed).isfinite().all()
    assert int(fed.max()) < SIZE

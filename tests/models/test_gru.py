from __future__ import annotations

from copy import deepcopy
from math import log
from typing import TYPE_CHECKING

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from torch import Tensor

from annoseq.config import GruConfig
from annoseq.decoding.sampling import most_likely, write
from annoseq.evaluation.losses import padded_loss
from annoseq.models.build import build_model
from annoseq.text.batches import Batch, collate
from annoseq.text.codec import Example
from annoseq.text.vocabulary import BEGIN, PAD
from tests.tiny import SIZE, STILL, TINY, examples, tiny_network

if TYPE_CHECKING:
    from annoseq.models.gru import Gru

THOROUGH = settings(max_examples=60, deadline=None)
ROWS = [Example([4, 5, 6, 7], [8, 9]), Example([5], [4, 4, 4, 7, 8]), Example([], [])]


def batch_of(rows: list[Example]) -> Batch:
    return collate(range(len(rows)), rows)


def target_of(batch: Batch) -> Tensor:
    assert batch.target is not None
    return batch.target


def stepwise(network: Gru, batch: Batch) -> Tensor:
    """Feed the network its own best tokens one by one: what `forward` does in two passes."""
    state = network.start(batch)
    last = torch.full_like(batch.source[:, 0], BEGIN)
    scores = []
    for _ in range(target_of(batch).shape[1]):
        state = network.step(state, last)
        scores.append(network.scores(state))
        last = scores[-1].argmax(-1)
    return torch.stack(scores, dim=1)


def test_shapes() -> None:
    network, batch = tiny_network(), batch_of(ROWS)
    assert network(batch).shape == (3, 6, SIZE)
    state = network.start(batch)
    assert state.hidden.shape == (2, 3, 16)
    assert state.top.shape == (3, 16)
    state = network.step(state, torch.full((3,), BEGIN))
    assert state.hidden.shape == (2, 3, 16)
    assert network.scores(state).shape == (3, SIZE)


def test_scores_are_log_probabilities() -> None:
    network, batch = tiny_network().eval(), batch_of(ROWS)
    state = network.step(network.start(batch), torch.full((3,), BEGIN))
    torch.testing.assert_close(network.scores(state).exp().sum(-1), torch.ones(3))


def test_scores_of_some_columns_are_those_scores_up_to_a_number_for_the_row() -> None:
    network, batch = tiny_network().eval(), batch_of(ROWS)
    state = network.step(network.start(batch), torch.full((3,), BEGIN))
    columns = torch.tensor([[4, 9, 4], [0, 1, 2], [11, 10, 9]])
    differences = network.scores(state, columns) - network.scores(state).gather(1, columns)
    torch.testing.assert_close(differences, differences[:, :1].expand(3, 3))


def test_selected_rows_go_on_as_they_would_have() -> None:
    network, batch = tiny_network().eval(), batch_of(ROWS)
    state = network.step(network.start(batch), torch.full((3,), BEGIN))
    rows = torch.tensor([2, 0, 0])
    selected = network.step(network.select(state, rows), torch.tensor([4, 5, 6]))
    for place, (row, last) in enumerate([(2, 4), (0, 5), (0, 6)]):
        alone = network.step(network.select(state, torch.tensor([row])), torch.tensor([last]))
        torch.testing.assert_close(network.scores(selected)[place], network.scores(alone)[0])


def test_the_tied_weight_is_one_parameter() -> None:
    network = tiny_network()
    assert network.output.weight is network.target_embedding.weight
    assert len([p for p in network.parameters() if p.shape == (SIZE, 16)]) == 2
    for moved in (deepcopy(network), tiny_network().double()):
        assert moved.output.weight is moved.target_embedding.weight


def test_the_tied_weight_learns_from_both_its_uses() -> None:
    network, batch = tiny_network(STILL), batch_of(ROWS)
    padded_loss(network(batch), target_of(batch)).backward()  # type: ignore[no-untyped-call]
    from_both = network.target_embedding.weight.grad
    network = tiny_network(STILL)
    network.target_embedding.weight = torch.nn.Parameter(network.output.weight.detach().clone())
    padded_loss(network(batch), target_of(batch)).backward()  # type: ignore[no-untyped-call]
    parts = network.target_embedding.weight.grad, network.output.weight.grad
    assert from_both is not None
    assert parts[0] is not None
    assert parts[1] is not None
    torch.testing.assert_close(from_both, parts[0] + parts[1])


@THOROUGH
@given(rows=examples)
def test_a_rows_logits_do_not_depend_on_its_batch(rows: list[Example]) -> None:
    network = tiny_network().eval()
    with torch.no_grad():
        together = network(batch_of(rows))
        for place, row in enumerate(rows):
            alone = network(batch_of([row]))[0]
            torch.testing.assert_close(together[place, : len(alone)], alone)


@THOROUGH
@given(rows=examples)
def test_a_rows_greedy_output_does_not_depend_on_its_batch(rows: list[Example]) -> None:
    network = tiny_network(seed=3).eval()
    limits = torch.tensor([2 * len(row.source) + 1 for row in rows])
    together, _ = write(network, batch_of(rows), limits=limits, choose=most_likely)
    for place, row in enumerate(rows):
        limit = limits[place : place + 1]
        (alone,), _ = write(network, batch_of([row]), limits=limit, choose=most_likely)
        assert torch.equal(together[place, : len(alone)], alone)
        assert (together[place, len(alone) :] == PAD).all()


def test_a_wider_padding_changes_nothing() -> None:
    network, batch = tiny_network().eval(), batch_of(ROWS)
    wider = Batch(batch.rows, F.pad(batch.source, (0, 5)), batch.source_lengths, batch.target)
    assert torch.equal(network(batch), network(wider))


@THOROUGH
@given(rows=examples)
def test_forward_is_the_loop_fed_its_own_best_tokens(rows: list[Example]) -> None:
    network, batch = tiny_network(seed=1).eval(), batch_of(rows)
    torch.testing.assert_close(network(batch).log_softmax(-1), stepwise(network, batch))


@pytest.mark.parametrize("seed", range(5))
def test_forward_has_the_gradients_of_the_loop(seed: int) -> None:
    two_passes, loop = tiny_network(STILL, seed=seed), tiny_network(STILL, seed=seed)
    batch = batch_of(ROWS)
    for network, scores in (
        (two_passes, two_passes(batch)),
        (loop, stepwise(loop, batch)),
    ):
        assert network.training
        padded_loss(scores, target_of(batch)).backward()  # type: ignore[no-untyped-call]
    for (name, ours), theirs in zip(two_passes.named_parameters(), loop.parameters(), strict=True):
        assert ours.grad is not None, name
        assert theirs.grad is not None, name
        assert theirs.grad.abs().sum() > 0, name
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_dropout_acts_in_training_and_only_there() -> None:
    network, batch = tiny_network(), batch_of(ROWS)
    assert not torch.equal(network(batch), network(batch))
    network.eval()
    assert torch.equal(network(batch), network(batch))


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_sizes_are_configurable(layers: int) -> None:
    # Warnings are errors here: torch warns of dropout between the layers of a single one.
    config = GruConfig(embedding=6, hidden=10, layers=layers)
    network = build_model(config, source_size=7, target_size=9, seed=0)
    batch = batch_of([Example([4, 5, 6], [4, 8])])
    assert network(batch).shape == (1, 3, 9)
    assert network.start(batch).hidden.shape == (layers, 1, 6)
    assert network.encoder.hidden_size == 10
    assert network.bridge.bias is None


def test_the_defaults_are_the_notebooks() -> None:
    network = build_model(GruConfig(), source_size=5, target_size=5, seed=0)
    assert (network.encoder.input_size, network.encoder.hidden_size) == (300, 256)
    assert (network.decoder.input_size, network.decoder.hidden_size) == (300, 300)
    assert (network.encoder.num_layers, network.decoder.num_layers) == (2, 2)
    assert (network.encoder.dropout, network.decoder.dropout) == (0.25, 0.1)
    assert (network.source_dropout.p, network.output_dropout.p) == (0.15, 0.35)
    assert (network.bridge.in_features, network.bridge.out_features) == (256, 300)


def test_the_padding_starts_at_zero_and_the_loss_near_that_of_a_guess() -> None:
    network = build_model(TINY, source_size=SIZE, target_size=1000, seed=0).eval()
    assert not network.source_embedding.weight[PAD].any()
    assert not network.target_embedding.weight[PAD].any()
    batch = batch_of([Example([4, 5], list(range(4, 200)))])
    loss = padded_loss(network(batch), target_of(batch))
    assert loss.item() == pytest.approx(log(1000), rel=0.05)

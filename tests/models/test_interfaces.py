"""Properties of every sequence-to-sequence network. A new one is one line of `NETWORKS`."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from math import log
from typing import TYPE_CHECKING, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_model, save_model

from annoseq.config import NetworkConfig
from annoseq.decoding.logits_processors import decode_ids, select_most_likely
from annoseq.models.build import build_network
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding
from annoseq.tokenization.vocabulary import BEGIN, PAD
from annoseq.training.losses import padded_loss
from annoseq.training.objectives import tokens_to_feed
from tests.tiny import (
    SIZE,
    STILL,
    STILL_ATTENTION,
    STILL_TRANSFORMER,
    TINY,
    TINY_ATTENTION,
    TINY_TRANSFORMER,
    batch_of,
    examples,
    same_weights,
    target_of,
    tiny_network,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from annoseq.config import AnyNetworkConfig
    from annoseq.models.interfaces import AnySeq2SeqNetwork
    from annoseq.tokenization.batching import Batch


class Kind(NamedTuple):
    """The settings of a network with dropout and without, and whether it can share embeddings."""

    tiny: AnyNetworkConfig
    still: AnyNetworkConfig
    copies: Sequence[int] | None = None


SHARED = [*range(8), 11, 10, 9, 8]
NETWORKS = {
    "gru": Kind(TINY, STILL),
    "attention": Kind(TINY_ATTENTION, STILL_ATTENTION),
    "attention, shared": Kind(TINY_ATTENTION, STILL_ATTENTION, SHARED),
    "transformer": Kind(TINY_TRANSFORMER, STILL_TRANSFORMER),
    "transformer, shared": Kind(TINY_TRANSFORMER, STILL_TRANSFORMER, SHARED),
}
assert_close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-4)
"""Scores of 8 to 16 that batches of other widths sum in another order."""
THOROUGH = settings(max_examples=12, deadline=None)
ROWS = [
    Seq2SeqEncoding([4, 5, 6, 7], [8, 9]),
    Seq2SeqEncoding([5], [4, 4, 4, 7, 8]),
    Seq2SeqEncoding([], []),
]

every_network = pytest.mark.parametrize("kind", NETWORKS.values(), ids=NETWORKS)


def make(kind: Kind, *, seed: int = 0) -> AnySeq2SeqNetwork:
    """Make a network without dropout."""
    return tiny_network(kind.still, copies=kind.copies, seed=seed)


def noisy(kind: Kind) -> AnySeq2SeqNetwork:
    """Make a network with dropout."""
    return tiny_network(kind.tiny, copies=kind.copies)


def begun(network: AnySeq2SeqNetwork, batch: Batch) -> object:
    """Return the state after the begin symbol."""
    return network.step(network.start(batch), torch.full((len(batch.source),), BEGIN))


def tokens(rows: int, columns: int, *, seed: int = 0) -> Tensor:
    """Draw tokens (rows, columns), padding among them, as a target has it at its end."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, SIZE, (rows, columns), generator=generator)


def stepwise(network: AnySeq2SeqNetwork, batch: Batch, fed: Tensor) -> Tensor:
    """Feed the columns (B, T) one by one; return what the decoder put out (B, T, E)."""
    state, tops = network.start(batch), []
    for column in fed.unbind(1):
        state = network.step(state, column)
        tops.append(network.decoder_output(state))
    return torch.stack(tops, dim=1)


def free_stepwise(network: AnySeq2SeqNetwork, batch: Batch) -> Tensor:
    """Feed the network its own best tokens one by one; return the scores (B, T, V)."""
    state = network.start(batch)
    last = torch.full_like(batch.source[:, 0], BEGIN)
    scores = []
    for _ in range(target_of(batch).shape[1]):
        state = network.step(state, last)
        scores.append(network.scores(state))
        last = scores[-1].argmax(-1)
    return torch.stack(scores, dim=1)


def free_logits(network: AnySeq2SeqNetwork, batch: Batch) -> Tensor:
    """Feed the network its own best tokens, as training does: in two passes."""
    state = network.start(batch)
    fed = tokens_to_feed(network, state, target_of(batch), forcing=0)
    return network.target.logits(network.decode(state, fed))


def forced_logits(network: AnySeq2SeqNetwork, batch: Batch) -> Tensor:
    """Feed the network the target's tokens."""
    state = network.start(batch)
    fed = tokens_to_feed(network, state, target_of(batch), forcing=1)
    return network.target.logits(network.decode(state, fed))


def gradients(network: AnySeq2SeqNetwork, scores: Tensor, batch: Batch) -> dict[str, Tensor]:
    """Return the gradients of the loss of some scores (B, T, V); every parameter has some."""
    padded_loss(scores, target_of(batch)).backward()  # type: ignore[no-untyped-call]
    found = {}
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
        found[name] = parameter.grad
    return found


@every_network
def test_shapes(kind: Kind) -> None:
    network, batch = make(kind), batch_of(ROWS)
    state = network.start(batch)
    assert network.decode(state, tokens(3, 6)).shape == (3, 6, 16)
    state = network.step(state, torch.full((3,), BEGIN))
    assert network.decoder_output(state).shape == (3, 16)
    assert network.scores(state).shape == (3, SIZE)
    assert network.scores(state, torch.zeros(3, 2, dtype=torch.long)).shape == (3, 2)


@every_network
def test_scores_are_log_probabilities(kind: Kind) -> None:
    network, batch = make(kind), batch_of(ROWS)
    scores = network.scores(begun(network, batch))
    assert_close(scores.exp().sum(-1), torch.ones(3))


@every_network
def test_scores_of_columns_are_equal_up_to_a_constant_per_row(kind: Kind) -> None:
    network, batch = make(kind), batch_of(ROWS)
    state = begun(network, batch)
    columns = torch.tensor([[4, 9, 4], [0, 1, 2], [11, 10, 9]])
    differences = network.scores(state, columns) - network.scores(state).gather(1, columns)
    assert_close(differences, differences[:, :1].expand(3, 3))


@every_network
def test_selected_rows_continue_unchanged(kind: Kind) -> None:
    network, batch = make(kind), batch_of(ROWS)
    state = begun(network, batch)
    rows = torch.tensor([2, 0, 0])
    selected = network.step(network.select(state, rows), torch.tensor([4, 5, 6]))
    for place, (row, last) in enumerate([(2, 4), (0, 5), (0, 6)]):
        alone = network.step(network.select(state, torch.tensor([row])), torch.tensor([last]))
        assert_close(network.scores(selected)[place], network.scores(alone)[0])


@every_network
def test_states_are_immutable(kind: Kind) -> None:
    """Two ways on from one state do not meet, and the state can be used again."""
    network, batch = make(kind), batch_of(ROWS)
    state = begun(network, batch)
    before = network.scores(state)
    one, other = (network.step(state, torch.full((3,), id_)) for id_ in (4, 5))
    assert not torch.equal(network.scores(one), network.scores(other))
    assert torch.equal(network.scores(state), before)
    again = network.step(state, torch.full((3,), 4))
    assert torch.equal(network.scores(one), network.scores(again))


@every_network
@THOROUGH
@given(rows=examples, length=st.integers(1, 9), seed=st.integers(0, 2**32))
def test_decode_equals_repeated_steps(
    kind: Kind, rows: list[Seq2SeqEncoding], length: int, seed: int
) -> None:
    network, batch = make(kind, seed=seed % 7), batch_of(rows)
    fed = tokens(len(rows), length, seed=seed)
    with torch.no_grad():
        assert_close(network.decode(network.start(batch), fed), stepwise(network, batch, fed))


@every_network
@pytest.mark.parametrize("seed", range(3))
def test_decode_has_the_gradients_of_repeated_steps(kind: Kind, seed: int) -> None:
    at_once, loop, batch = make(kind, seed=seed), make(kind, seed=seed), batch_of(ROWS)
    fed = tokens_to_feed(at_once, at_once.start(batch), target_of(batch), forcing=1)
    assert at_once.training
    ours = gradients(at_once, forced_logits(at_once, batch), batch)
    theirs = gradients(loop, loop.target.logits(stepwise(loop, batch, fed)), batch)
    assert_close(ours, theirs)


@every_network
@THOROUGH
@given(rows=examples)
def test_free_running_equals_greedy_steps(kind: Kind, rows: list[Seq2SeqEncoding]) -> None:
    network, batch = make(kind, seed=1), batch_of(rows)
    with torch.no_grad():
        assert_close(free_logits(network, batch).log_softmax(-1), free_stepwise(network, batch))


@every_network
@pytest.mark.parametrize("seed", range(3))
def test_free_running_has_the_gradients_of_greedy_steps(kind: Kind, seed: int) -> None:
    two_passes, loop, batch = make(kind, seed=seed), make(kind, seed=seed), batch_of(ROWS)
    ours = gradients(two_passes, free_logits(two_passes, batch), batch)
    assert_close(ours, gradients(loop, free_stepwise(loop, batch), batch))


@every_network
@THOROUGH
@given(rows=examples, wider=st.integers(0, 4))
def test_a_row_depends_neither_on_its_batch_nor_on_padding(
    kind: Kind, rows: list[Seq2SeqEncoding], wider: int
) -> None:
    network = make(kind)
    with torch.no_grad():
        for logits in (forced_logits, free_logits):
            together = logits(network, batch_of(rows, wider=wider))
            for place, row in enumerate(rows):
                alone = logits(network, batch_of([row]))[0]
                assert_close(together[place, : len(alone)], alone)


@every_network
@THOROUGH
@given(rows=examples)
def test_a_rows_greedy_output_does_not_depend_on_its_batch(
    kind: Kind, rows: list[Seq2SeqEncoding]
) -> None:
    network = make(kind, seed=3).eval()
    limits = torch.tensor([2 * len(row.source) + 1 for row in rows])
    together, _ = decode_ids(network, batch_of(rows), limits=limits, selector=select_most_likely)
    for place, row in enumerate(rows):
        limit = limits[place : place + 1]
        (alone,), _ = decode_ids(
            network, batch_of([row]), limits=limit, selector=select_most_likely
        )
        assert torch.equal(together[place, : len(alone)], alone)
        assert (together[place, len(alone) :] == PAD).all()


@every_network
def test_outputs_depend_on_the_source_and_on_previous_tokens(kind: Kind) -> None:
    network, target = make(kind), [4, 5, 6]
    rows = [
        Seq2SeqEncoding([4, 5], target),
        Seq2SeqEncoding([4, 6], target),
        Seq2SeqEncoding([4, 5], [4, 4, 6]),
    ]
    one, other_source, other_target = forced_logits(network, batch_of(rows))
    assert not torch.isclose(one, other_source).all(-1).any()
    assert torch.equal(one[:2], other_target[:2])  # what comes later is not known
    assert not torch.isclose(one[2:], other_target[2:]).all(-1).any()


@every_network
def test_an_empty_source(kind: Kind) -> None:
    network, batch = make(kind), batch_of([Seq2SeqEncoding([], [4]), Seq2SeqEncoding([], [])])
    assert batch.source.shape == (2, 1)
    logits = forced_logits(network, batch)
    assert logits.isfinite().all()
    padded_loss(logits, target_of(batch)).backward()  # type: ignore[no-untyped-call]
    found = [one.grad for one in network.parameters() if one.grad is not None]
    assert len(found) == len(list(network.parameters()))
    assert all(one.isfinite().all() for one in found)


@every_network
def test_dropout_acts_only_in_training(kind: Kind) -> None:
    network, batch = noisy(kind), batch_of(ROWS)
    assert not torch.equal(forced_logits(network, batch), forced_logits(network, batch))
    network.eval()
    assert torch.equal(forced_logits(network, batch), forced_logits(network, batch))
    without = make(kind)
    assert torch.equal(forced_logits(without, batch), forced_logits(network, batch))


@every_network
def test_tied_weights_are_one_parameter(kind: Kind, tmp_path: Path) -> None:
    network = make(kind)
    tables = 2 if kind.copies is None else 1
    for moved in (network, deepcopy(network), make(kind).double()):
        assert moved.target.output.weight is moved.target.embedding.weight
        assert len([one for one in moved.parameters() if one.shape == (SIZE, 16)]) == tables
    save_model(network, str(tmp_path / "weights"))
    with safe_open(str(tmp_path / "weights"), "pt") as saved:
        shapes = [saved.get_slice(name).get_shape() for name in saved.keys()]  # noqa: SIM118
    assert shapes.count([SIZE, 16]) == tables
    loaded = make(kind, seed=1)
    load_model(loaded, tmp_path / "weights")
    assert same_weights(loaded, network)
    assert loaded.target.output.weight is loaded.target.embedding.weight


@every_network
def test_the_padding_starts_at_zero_and_the_loss_near_that_of_a_guess(kind: Kind) -> None:
    config = NetworkConfig.of(kind.tiny)
    network = build_network(config, source_size=SIZE, target_size=1000, seed=0).eval()
    assert not network.target.embedding.weight[PAD].any()
    batch = batch_of([Seq2SeqEncoding([4, 5], list(range(4, 200)))])
    loss = padded_loss(forced_logits(network, batch), target_of(batch))
    assert loss.item() == pytest.approx(log(1000), rel=0.1)

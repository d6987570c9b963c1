from __future__ import annotations

import pytest
import torch

from annoseq.config import GruConfig, NetworkConfig
from annoseq.models.build import build_network
from annoseq.models.gru import Gru
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding
from annoseq.tokenization.vocabulary import BEGIN
from annoseq.training.losses import padded_loss
from tests.tiny import SIZE, STILL, batch_of, target_of

ROWS = [
    Seq2SeqEncoding([4, 5, 6, 7], [8, 9]),
    Seq2SeqEncoding([5], [4, 4, 4, 7, 8]),
    Seq2SeqEncoding([], []),
]


def gru(config: GruConfig = STILL, *, size: int = SIZE) -> Gru:
    network = build_network(NetworkConfig.of(config), source_size=size, target_size=size, seed=0)
    assert isinstance(network, Gru)
    return network


def test_shapes_of_the_state() -> None:
    network, batch = gru(), batch_of(ROWS)
    state = network.start(batch)
    assert state.hidden.shape == (2, 3, 16)
    assert torch.equal(state.output, state.hidden[-1])
    state = network.step(state, torch.full((3,), BEGIN))
    assert state.hidden.shape == (2, 3, 16)
    assert torch.equal(state.output, state.hidden[-1])


def test_the_decoder_sees_the_source_through_one_vector_per_layer() -> None:
    network, batch = gru(), batch_of(ROWS[:1])
    embedded = network.source.table(batch.source)
    _, last = network.encoder(embedded)
    torch.testing.assert_close(network.start(batch).hidden, last @ network.bridge.weight.t())


def test_the_tied_weight_learns_from_both_its_uses() -> None:
    def loss(network: Gru) -> torch.Tensor:
        batch = batch_of(ROWS)
        top = network.decode(network.start(batch), target_of(batch))
        return padded_loss(network.target.logits(top), target_of(batch))

    network = gru()
    loss(network).backward()  # type: ignore[no-untyped-call]
    from_both = network.target.embedding.weight.grad
    network = gru()
    network.target.embedding.weight = torch.nn.Parameter(
        network.target.output.weight.detach().clone()
    )
    loss(network).backward()  # type: ignore[no-untyped-call]
    parts = network.target.embedding.weight.grad, network.target.output.weight.grad
    assert from_both is not None
    assert parts[0] is not None
    assert parts[1] is not None
    torch.testing.assert_close(from_both, parts[0] + parts[1])


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_sizes_are_configurable(layers: int) -> None:
    # Warnings are errors here: torch warns of dropout between the layers of a single one.
    network = gru(GruConfig(embedding=6, hidden=10, layers=layers), size=9)
    batch = batch_of([Seq2SeqEncoding([4, 5, 6], [4, 8])])
    state = network.start(batch)
    assert network.decode(state, target_of(batch)).shape == (1, 3, 6)
    assert state.hidden.shape == (layers, 1, 6)
    assert network.encoder.hidden_size == 10
    assert network.bridge.bias is None


def test_the_defaults_are_the_notebooks() -> None:
    network = gru(GruConfig(), size=5)
    assert (network.encoder.input_size, network.encoder.hidden_size) == (300, 256)
    assert (network.decoder.input_size, network.decoder.hidden_size) == (300, 300)
    assert (network.encoder.num_layers, network.decoder.num_layers) == (2, 2)
    assert (network.encoder.dropout, network.decoder.dropout) == (0.25, 0.1)
    assert not network.encoder.bidirectional
    assert (network.source.dropout.p, network.target.dropout.p) == (0.15, 0.35)
    assert (network.bridge.in_features, network.bridge.out_features) == (256, 300)

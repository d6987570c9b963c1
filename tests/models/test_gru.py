from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings

from annoseq.config import AttentionConfig, GruConfig, NetworkConfig
from annoseq.models.build import build_network
from annoseq.models.embeddings import sinusoidal_encoding
from annoseq.models.gru import Gru, GruWithAttention
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding
from annoseq.tokenization.vocabulary import BEGIN, END, PAD
from annoseq.training.losses import padded_loss
from tests.tiny import SIZE, STILL, STILL_ATTENTION, TINY_ATTENTION, batch_of, examples, target_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from annoseq.models.gru import AttentionState


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


THOROUGH = settings(max_examples=40, deadline=None)


def attention(
    config: AttentionConfig = STILL_ATTENTION,
    *,
    size: int = SIZE,
    copies: Sequence[int] | None = None,
    source_tags: Sequence[int] = (),
    target_tags: Sequence[int] = (),
    seed: int = 0,
) -> GruWithAttention:
    network = build_network(
        NetworkConfig.of(config),
        source_size=size,
        target_size=size,
        copies=copies,
        source_tags=source_tags,
        target_tags=target_tags,
        seed=seed,
    )
    assert isinstance(network, GruWithAttention)
    return network


every_sharing = pytest.mark.parametrize(
    "copies", [None, list(range(SIZE))], ids=["own embeddings", "shared"]
)


def test_shapes_of_the_state_with_attention() -> None:
    network, batch = attention(), batch_of(ROWS)
    state = network.start(batch)
    assert state.keys.shape == state.values.shape == (3, 5, 16)
    shared = attention(copies=list(range(SIZE))).start(batch)
    assert (shared.keys.shape, shared.values.shape) == ((3, 5, 64), (3, 5, 16))
    assert state.is_padding.tolist() == (batch.source == PAD).tolist()
    assert state.hidden.shape == (1, 3, 16)
    assert state.output.shape == (3, 16)
    later = network.step(state, torch.full((3,), BEGIN))
    assert later.keys is state.keys
    assert later.values is state.values
    assert (later.hidden.shape, later.output.shape) == ((1, 3, 16), (3, 16))
    assert (state.position.tolist(), later.position.tolist()) == ([0, 0, 0], [0, 0, 0])
    assert network.step(later, torch.full((3,), 5)).position.tolist() == [1, 1, 1]


def test_all_parts_of_the_state_are_selected() -> None:
    network = attention()
    state, rows = network.start(batch_of(ROWS)), torch.tensor([1, 1, 0, 2])
    for name, part in network.select(state, rows)._asdict().items():
        whole = getattr(state, name)
        assert torch.equal(part, whole[:, rows] if name == "hidden" else whole[rows]), name


def outputs_of(network: GruWithAttention, state: AttentionState, fed: Tensor) -> Tensor:
    outputs: Tensor = network.decoder(network.target(fed), state.hidden)[0]
    return outputs


@every_sharing
@THOROUGH
@given(rows=examples)
def test_the_weights_sum_to_one_and_padding_has_none(
    copies: list[int] | None, rows: list[Seq2SeqEncoding]
) -> None:
    network, batch = attention(copies=copies), batch_of(rows, wider=2)
    state, fed = network.start(batch), target_of(batch)
    weights = network.attention_weights(state, outputs_of(network, state, fed), fed)
    assert weights.shape == (*fed.shape, batch.source.shape[1])
    torch.testing.assert_close(weights.sum(-1), torch.ones(fed.shape))
    is_padding = (batch.source == PAD).unsqueeze(1).expand_as(weights)
    assert (weights[is_padding] == 0).all()
    assert (weights[~is_padding] > 0).all()


@every_sharing
def test_an_empty_source_has_attention_on_its_end(copies: list[int] | None) -> None:
    network = attention(copies=copies)
    batch = batch_of([Seq2SeqEncoding([], []), Seq2SeqEncoding([4, 5], [])])
    assert batch.source[0].tolist() == [END, PAD, PAD]
    weights = network.attention_weights(
        network.start(batch), torch.randn(2, 4, 16), torch.randint(4, SIZE, (2, 4))
    )
    assert (weights[0] == torch.tensor([1.0, 0.0, 0.0])).all()


@every_sharing
def test_attention_matches_the_formula(copies: list[int] | None) -> None:
    """Token by token and without padding: Luong et al. 2015, and what helps to copy."""
    network, batch = attention(copies=copies), batch_of(ROWS)
    fed, words = target_of(batch), network.target.embedding.weight
    tops = network.decode(network.start(batch), fed)
    for row, example in enumerate(ROWS):
        source = [*example.source, END]
        embedded = network.source.table(torch.tensor([source]))
        encoded, last = network.encoder(embedded)
        hidden = torch.tanh(network.bridge(torch.cat([last[0], last[1]], dim=-1))).unsqueeze(0)
        for place, token in enumerate(fed[row]):
            out, hidden = network.decoder(network.target(token.view(1, 1)), hidden)
            scores = []
            for number, (before, one) in enumerate(zip([BEGIN, *source], encoded[0], strict=False)):
                score = out[0, 0] @ network.key.weight @ one
                if network.match_scale is not None:
                    score = score + network.match_scale * (words[token] @ words[before])
                if network.position_scale is not None:
                    apart = torch.tensor(
                        [number, int((network.target_increments[fed[row, : place + 1]]).sum())]
                    )
                    here, there = sinusoidal_encoding(apart)
                    score = score + network.position_scale * (here @ there)
                scores.append(score)
            context = torch.zeros(16)
            for share, one, word in zip(
                torch.stack(scores).softmax(0), encoded[0], embedded[0], strict=True
            ):
                context = context + share * (network.value.weight @ one + word)
            combined = network.combine(torch.cat([context, out[0, 0]]))
            expected = combined + network.copy_scale * context
            torch.testing.assert_close(tops[row, place], expected)


def test_an_untrained_network_copies_the_source() -> None:
    """With shared embeddings, attention goes to the position after the token just written."""
    wide = AttentionConfig(embedding=256, hidden=8, dropout=0)
    network = attention(wide, size=40, copies=list(range(40)))
    source = [9, 31, 12, 27, 18, 5, 33]
    batch = batch_of([Seq2SeqEncoding(source, source)])
    fed = torch.tensor([[BEGIN, *source]])
    state = network.start(batch)
    weights = network.attention_weights(state, outputs_of(network, state, fed), fed)
    assert weights[0].argmax(-1).tolist() == list(range(8))
    logits = network.target.logits(network.decode(state, fed))
    assert logits[0].argmax(-1).tolist() == [*source, END]


def test_the_encoder_is_bidirectional() -> None:
    network = attention()
    one, other = (Seq2SeqEncoding([4, 5, 6, middle], []) for middle in (7, 8))
    keys = network.start(batch_of([one, other])).keys
    assert not torch.isclose(keys[0], keys[1]).all(-1).any()  # the first knows of the last
    one, other = (Seq2SeqEncoding([first, 5, 6, 7], []) for first in (4, 8))
    keys = network.start(batch_of([one, other])).keys
    assert not torch.isclose(keys[0], keys[1]).all(-1).any()  # and the last of the first


def test_the_decoder_starts_from_both_directions() -> None:
    """With two layers: layer by layer, the two directions side by side."""
    network = attention(AttentionConfig(embedding=16, hidden=8, layers=2, dropout=0))
    batch = batch_of(ROWS[:1])
    encoded, _ = network.encoder(network.source.table(batch.source))
    ends = torch.cat([encoded[:, -1, :8], encoded[:, 0, 8:]], dim=-1)  # of the top layer
    torch.testing.assert_close(network.start(batch).hidden[-1], torch.tanh(network.bridge(ends)))


def test_shared_embeddings_are_one_parameter() -> None:
    network, other = attention(copies=list(range(SIZE))), attention()
    assert network.source.table is network.target.embedding
    assert other.source.table is not other.target.embedding
    tables = [
        len([one for one in net.parameters() if one.shape == (SIZE, 16)])
        for net in (network, other)
    ]
    assert tables == [1, 2]


def test_a_source_token_has_the_embedding_of_its_copy() -> None:
    copies = [0, 1, 2, 3, 9, 9, *range(6, SIZE)]
    network = attention(copies=copies)
    same = [Seq2SeqEncoding([4, 6], []), Seq2SeqEncoding([5, 6], []), Seq2SeqEncoding([9, 6], [])]
    keys = network.start(batch_of([*same, Seq2SeqEncoding([8, 6], [])])).keys
    assert torch.equal(keys[0], keys[1])
    assert torch.equal(keys[0], keys[2])
    assert not torch.isclose(keys[0], keys[3]).all()


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_sizes_with_attention_are_configurable(layers: int) -> None:
    # Warnings are errors here: torch warns of dropout between the layers of a single one.
    network = attention(AttentionConfig(embedding=6, hidden=10, layers=layers), size=9)
    batch = batch_of([Seq2SeqEncoding([4, 5, 6], [4, 8])])
    state = network.start(batch)
    assert network.decode(state, target_of(batch)).shape == (1, 3, 6)
    assert state.hidden.shape == (layers, 1, 6)
    assert (network.encoder.hidden_size, network.encoder.num_layers) == (10, layers)
    assert network.encoder.bidirectional


def test_dropout_is_where_the_help_says() -> None:
    network = attention(AttentionConfig(embedding=8, hidden=8, layers=2, dropout=0.4))
    places = [network.source.dropout, network.input_dropout, network.target.dropout]
    assert [place.p for place in places] == [0.4, 0.4, 0.4]
    assert (network.encoder.dropout, network.decoder.dropout) == (0.4, 0.4)
    assert attention(TINY_ATTENTION).encoder.dropout == 0


def test_tags_do_not_count_as_positions() -> None:
    """Either side may have them, and tokens may be repeated."""
    wide = AttentionConfig(embedding=256, hidden=8, dropout=0)
    plain, tag, closing = [9, 31, 9, 9, 18, 31, 9, 33], 5, 6
    tagged = [tag, 9, closing, 31, tag, tag, 9, 9, closing, 18, 31, 9, closing, tag, 33]
    network = attention(
        wide, size=40, copies=list(range(40)), source_tags=[tag, closing], target_tags=[]
    )
    state, fed = (
        network.start(batch_of([Seq2SeqEncoding(tagged, plain)])),
        torch.tensor([[BEGIN, *plain]]),
    )
    found = network.attention_weights(state, outputs_of(network, state, fed), fed)[0].argmax(-1)
    assert [[*tagged, END][place] for place in found.tolist()] == [*plain, END]
    assert (found.diff() > 0).all()
    network = attention(
        wide, size=40, copies=list(range(40)), source_tags=[], target_tags=[tag, closing]
    )
    state, fed = (
        network.start(batch_of([Seq2SeqEncoding(plain, tagged)])),
        torch.tensor([[BEGIN, *tagged]]),
    )
    found = network.attention_weights(state, outputs_of(network, state, fed), fed)[0].argmax(-1)
    assert found.tolist() == [0, 0, 1, 1, 2, 2, 2, 3, 4, 4, 5, 6, 7, 7, 7, 8]

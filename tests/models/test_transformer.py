"""Properties of the transformer only; those of all networks are tested in test_interfaces.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from annoseq.config import DataConfig, NetworkConfig, TransformerConfig
from annoseq.data.examples import parse_pair
from annoseq.data.pairs import Pair
from annoseq.models.build import build_network, build_seq2seq
from annoseq.models.embeddings import RotaryEmbedding
from annoseq.models.transformer import KeyValueCache, SelfAttention, Transformer
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding, Seq2SeqTokenizer
from annoseq.tokenization.vocabulary import BEGIN, UNKNOWN
from tests.tiny import SIZE, STILL_TRANSFORMER, batch_of

if TYPE_CHECKING:
    from torch import Tensor

OPEN, CLOSE = 4, 5
FAR = 5_000


def transformer(config: TransformerConfig = STILL_TRANSFORMER, *, seed: int = 0) -> Transformer:
    """Make a network without dropout whose tokens 4 and 5 are tags, on both sides."""
    network = build_network(
        NetworkConfig.of(config),
        source_size=SIZE,
        target_size=SIZE,
        source_tags=[OPEN, CLOSE],
        target_tags=[OPEN, CLOSE],
        seed=seed,
    )
    assert isinstance(network, Transformer)
    return network.eval()


def places(network: Transformer, fed: list[int]) -> list[int]:
    """Return where in the source a row stands after each token that is fed."""
    state, found = network.start(batch_of([Seq2SeqEncoding([6, 7, 8], [])])), []
    for id_ in fed:
        state = network.step(state, torch.tensor([id_]))
        found.append(int(state.position))
    return found


@settings(max_examples=30, deadline=None)
@given(here=st.integers(0, 3_000), there=st.integers(0, 3_000), on=st.integers(0, FAR))
def test_attention_to_rotated_keys_depends_on_distance(here: int, there: int, on: int) -> None:
    query, key = torch.randn(2, 8, generator=torch.Generator().manual_seed(here))

    def product(query_place: int, key_place: int) -> Tensor:
        turning = RotaryEmbedding.of(torch.tensor([query_place, key_place]), width=8)
        turned_query, turned_key = turning.rotate(torch.stack([query, key]))
        return torch.dot(turned_query, turned_key)

    # Single precision knows an angle of some thousands to about a thousandth.
    torch.testing.assert_close(
        product(here, there), product(here + on, there + on), atol=5e-3, rtol=0
    )
    torch.testing.assert_close(product(here, here), torch.dot(query, key), atol=1e-5, rtol=0)


def test_different_distances_give_different_scores() -> None:
    turned = RotaryEmbedding.of(torch.arange(100), width=8).rotate(torch.ones(100, 8))
    assert len({round(float(turned[0] @ one), 5) for one in turned}) == 100


def test_self_attention_depends_only_on_distances() -> None:
    """So what is learned of the first places holds far beyond them."""
    layer = SelfAttention(STILL_TRANSFORMER).eval()
    inputs = torch.randn(2, 7, 16)
    near, far = (RotaryEmbedding.of(torch.arange(7) + first, width=8) for first in (0, FAR))
    mask = torch.ones(2, 1, 1, 7, dtype=torch.bool)
    here = layer(inputs, near, mask)
    torch.testing.assert_close(here, layer(inputs, far, mask), atol=1e-4, rtol=1e-3)
    swapped = layer(inputs[:, [1, 0, 2, 3, 4, 5, 6]], near, mask)
    assert not torch.isclose(here[:, 2:], swapped[:, 2:]).all()


def test_tags_do_not_advance_in_the_source() -> None:
    network = transformer()
    assert places(network, [BEGIN, 6, 7, 8]) == [0, 1, 2, 3]
    assert places(network, [BEGIN, OPEN, 6, CLOSE, OPEN, 7, CLOSE]) == [0, 0, 1, 1, 1, 2, 2]
    assert places(network, [BEGIN, UNKNOWN, 6]) == [0, 1, 2]


def test_rows_have_their_own_positions() -> None:
    network = transformer()
    state = network.start(batch_of([Seq2SeqEncoding([6, 7], []), Seq2SeqEncoding([8], [])]))
    for last in ([BEGIN, BEGIN], [OPEN, 6], [6, 7]):
        state = network.step(state, torch.tensor(last))
    assert state.position.tolist() == [1, 2]
    assert network.select(state, torch.tensor([1, 1, 0])).position.tolist() == [2, 2, 1]


def test_tags_of_the_source_are_not_counted_either() -> None:
    """A key is turned by the number of tokens before it that are no tags."""
    network = transformer()
    network.encoder_norm.weight.data.zero_()  # all keys of a layer are the same but for turning
    for source, counted in (([6, 7], [0, 1, 2]), ([OPEN, 6], [0, 0, 1])):
        keys = network.start(batch_of([Seq2SeqEncoding(source, [])])).source[0].keys  # (1, H, 3, D)
        turning = RotaryEmbedding.of(torch.tensor(counted), width=8)
        torch.testing.assert_close(keys, turning.rotate(keys[:, :, :1].expand(1, 2, 3, 8)))


def test_the_tags_are_those_of_the_vocabularies() -> None:
    examples = [parse_pair(Pair("Dr Ames", "Dr {{NAME}}Ames{{/NAME}}", row=1))] * 3
    for tokens in ("word", "bpe"):
        config = DataConfig(tokens=tokens, min_frequency=1)
        tokenizer = Seq2SeqTokenizer.fit(examples, task="annotate", config=config)
        network = build_seq2seq(NetworkConfig.of(STILL_TRANSFORMER), tokenizer, seed=0)
        assert isinstance(network, Transformer)
        tags = tokenizer.target.tokens_to_ids(["{{NAME}}", "{{/NAME}}"])
        assert not network.target_increments[tags].any()
        still = (network.target_increments == 0).sum()
        assert still == 3 + len(tags)  # and padding, begin and end


def test_only_new_tokens_are_computed_and_only_the_last_block_is_copied() -> None:
    network = transformer()
    state = network.start(batch_of([Seq2SeqEncoding([6, 7], []), Seq2SeqEncoding([8], [])]))
    assert state.caches == ((), ())
    for length in range(1, 100):
        older: tuple[KeyValueCache, ...] = state.caches
        state = network.step(state, torch.tensor([6, 7]))
        for blocks, before in zip(state.caches, older, strict=True):
            assert sum(one.keys.shape[2] for one in blocks) == length
            assert all(one is same for one, same in zip(blocks, before[:-1], strict=False))
            for one, same in zip(blocks, before, strict=False):
                assert torch.equal(one.keys[:, :, : same.keys.shape[2]], same.keys)
                assert torch.equal(one.values[:, :, : same.values.shape[2]], same.values)
    assert len(state.caches[0]) == 2


@torch.inference_mode()
def test_decode_of_many_cache_blocks_equals_repeated_steps() -> None:
    network, batch = (
        transformer(),
        batch_of([Seq2SeqEncoding([6, 7], []), Seq2SeqEncoding([8], [])]),
    )
    fed = torch.randint(4, SIZE, (2, 100), generator=torch.Generator().manual_seed(0))
    state, tops = network.start(batch), []
    for last in fed.unbind(1):
        state = network.step(state, last)
        tops.append(network.decoder_output(state))
        state = network.select(state, torch.tensor([0, 1]))
    torch.testing.assert_close(network.decode(network.start(batch), fed), torch.stack(tops, 1))


@torch.inference_mode()
def test_a_source_of_thousands_of_tokens() -> None:
    network = transformer()
    long = [6 + place % 5 for place in range(3_000)]
    batch = batch_of([Seq2SeqEncoding(long, []), Seq2SeqEncoding([6], [])])
    state = network.start(batch)
    fed = torch.tensor([[BEGIN, *long], [BEGIN, *long]])
    tops = network.decode(state, fed)
    assert tops.shape == (2, 3_001, 16)
    assert tops.isfinite().all()
    alone = network.decode(network.start(batch_of([Seq2SeqEncoding([6], [])])), fed[:1, :9])
    torch.testing.assert_close(tops[1:, :9], alone)


@torch.inference_mode()
def test_steps_in_half_precision() -> None:
    network = transformer()
    with torch.autocast("cpu", torch.bfloat16):
        state = network.start(batch_of([Seq2SeqEncoding([6, 7], [])]))
        for last in (BEGIN, 6, 7):
            state = network.step(state, torch.tensor([last]))
            assert {one.keys.dtype for blocks in state.caches for one in blocks} == {torch.bfloat16}
        assert network.scores(state).isfinite().all()


@pytest.mark.parametrize(("encoder", "decoder"), [(1, 1), (3, 1), (1, 2)])
def test_sizes_are_configurable(encoder: int, decoder: int) -> None:
    config = TransformerConfig(
        embedding=12, heads=3, encoder_layers=encoder, decoder_layers=decoder, feed_forward=20
    )
    network = transformer(config)
    state = network.step(network.start(batch_of([Seq2SeqEncoding([6], [])])), torch.tensor([BEGIN]))
    assert [one.keys.shape for (one,) in state.caches] == [(1, 3, 1, 4)] * decoder
    assert [one.keys.shape for one in state.source] == [(1, 3, 2, 4)] * decoder
    assert len(network.encoder) == encoder


@pytest.mark.parametrize(("embedding", "heads"), [(300, 4), (12, 4), (256, 3)])
def test_heads_must_share_the_width(embedding: int, heads: int) -> None:
    with pytest.raises(ValidationError) as caught:
        TransformerConfig(embedding=embedding, heads=heads)
    message = (
        f"an embedding of {embedding} cannot be shared out among {heads} heads: "
        "it must be a multiple of twice their number"
    )
    assert message in str(caught.value)

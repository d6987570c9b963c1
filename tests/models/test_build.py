from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import pytest
import torch
from torch import nn

from annoseq.config import DataConfig, NetworkConfig
from annoseq.data.examples import parse_pairs
from annoseq.data.pairs import Pair
from annoseq.models.build import build_seq2seq, no_init_weights
from annoseq.models.gru import Gru, GruWithAttention
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer
from annoseq.tokenization.vocabulary import UNKNOWN
from tests.tiny import TINY, TINY_ATTENTION, same_weights, tiny_network

if TYPE_CHECKING:
    from annoseq.config import AnyNetworkConfig
    from annoseq.tokenization.dataset import Dataset

ATTENTION, GRU = NetworkConfig.of(TINY_ATTENTION), NetworkConfig.of(TINY)
every_network = pytest.mark.parametrize("config", [TINY, TINY_ATTENTION])


@every_network
def test_weights_depend_only_on_the_seed(config: AnyNetworkConfig) -> None:
    torch.manual_seed(1)
    one = tiny_network(config, seed=5)
    torch.manual_seed(2)
    torch.rand(3)
    assert same_weights(one, tiny_network(config, seed=5))
    assert not same_weights(one, tiny_network(config, seed=6))


@every_network
def test_the_global_random_state_is_restored(config: AnyNetworkConfig) -> None:
    before = torch.get_rng_state()
    tiny_network(config, seed=5)
    assert torch.equal(torch.get_rng_state(), before)


def test_no_init_weights_skips_initialization() -> None:
    before = torch.get_rng_state()
    with no_init_weights():
        layers = [nn.EmbeddingBag(9, 4), nn.LSTM(4, 4), nn.Linear(4, 2), nn.LayerNorm(4)]
        nn.init.normal_(nn.Embedding(5, 4).weight, std=0.1)
        constant = torch.ones(3)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(one.requires_grad for layer in layers for one in layer.parameters())
    assert constant.tolist() == [1, 1, 1]
    nn.Linear(4, 2)
    assert not torch.equal(torch.get_rng_state(), before)


def test_the_selected_network_is_built(dataset: Dataset) -> None:
    tokenizer = dataset.tokenizer
    for config, kind in ((GRU, Gru), (ATTENTION, GruWithAttention)):
        network = build_seq2seq(config, tokenizer, seed=0)
        assert isinstance(network, kind)
        assert network.target.embedding.num_embeddings == len(tokenizer.target)


def translation(*pairs: tuple[str, str]) -> Seq2SeqTokenizer:
    """Return the tokenizer of a few pairs of texts, every word of which is known."""
    rows = [Pair(source, target, row) for row, (source, target) in enumerate(pairs, 1)]
    config = DataConfig(min_frequency=1)
    examples = parse_pairs(rows, task="translate").examples
    return Seq2SeqTokenizer.fit(examples, task="translate", config=config)


def test_annotation_shares_source_and_target_embeddings(dataset: Dataset) -> None:
    tokenizer = dataset.tokenizer
    network = build_seq2seq(ATTENTION, tokenizer, seed=0)
    assert isinstance(network, GruWithAttention)
    assert network.source.table is network.target.embedding
    assert network.source.copies is not None
    found = [tokenizer.target.tokens[id_] for id_ in network.source.copies.tolist()]
    unknown = tokenizer.target.tokens[UNKNOWN]
    assert [
        (one, other)
        for one, other in zip(tokenizer.source.tokens, found, strict=True)
        if other not in {one, unknown}
    ] == []
    assert found.count(unknown) <= 0.1 * len(found)


def test_translation_has_separate_embeddings() -> None:
    tokenizer = translation(("un deux trois quatre cinq", "one two three four five"))
    network = build_seq2seq(ATTENTION, tokenizer, seed=0)
    assert isinstance(network, GruWithAttention)
    assert network.source.copies is None
    assert network.source.table.num_embeddings == len(tokenizer.source)


@pytest.mark.parametrize(("foreign", "are_shared"), [(2, True), (6, False)])
def test_embeddings_are_shared_from_nine_in_ten_shared_tokens(
    foreign: int, are_shared: bool
) -> None:
    words = [f" {chr(97 + i)}{chr(97 + j)}" for i in range(6) for j in range(6)]
    others = [f" x{chr(97 + i)}" for i in range(foreign)]
    tokenizer = translation(("".join(words + others), "".join(words)))
    network = build_seq2seq(ATTENTION, tokenizer, seed=0)
    assert isinstance(network, GruWithAttention)
    assert (network.source.table is network.target.embedding) is are_shared


def test_the_gru_shares_no_embeddings(dataset: Dataset) -> None:
    same = replace(dataset.tokenizer, source=dataset.tokenizer.target)
    for tokenizer in (dataset.tokenizer, same):
        network = build_seq2seq(GRU, tokenizer, seed=0)
        assert isinstance(network, Gru)
        assert network.source.table is not network.target.embedding
        assert network.source.table.num_embeddings == len(tokenizer.source)


@pytest.mark.parametrize("tokens", ["word", "bpe"])
def test_tags_of_a_translation_are_known_as_tags(tokens: Literal["word", "bpe"]) -> None:
    """With a space before them or without, and whatever marks pieces carry."""
    rows = [Pair("Dr {{A}}Wu{{/A}}.{{A}}Wu{{/A}}", "Dr Wu.Wu", 1)]
    config = DataConfig(tokens=tokens, min_frequency=1)
    examples = parse_pairs(rows, task="translate").examples
    tokenizer = Seq2SeqTokenizer.fit(examples, task="translate", config=config)
    network = build_seq2seq(ATTENTION, tokenizer, seed=0)
    assert isinstance(network, GruWithAttention)
    stay = (
        network.source_increments[torch.tensor(tokenizer.encode_source(rows[0].source).source)] == 0
    )
    assert stay.sum() == 4

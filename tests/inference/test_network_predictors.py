from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.config import DeviceConfig, NetworkConfig
from annoseq.data.markup import parse
from annoseq.devices import ComputeDevice
from annoseq.inference.network_predictors import AttentionMap, attention_map
from annoseq.models.build import build_seq2seq
from annoseq.models.gru import GruWithAttention
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer
from tests.tiny import TINY_ATTENTION

if TYPE_CHECKING:
    from annoseq.data.pairs import Pairs
    from annoseq.tokenization.dataset import Dataset


@pytest.fixture(scope="module")
def tokenizer(dataset: Dataset) -> Seq2SeqTokenizer:
    assert isinstance(dataset.tokenizer, Seq2SeqTokenizer)
    return dataset.tokenizer


@pytest.fixture(scope="module")
def network(tokenizer: Seq2SeqTokenizer) -> GruWithAttention:
    network = build_seq2seq(NetworkConfig.of(TINY_ATTENTION), tokenizer, seed=0)
    assert isinstance(network, GruWithAttention)
    return network


def looked(
    network: GruWithAttention, tokenizer: Seq2SeqTokenizer, annotated: str
) -> AttentionMap | None:
    text, spans = parse(annotated)
    compute = ComputeDevice.select(DeviceConfig(device="cpu"))
    return attention_map(network, tokenizer, text, spans, compute=compute)


def test_every_token_has_its_place(network: GruWithAttention, tokenizer: Seq2SeqTokenizer) -> None:
    found = looked(network, tokenizer, "Dear {{NAME:DOCTOR}}Ames{{/NAME:DOCTOR}}:")
    assert found is not None
    source, written, weights = found
    assert source[:3] == ["Dear", " Ames", ":"]
    assert written == ["Dear", "{{NAME:DOCTOR}}", " Ames", "{{/NAME:DOCTOR}}", ":", "(end)"]
    assert [len(row) for row in weights] == [len(source)] * len(written)
    assert set("".join(weights)) <= set("0123456789")


def test_the_same_row_is_looked_at_in_the_same_way(
    network: GruWithAttention, tokenizer: Seq2SeqTokenizer, sample: Pairs
) -> None:
    network.train()  # what training drops must not be dropped here
    one, same = (looked(network, tokenizer, sample[3].target) for _ in range(2))
    assert one == same


def test_what_cannot_be_read_has_no_map(
    network: GruWithAttention, tokenizer: Seq2SeqTokenizer
) -> None:
    assert looked(network, tokenizer, "") is None
    assert looked(network, tokenizer, "a " * 100) is None

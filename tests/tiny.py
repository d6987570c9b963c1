"""The smallest networks, batches and learners that are still real."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from hypothesis import strategies as st

from annoseq.config import (
    AttentionConfig,
    BatchConfig,
    GruConfig,
    NetworkConfig,
    TrainingConfig,
    TransformerConfig,
)
from annoseq.models.build import build_network
from annoseq.tokenization.batching import Batch, collate
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding
from annoseq.tokenization.vocabulary import PAD
from annoseq.training.learner import Learner

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from annoseq.config import AnyNetworkConfig
    from annoseq.models.interfaces import AnySeq2SeqNetwork
    from annoseq.tokenization.dataset import Dataset

TINY = GruConfig(embedding=16, hidden=16)
STILL = GruConfig(
    embedding=16,
    hidden=16,
    embedding_dropout=0,
    encoder_dropout=0,
    decoder_dropout=0,
    output_dropout=0,
)
"""Tiny, and without dropout."""
TINY_ATTENTION = AttentionConfig(embedding=16, hidden=8)
STILL_ATTENTION = AttentionConfig(embedding=16, hidden=8, dropout=0)
TINY_TRANSFORMER = TransformerConfig(
    embedding=16, heads=2, encoder_layers=1, decoder_layers=2, feed_forward=32
)
STILL_TRANSFORMER = TINY_TRANSFORMER.model_copy(update={"dropout": 0.0})
BATCHING = BatchConfig(batch_size=16)

SIZE = 12
"""Tokens of the vocabularies that the networks of `tiny_network` know."""
_ids = st.lists(st.integers(1, SIZE - 1), max_size=8)
examples = st.lists(st.builds(Seq2SeqEncoding, _ids, _ids), min_size=1, max_size=4)
"""Some rows in ids, the empty one among them."""


def tiny_network(
    config: AnyNetworkConfig = TINY, *, copies: Sequence[int] | None = None, seed: int = 0
) -> AnySeq2SeqNetwork:
    return build_network(
        NetworkConfig.of(config), source_size=SIZE, target_size=SIZE, copies=copies, seed=seed
    )


def tiny_learner(
    dataset: Dataset,
    *,
    model: AnyNetworkConfig = TINY,
    training: TrainingConfig | None = None,
    seed: int = 42,
) -> Learner:
    training = training or TrainingConfig(seed=seed)
    return Learner(dataset, model=model, training=training, batching=BATCHING)


def save_tiny_model(dataset: Dataset, folder: Path) -> Path:
    """Save a model that was trained for two epochs; return its folder."""
    learner = tiny_learner(dataset)
    learner.fit_one_cycle(2, 1e-2, report=lambda line: None)
    learner.save(folder)
    return folder


def batch_of(rows: Sequence[Seq2SeqEncoding], *, wider: int = 0) -> Batch:
    """Put rows into a batch, with `wider` more columns of padding on the source's side."""
    batch = collate(range(len(rows)), rows)
    wide = F.pad(batch.source, (0, wider), value=PAD)
    return Batch(batch.rows, wide, batch.source_lengths, batch.target)


def target_of(batch: Batch) -> Tensor:
    assert batch.target is not None
    return batch.target


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    """Tell whether two networks have the same weights, bit for bit."""
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(
        torch.equal(value, theirs[name]) for name, value in ours.items()
    )

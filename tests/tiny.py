"""The smallest networks, batches and learners that are still real."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from hypothesis import strategies as st

from annoseq.config import BatchConfig, GruConfig, TrainingConfig
from annoseq.models.build import build_model
from annoseq.text.codec import Example
from annoseq.training.learner import Learner

if TYPE_CHECKING:
    from torch import nn

    from annoseq.models.gru import Gru
    from annoseq.text.dataset import Dataset

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
BATCHING = BatchConfig(batch_size=16)

SIZE = 12
"""Tokens of the vocabularies that the networks of `tiny_network` know."""
_ids = st.lists(st.integers(1, SIZE - 1), max_size=8)
examples = st.lists(st.builds(Example, _ids, _ids), min_size=1, max_size=6)
"""Some rows in ids, the empty one among them."""


def tiny_network(config: GruConfig = TINY, *, seed: int = 0) -> Gru:
    return build_model(config, source_size=SIZE, target_size=SIZE, seed=seed)


def tiny_learner(dataset: Dataset, *, model: GruConfig = TINY, seed: int = 42) -> Learner:
    training = TrainingConfig(seed=seed)
    return Learner(dataset, model=model, training=training, batching=BATCHING)


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    """Tell whether two networks have the same weights, bit for bit."""
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(
        torch.equal(value, theirs[name]) for name, value in ours.items()
    )

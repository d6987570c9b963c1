"""A network that can learn: the GRU writes its training pairs."""

from __future__ import annotations

import time
from itertools import islice

import pytest
import torch

from annoseq.config import BatchConfig, GruConfig, TrainingConfig
from annoseq.data.pairs import Pairs
from annoseq.sample import sample_pairs
from annoseq.tokenization.dataset import Dataset
from annoseq.tokenization.pretokenizer import build_pretokenizer
from annoseq.training.learner import Learner

BATCHING = BatchConfig(batch_size=16)


def without_dropout(width: int) -> GruConfig:
    return GruConfig(
        embedding=width,
        hidden=width,
        embedding_dropout=0,
        encoder_dropout=0,
        decoder_dropout=0,
        output_dropout=0,
    )


def learn(pairs: Pairs, *, width: int, epochs: int, max_lr: float, clip_norm: float) -> float:
    """Return the token accuracy on the training pairs, the decoder fed its own output."""
    dataset = Dataset.from_pairs(pairs, valid=pairs[:8])
    learner = Learner(
        dataset,
        model=without_dropout(width),
        training=TrainingConfig(clip_norm=clip_norm),
        batching=BATCHING,
    )
    learner.fit_one_cycle(epochs, max_lr, report=lambda line: None)
    return learner.predictions("train").accuracy.token.value


def test_it_writes_short_training_pairs() -> None:
    pre_tokenizer = build_pretokenizer()
    short = (
        pair
        for pair in sample_pairs(2_000, seed=42)
        if len(pre_tokenizer.pre_tokenize_str(pair.source)) <= 5
    )
    pairs = Pairs(islice(short, 40), name="short")
    assert len(pairs) == 40
    assert learn(pairs, width=64, epochs=100, max_lr=1e-2, clip_norm=0) > 0.95


@pytest.mark.slow
def test_it_writes_200_training_pairs_after_two_minutes() -> None:
    pairs = Pairs(sample_pairs(200, seed=42), name="sample")
    torch.set_num_threads(1)
    started = time.process_time()  # a busy machine must not fail this
    accuracy = learn(pairs, width=128, epochs=150, max_lr=6e-3, clip_norm=1.0)
    assert time.process_time() - started < 120
    assert accuracy > 0.95

"""A network that can learn: the GRU, at its default size, writes its training pairs."""

from __future__ import annotations

import time
from itertools import islice

from annoseq.config import BatchConfig, GruConfig
from annoseq.pairs.pairs import Pairs
from annoseq.pairs.sample import sample_pairs
from annoseq.text.dataset import Dataset
from annoseq.text.segmentation import segmentation
from annoseq.training.learner import Learner

LONGEST = 8
"""Source tokens of the longest pair. An epoch over the corpus's first 200 pairs, of 14 tokens on
average, takes twice as long, and 80 of them reach 0.65 only."""


def test_it_writes_its_training_pairs() -> None:
    cut_by = segmentation()
    short = (
        pair
        for pair in sample_pairs(2_000, seed=42)
        if len(cut_by.pre_tokenize_str(pair.source)) <= LONGEST
    )
    pairs = Pairs(islice(short, 200), name="short")
    dataset = Dataset.from_pairs(pairs, valid=pairs[:8])
    assert len(dataset.train) == 200
    no_dropout = GruConfig(
        embedding_dropout=0, encoder_dropout=0, decoder_dropout=0, output_dropout=0
    )
    learner = Learner(dataset, model=no_dropout, batching=BatchConfig(batch_size=16))
    started = time.process_time()  # a busy machine must not fail this
    learner.fit_one_cycle(40, 6e-3, report=lambda line: None)
    assert time.process_time() - started < 120
    assert learner.predictions("train").accuracy.token.value > 0.95

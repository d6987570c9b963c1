"""Tiny taggers, and batches for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from annoseq.config import TaggerConfig
from annoseq.models.tagger import Tagger
from annoseq.tokenization.batching import Batch, collate_tags
from annoseq.tokenization.bioes import spans_to_bioes
from annoseq.tokenization.hash_features import FeatureHasher
from annoseq.tokenization.tagger_tokenizer import TaggerEncoding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from annoseq.tokenization.linearize import AlignedSpan

TINY_TAGGER = TaggerConfig(hidden=16, embedding=8, buckets=1024)
LABELS = {"A": 0, "B": 1}


def random_tagger(
    config: TaggerConfig = TINY_TAGGER,
    *,
    labels: int = len(LABELS),
    levels: int = 2,
    self_nested: Sequence[int] = (0,),
    spread: float = 0.5,
) -> Tagger:
    """Build a tagger with random weights everywhere, for reading."""
    words = FeatureHasher(buckets=config.buckets)
    tagger = Tagger(
        config, feature_hasher=words, labels=labels, levels=levels, self_nested=list(self_nested)
    )
    randomise(tagger, spread=spread)
    return tagger.eval()


def randomise(network: nn.Module, *, spread: float = 0.5, seed: int = 1) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in network.parameters():
            weights.normal_(std=spread, generator=generator)


def tagged(
    tagger: Tagger,
    tokens: Sequence[str],
    aligned_spans: Sequence[AlignedSpan] = (),
    *,
    levels: int = 2,
) -> TaggerEncoding:
    """Make a row of tokens and the spans that cover them."""
    tags = spans_to_bioes(
        aligned_spans, tokens=len(tokens), levels=levels, labels=LABELS, self_nested=["A"]
    )
    return TaggerEncoding(tagger.feature_hasher.token_ids(tokens), tags)


def batch_of(*rows: TaggerEncoding) -> Batch:
    return collate_tags(range(len(rows)), rows)

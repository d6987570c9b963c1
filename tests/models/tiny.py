"""The smallest taggers that are still real, and rows for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from annoseq.config import TaggerConfig
from annoseq.models.tagger import Tagger
from annoseq.tokenization.batching import Batch, collate_tags
from annoseq.tokenization.bioes import tag_rows
from annoseq.tokenization.hash_features import Words
from annoseq.tokenization.tagger_tokenizer import TagExample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from annoseq.tokenization.linearize import Cover

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
    words = Words(buckets=config.buckets)
    tagger = Tagger(
        config, words=words, labels=labels, levels=levels, self_nested=list(self_nested)
    )
    randomise(tagger, spread=spread)
    return tagger.eval()


def randomise(network: nn.Module, *, spread: float = 0.5, seed: int = 1) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in network.parameters():
            weights.normal_(std=spread, generator=generator)


def tagged(
    tagger: Tagger, tokens: Sequence[str], covers: Sequence[Cover] = (), *, levels: int = 2
) -> TagExample:
    """Make a row of tokens and the spans that cover them."""
    tags = tag_rows(covers, tokens=len(tokens), levels=levels, labels=LABELS, self_nested=["A"])
    return TagExample(tagger.words.look_up(tokens), tags)


def batch_of(*rows: TagExample) -> Batch:
    return collate_tags(range(len(rows)), rows)

"""Ensembles of taggers, as one tagger: a logarithmic opinion pool.

The distribution over tag sequences is the normalized geometric mean of those of the members (Smith,
Cohn and Osborne 2005, "Logarithmic opinion pools for conditional random fields"). For CRFs that is
a CRF again, whose emissions and transitions are the means of theirs, so that its best path, its
marginals and its candidates are exact. The mean of linear output layers is one linear layer over
the encodings of all members, put together. For biaffine heads, the scores of pairs are averaged.

Shapes: B rows, T tokens, M members, H width of the encodings of all members together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from annoseq.models.biaffine import BiaffineHead
from annoseq.models.tagger import CrfHead, SpanTagger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.models.tagger import Tagger
    from annoseq.tokenization.batching import Batch


class TaggerEnsemble(SpanTagger):
    """Taggers with the same labels and kind of head; `source` (B, T, M) has an id for each."""

    def __init__(self, members: Sequence[Tagger]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        heads = [member.head for member in members]
        crf_heads = [head for head in heads if isinstance(head, CrfHead)]
        biaffine_heads = [head for head in heads if isinstance(head, BiaffineHead)]
        assert heads in (crf_heads, biaffine_heads)
        self.head = _pool_crf_heads(crf_heads) if crf_heads else PooledBiaffineHead(biaffine_heads)

    def encode(self, batch: Batch) -> Tensor:
        """Return the encodings (B, T, H) of all members together."""
        return torch.cat([part.encode(own) for part, own in self._parts(batch)], 2)

    def _parts(self, batch: Batch) -> list[tuple[Tagger, Batch]]:
        ids = batch.source.unbind(2)
        return [
            (cast("Tagger", member), replace(batch, source=own))
            for member, own in zip(self.members, ids, strict=True)
        ]


@torch.no_grad()
def _pool_crf_heads(heads: Sequence[CrfHead]) -> CrfHead:
    """Return the head whose scores are the means of those of several."""
    width = sum(head.output.in_features for head in heads)
    pooled = CrfHead(width, labels=heads[0].crf.labels)
    pooled.output.weight.copy_(torch.cat([head.output.weight for head in heads], 1) / len(heads))
    pooled.output.bias.copy_(torch.stack([head.output.bias for head in heads]).mean(0))
    for own, *others in zip(
        pooled.crf.parameters(), *(head.crf.parameters() for head in heads), strict=True
    ):
        own.copy_(torch.stack(list(others)).mean(0))
    return pooled


class PooledBiaffineHead(BiaffineHead):
    """Biaffine head whose scores are the means of those of several."""

    def __init__(self, heads: Sequence[BiaffineHead]) -> None:
        nests = torch.stack([head.nests for head in heads]).any(0)
        levels = max(head.levels for head in heads)
        nested = nests.nonzero().flatten().tolist()
        super().__init__(1, labels=len(nests), levels=levels, self_nested=nested)
        self.heads = nn.ModuleList(heads)
        self._widths = [head.first.in_features for head in heads]

    def _scores(self, encoded: Tensor) -> Tensor:
        parts = torch.split(encoded, self._widths, 2)
        scores = [
            cast("BiaffineHead", head)._scores(part)
            for head, part in zip(self.heads, parts, strict=True)
        ]
        return torch.stack(scores).mean(0)

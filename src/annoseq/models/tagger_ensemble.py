"""Ensembles of taggers, as one tagger: a logarithmic opinion pool.

The distribution over tag sequences is the normalized geometric mean of those of the members (Smith,
Cohn and Osborne 2005, "Logarithmic opinion pools for conditional random fields"). For CRFs that is
a CRF again, whose emissions and transitions are the means of theirs, so that its best path, its
marginals and its candidates are exact. The mean of linear output layers is one linear layer over
the encodings of all members, put together. For biaffine heads, the scores of pairs are averaged.

Models that write their output know no distribution over tag sequences. Their spans vote: the score
of the tag that a writer's spans give a token rises by the weight of a vote. That is a further
member of the pool, whose distribution grows by a factor of e for every tag of the path that it
agrees with, so that all of it stays a CRF.

Shapes: B rows, T tokens, M taggers, W writers, K tags, H width of the encodings of all members
together; a writer's is the one-hot vector of its tag.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from annoseq.models.biaffine import BiaffineHead
from annoseq.models.tagger import CrfHead, SpanTagger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.models.tagger import Tagger
    from annoseq.tokenization.batching import Batch


class TaggerEnsemble(SpanTagger):
    """Taggers with the same labels and kind of head, and the votes of `writers` models that write.

    `source` (B, T, M + W) has an id for each tagger and a tag for each writer. A vote weighs
    `vote_weight`: in nats, against the mean score of the taggers.
    """

    def __init__(
        self, members: Sequence[Tagger], *, writers: int = 0, vote_weight: float = 0.0
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        heads = [member.head for member in members]
        crf_heads = [head for head in heads if isinstance(head, CrfHead)]
        biaffine_heads = [head for head in heads if isinstance(head, BiaffineHead)]
        assert heads in (crf_heads, biaffine_heads)
        assert crf_heads or not writers
        self.writers = writers
        self.head = (
            _pool_crf_heads(crf_heads, votes=[vote_weight] * writers)
            if crf_heads
            else PooledBiaffineHead(biaffine_heads)
        )

    def encode(self, batch: Batch) -> Tensor:
        """Return the encodings (B, T, H) of all members together."""
        ids = batch.source.unbind(2)
        encoded = [
            cast("Tagger", member).encode(replace(batch, source=own))
            for member, own in zip(self.members, ids[: len(self.members)], strict=True)
        ]
        if self.writers:
            assert isinstance(self.head, CrfHead)
            tags = self.head.crf.tags
            encoded += [F.one_hot(own, tags).to(encoded[0]) for own in ids[len(self.members) :]]
        return torch.cat(encoded, 2)

    @torch.no_grad()
    def set_vote_weight(self, weight: float) -> None:
        """Let each vote weigh `weight` from now on."""
        assert isinstance(self.head, CrfHead)
        if self.writers:
            votes = _vote_columns(self.head.crf.tags, [weight] * self.writers)
            self.head.output.weight[:, -votes.shape[1] :] = votes


@torch.no_grad()
def _pool_crf_heads(heads: Sequence[CrfHead], *, votes: Sequence[float]) -> CrfHead:
    """Return the head whose scores are the means of those of several, and the votes."""
    cast_votes = _vote_columns(heads[0].crf.tags, votes)
    width = sum(head.output.in_features for head in heads) + cast_votes.shape[1]
    pooled = CrfHead(width, labels=heads[0].crf.labels)
    averaged = torch.cat([head.output.weight for head in heads], 1) / len(heads)
    pooled.output.weight.copy_(torch.cat([averaged, cast_votes.to(averaged)], 1))
    pooled.output.bias.copy_(torch.stack([head.output.bias for head in heads]).mean(0))
    for own, *others in zip(
        pooled.crf.parameters(), *(head.crf.parameters() for head in heads), strict=True
    ):
        own.copy_(torch.stack(list(others)).mean(0))
    return pooled


def _vote_columns(tags: int, votes: Sequence[float]) -> Tensor:
    """Return the weights (K, W K) of the one-hot vectors of tags that writers vote for."""
    return torch.cat([torch.zeros(tags, 0), *(weight * torch.eye(tags) for weight in votes)], 1)


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

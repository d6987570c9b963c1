"""Expectations of a tagger: the tags, transitions or pairs from which another tagger can learn.

A CRF has a distribution over all tag sequences of a row. Its expected tags and transitions are all
that another CRF needs to learn that distribution (Wang et al. 2020, "Structure-level knowledge
distillation for multilingual sequence labeling", arXiv:2004.03846). A biaffine head has a
distribution over the classes of every pair of tokens. The expectations of several teachers are
averaged, which is the mixture of their distributions.

Shapes: B rows, T tokens, L labels, K tags, C classes of pairs, S transition scores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from annoseq.tokenization.bioes import tag_blocks
from annoseq.tokenization.soft_targets import RowTargets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from annoseq.models.crf import LinearChainCrf

LEAST = 1e-3
"""Least expectation that is kept; on MEDDOCAN a token then has 1.1 tags."""


class Expectations(NamedTuple):
    """Expectations of a teacher, or of several, for a batch.

    `probabilities` are those of tags (B, T, K) or of the classes of pairs of tokens (B, T, T, C),
    of which the first is outside, or no span; `transitions` (B, S) those of the transition scores
    of a CRF, or (B, 0). What lies behind the length of a row is any number.
    """

    probabilities: Tensor
    transitions: Tensor

    @classmethod
    def mean(cls, several: Sequence[Expectations]) -> Expectations:
        """Return the expectations of the mixture of several teachers, each with equal weight."""
        return cls(*(torch.stack(values).mean(0) for values in zip(*several, strict=True)))

    def rows(self, lengths: Tensor) -> list[RowTargets]:
        """Return the targets of each row, without entries below `LEAST`."""
        here = Expectations(*(values.cpu() for values in self))  # a GPU is slow at single rows
        return [here._row(row, length) for row, length in enumerate(lengths.tolist())]

    def _row(self, row: int, length: int) -> RowTargets:
        probabilities = self.probabilities[row, :length]
        if probabilities.dim() == 3:
            places, values, confidence = _likely_pairs(probabilities[:, :length])
        else:
            places, values, confidence = _likely_tags(probabilities)
        transitions = (self.transitions[row] >= LEAST).nonzero().squeeze(1)
        return RowTargets(
            places.numpy().astype(np.int32),
            values.numpy().astype(np.float16),
            transitions.numpy().astype(np.int32),
            self.transitions[row][transitions].numpy().astype(np.float16),
            confidence,
        )


def _likely_tags(probabilities: Tensor) -> tuple[Tensor, Tensor, float]:
    """Return the likely tags (N, 2) of tokens (T, K), their probabilities (N,), the confidence."""
    kept = probabilities >= LEAST
    places, values = kept.nonzero(), probabilities[kept]
    # The tags of a token share what was left out.
    sums = values.new_zeros(len(probabilities)).index_add(0, places[:, 0], values)
    return places, values / sums[places[:, 0]], float(probabilities.amax(1).mean())


def _likely_pairs(probabilities: Tensor) -> tuple[Tensor, Tensor, float]:
    """Return the likely classes (N, 3) of pairs of tokens (T, T, C), and the same as for tags."""
    is_pair = torch.ones_like(probabilities[..., :1], dtype=torch.bool).squeeze(2).triu()
    kept = (probabilities >= LEAST) & is_pair.unsqueeze(2)
    kept[..., 0] = False
    values = probabilities[kept]
    sure = torch.cat([torch.maximum(values, 1 - values), values.new_ones(len(probabilities))])
    return kept.nonzero(), values, float(sure.mean())


@torch.no_grad()
def crf_expectations(
    crf: LinearChainCrf, emissions: Tensor, lengths: Tensor, *, temperature: float = 1.0
) -> Expectations:
    """Return the marginals of the tags and the expected transitions of every row.

    All scores are divided by `temperature`.
    """
    if temperature != 1:
        crf, emissions = crf.at_temperature(temperature), emissions / temperature
    with torch.autocast(emissions.device.type, enabled=False):
        forward, backward, scaled, _ = crf.forward_backward(emissions, lengths)
        before = torch.zeros_like(forward)
        before[:, 1:] = forward[:, :-1]
        before[:, 0, 0] = 1.0
        moves = torch.bmm(before.transpose(1, 2), (scaled * backward).nan_to_num())
        counts = _flatten_counts(crf.transitions().exp() * moves, labels=crf.labels)
    return Expectations(forward * backward, counts)


def path_expectations(tags: Tensor, lengths: Tensor, *, labels: int) -> Expectations:
    """Return the expectations of a teacher that is sure of one tag sequence (B, T) for each row."""
    probabilities = F.one_hot(tags, 4 * labels + 1).float()
    is_token = torch.arange(tags.shape[1], device=tags.device) < lengths.unsqueeze(1)
    before = F.pad(tags, (1, 0))[:, :-1]  # before the first token is outside
    moves = torch.bmm(
        F.one_hot(before, 4 * labels + 1).float().transpose(1, 2),
        probabilities * is_token.unsqueeze(2),
    )
    return Expectations(probabilities, _flatten_counts(moves, labels=labels))


def _flatten_counts(counts: Tensor, *, labels: int) -> Tensor:
    """Sum counts (B, K, K) of pairs of tags over those that have the same transition score."""
    outside, begin, inside, end, single = tag_blocks(labels)
    leaving = torch.cat([counts[:, outside], counts[:, end] + counts[:, single]], 1)
    between = torch.cat([leaving[..., outside], leaving[..., begin] + leaving[..., single]], 2)
    within = [
        counts[:, before, after].diagonal(dim1=1, dim2=2)
        for before, after in ((begin, inside), (begin, end), (inside, inside), (inside, end))
    ]
    return torch.cat([between.flatten(1), *within], 1)

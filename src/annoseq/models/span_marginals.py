"""All spans that a CRF gives at least some probability, those of the best sequence among them.

The probability of a span is that of all sequences that hold it, so no list of best sequences is
needed. A span is at most as likely as that it begins there, ends there, and is open at every token
between. Places where one of these lies below the floor are left out first, and few pairs of a
begin and an end are left.

Shapes: B rows, T tokens, L labels, K tags, N spans, M begins.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch

from annoseq.models.crf import tag_blocks

if TYPE_CHECKING:
    from torch import Tensor

    from annoseq.models.crf import ForwardBackward, LinearChainCrf

_AT_ONCE = 1 << 18
"""Pairs of a begin and an end in memory at a time, some 40 MB of them."""


@torch.no_grad()
def likely_spans(
    chain: LinearChainCrf, paths: ForwardBackward, *, floor: float, longest: int
) -> tuple[Tensor, Tensor]:
    """Return the spans (N, 4) of a probability of at least `floor`, and its log (N,).

    A span is its row, first and last token, and label, as for `LinearChainCrf.log_probabilities`. None has
    more than `longest` tokens, so that there are no more than so many for each begin.
    """
    marginals = paths.ahead * paths.behind  # (B, T, K), 0 after the end of a row
    _, begins, insides, ends, singles = (marginals[..., one] for one in tag_blocks(chain.labels))
    places, scores = [], []
    for pairs in [_alone(singles, floor), *_longer(begins, insides, ends, floor, longest)]:
        found = chain.log_probabilities(paths, pairs)
        kept = found.exp() >= floor
        places.append(pairs[kept])
        scores.append(found[kept])
    return torch.cat(places), torch.cat(scores)


def _alone(singles: Tensor, floor: float) -> Tensor:
    """Return the spans (N, 4) of one token."""
    row, place, label = (singles >= floor).nonzero().unbind(1)
    return torch.stack([row, place, place, label], 1)


def _longer(
    begins: Tensor, insides: Tensor, ends: Tensor, floor: float, longest: int
) -> list[Tensor]:
    """Return the spans (N, 4) of more than one token that may be likely enough, in parts."""
    _, width, labels = begins.shape
    # Every row and label is a line of its own, and all lines stand one behind the other.
    opened, inside, closed = (
        one.permute(0, 2, 1).reshape(-1) >= floor for one in (begins, insides, ends)
    )
    first = opened.nonzero().squeeze(1)  # (M,)
    last = closed.nonzero().squeeze(1)
    if not len(first) or not len(last):
        return []
    # A span goes on after its second token only while it may be inside, and never to another line.
    everywhere = torch.arange(len(inside), device=inside.device)
    stops = torch.where(inside, len(inside), everywhere)
    stop = stops.flip(0).cummin(0).values.flip(0)  # the first place from here on not inside
    farthest = torch.minimum(
        stop[(first + 1).clamp(max=len(inside) - 1)], (first // width + 1) * width - 1
    ).minimum(first + longest - 1)
    low = torch.searchsorted(last, first, right=True)
    counts = (torch.searchsorted(last, farthest, right=True) - low).clamp(min=0)
    return [
        _pairs(first[part], last, low[part], counts[part], width=width, labels=labels)
        for part in _parts(counts)
    ]


def _pairs(
    first: Tensor, last: Tensor, low: Tensor, counts: Tensor, *, width: int, labels: int
) -> Tensor:
    """Join every begin with the `counts` ends from number `low` on; return spans (N, 4)."""
    which = torch.repeat_interleave(counts)
    before = counts.cumsum(0) - counts
    ends = last[low[which] + torch.arange(len(which), device=which.device) - before[which]]
    begin = first[which]
    line = begin // width
    return torch.stack([line // labels, begin % width, ends % width, line % labels], 1)


def _parts(counts: Tensor) -> list[slice]:
    """Cut begins into parts that have about `_AT_ONCE` ends together."""
    part = counts.cumsum(0) // _AT_ONCE
    edges = [0, *((part.diff() > 0).nonzero().squeeze(1) + 1).tolist(), len(counts)]
    return [slice(*edge) for edge in pairwise(edges)]

"""Spans that lie within spans: every pair of a first and a last token is judged by itself.

A biaffine classifier (Dozat and Manning 2017; Yu et al. 2020) says how likely each label is for
the pair, and how likely no span; the mean of what lies between the two and their distance have a
word in it. Of spans that cross, the likeliest stays.

Shapes: B rows, T tokens, L labels, H width of the encoding, N spans, C = L + 1 classes, of which
the first is no span.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from annoseq.models.crf import finite, token_mask
from annoseq.models.interfaces import SpanPredictions
from annoseq.tokenization.bioes import bioes_to_token_spans

if TYPE_CHECKING:
    from collections.abc import Iterator

_WIDTH = 64
"""Width of what is multiplied of a first and of a last token."""
_LENGTHS = 40
"""Longer spans are weighed as if they had this many tokens."""
_DROPOUT = 0.3
_LIKELY = 0.25
"""From this probability on a span is found. That of the best F1 is half that F1 (Lipton et al.
2014); where a model is good, hardly any span lies in between."""
_AT_ONCE = 1 << 23
"""Scores in memory at a time."""


class _Likely(NamedTuple):
    """Spans (N, 4), their log-probabilities (N,), how much likelier than no span they are (N,).

    `total` (B,) is the log-probability of finding nothing in a row.
    """

    places: Tensor
    scores: Tensor
    gains: Tensor
    total: Tensor


class BiaffineHead(nn.Module):
    """Finds spans that nest up to `levels` deep, the labels `self_nested` also in themselves."""

    nests: Tensor

    def __init__(self, width: int, *, labels: int, levels: int, self_nested: list[int]) -> None:
        super().__init__()
        classes = labels + 1
        self.levels = levels
        self.first = nn.Linear(width, _WIDTH)
        self.last = nn.Linear(width, _WIDTH)
        self.both = nn.Linear(_WIDTH, classes * _WIDTH, bias=False)
        nn.init.normal_(self.both.weight, std=0.01)
        self.opens = nn.Linear(width, classes)
        self.closes = nn.Linear(width, classes, bias=False)
        self.holds = nn.Linear(width, classes, bias=False)
        self.lengths = nn.Embedding(_LENGTHS, classes)
        nn.init.zeros_(self.lengths.weight)
        self.dropout = nn.Dropout(_DROPOUT)
        nests = torch.zeros(labels, dtype=torch.bool)
        nests[self_nested] = True
        self.register_buffer("nests", nests, persistent=False)

    def loss(self, encoded: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """Return the negative log-likelihood (B,) of the spans that `tags` (B, T, D) tell of.

        `encoded` (B, T, H) is what is known of the tokens, `lengths` (B,) how many there are.
        """
        parts = list(self._parts(encoded))
        compute = self._loss if len(parts) == 1 else self._loss_again
        return torch.cat([compute(encoded[one], tags[one], lengths[one]) for one in parts])

    def _loss_again(self, encoded: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """Compute the scores once more for the gradients, so that those of one part are kept."""
        loss: Tensor = checkpoint(self._loss, encoded, tags, lengths, use_reentrant=False)
        return loss

    def _loss(self, encoded: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        scores = self._scores(encoded)
        classes = torch.zeros_like(scores[..., 0], dtype=torch.long)
        for level in reversed(tags.unbind(2)):  # of two around the same tokens, the outer one
            row, first, last, label = bioes_to_token_spans(level, labels=len(self.nests)).unbind(1)
            classes[row, first, last] = label + 1
        losses = F.cross_entropy(scores.flatten(0, 2), classes.flatten(), reduction="none")
        return losses.view_as(classes).masked_fill(~_pair_mask(scores, lengths), 0.0).sum((1, 2))

    @torch.no_grad()
    def best(self, encoded: Tensor, lengths: Tensor) -> SpanPredictions:
        """Return the spans that are likely enough and do not cross, whatever the weights are."""
        return self._settle(self._likely(encoded, lengths, floor=_LIKELY))

    @torch.no_grad()
    def candidates(self, encoded: Tensor, lengths: Tensor, *, floor: float, longest: int) -> SpanPredictions:
        """Return the spans of up to `longest` tokens whose probability is at least `floor`.

        Some may cross.
        """
        likely = self._likely(encoded, lengths, floor=min(floor, _LIKELY))
        is_short = likely.places[:, 2] - likely.places[:, 1] < longest
        is_asked = (likely.scores >= log(floor)) & is_short
        total = self._settle(likely).total
        return SpanPredictions(likely.places[is_asked], likely.scores[is_asked], total)

    def _settle(self, likely: _Likely) -> SpanPredictions:
        """Choose spans that can stand together."""
        enough = (likely.scores >= log(_LIKELY)).nonzero().squeeze(1)
        places, scores = likely.places[enough], likely.scores[enough]
        kept = _well_nested(places, scores, nests=self.nests, levels=self.levels)
        places, gains = places[kept], likely.gains[enough[kept]]
        total = likely.total.index_add(0, places[:, 0], gains)
        return SpanPredictions(places, scores[kept], total.clamp(max=0.0))

    def _likely(self, encoded: Tensor, lengths: Tensor, *, floor: float) -> _Likely:
        found = []
        for part in self._parts(encoded):
            scores = finite(self._scores(encoded[part])).log_softmax(3)
            is_pair = _pair_mask(scores, lengths[part])
            nothing = scores[..., 0].masked_fill(~is_pair, 0.0)
            places = ((scores[..., 1:] >= log(floor)) & is_pair.unsqueeze(3)).nonzero()
            row, first, last, label = places.unbind(1)
            likely = scores[row, first, last, label + 1]
            gains = likely - nothing[row, first, last]
            places[:, 0] += part.start
            found.append(_Likely(places, likely, gains, nothing.sum((1, 2))))
        return _Likely(*map(torch.cat, zip(*found, strict=True)))

    def _parts(self, encoded: Tensor) -> Iterator[slice]:
        """Cut a batch into rows whose scores fit into memory together."""
        rows, width = encoded.shape[:2]
        step = max(1, _AT_ONCE // (width * width * self.opens.out_features))
        return (slice(start, start + step) for start in range(0, rows, step))

    def _scores(self, encoded: Tensor) -> Tensor:
        """Return the scores (B, T, T, C) of all pairs, first by last token."""
        rows, width = encoded.shape[:2]
        first = self.dropout(F.gelu(self.first(encoded)))
        last = self.dropout(F.gelu(self.last(encoded)))
        # In single precision from here on: sums over long texts would be lost in less.
        crossed = self.both(first).view(rows, -1, _WIDTH) @ last.transpose(1, 2)  # (B, T C, T)
        scores: Tensor = crossed.view(rows, width, -1, width).transpose(2, 3).float()
        scores = scores + self.opens(encoded).float().unsqueeze(2)
        scores = scores + self.closes(encoded).float().unsqueeze(1)
        held = F.pad(self.holds(encoded).float().cumsum(1), (0, 0, 1, 0))  # (B, T + 1, C)
        places = torch.arange(width, device=encoded.device)
        many = (places - places.unsqueeze(1) + 1).clamp(min=1)
        scores = scores + (held[:, None, 1:] - held[:, :-1, None]) / many.unsqueeze(2)
        by_length: Tensor = self.lengths(many.clamp(max=_LENGTHS - 1)).float()
        return scores + by_length


def _pair_mask(scores: Tensor, lengths: Tensor) -> Tensor:
    """Tell which pairs (B, T, T) are a first and a last token of a row."""
    is_pair = torch.ones_like(scores[..., 0], dtype=torch.bool).triu()
    return is_pair & token_mask(scores, lengths).unsqueeze(1)


def _well_nested(places: Tensor, scores: Tensor, *, nests: Tensor, levels: int) -> Tensor:
    """Return which of the spans (N, 4) stay: their numbers, in order.

    In every round each row takes its likeliest span, and gives up those that cannot stand with it.
    """
    left = scores.argsort(descending=True, stable=True)
    # How many of those taken lie around each, and how deep they nest within it.
    around, within = torch.zeros_like(left), torch.zeros_like(left)
    kept = [left[:0]]
    while len(left):
        row, first, last, label = places[left].unbind(1)
        rows, which = torch.unique(row, return_inverse=True)
        numbers = torch.arange(len(left), device=left.device)
        heads = numbers.new_full((len(rows),), len(left))
        heads = heads.scatter_reduce(0, which, numbers, "amin")
        kept.append(left[heads])
        head = heads[which]
        begin, end = first[head], last[head]
        is_inside = (begin <= first) & (last <= end)
        is_outside = (first <= begin) & (end <= last)
        is_apart = (last < begin) | (end < first)
        # Around the new one lies what is around both, and what is within the other one.
        deep = around[head] - around + 1 + within[head]
        around = around + is_inside.long()
        within = torch.where(is_outside, torch.maximum(within, deep), within)
        may_nest = (is_inside != is_outside) & (nests[label] | (label != label[head]))
        stays = (is_apart | may_nest) & (around + within < levels)
        left, around, within = left[stays], around[stays], within[stays]
    return torch.cat(kept).sort().values

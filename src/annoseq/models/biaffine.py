"""Biaffine span classifier for nested spans.

Every pair of a first and a last token is classified as a span of a label or as no span (Dozat and
Manning 2017; Yu et al. 2020). The score adds to the biaffine product a linear term of the first and
of the last token, of the mean of the tokens in between, and of the length. Of crossing spans the
most probable is kept.

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

from annoseq.models.crf import finite
from annoseq.models.interfaces import CoveragePredictions, SpanPredictions
from annoseq.models.padding import token_mask
from annoseq.models.span_marginals import covered_tokens
from annoseq.tokenization.bioes import bioes_to_token_spans

if TYPE_CHECKING:
    from collections.abc import Iterator

_BIAFFINE_WIDTH = 64
"""Width of the projections of first and last tokens."""
_LENGTHS = 40
"""Number of length embeddings; longer spans share the last one."""
_DROPOUT = 0.3
_THRESHOLD = 0.25
"""Probability from which on a span is predicted. The threshold with the best F1 is half that F1
(Lipton et al. 2014); an accurate model has hardly any spans in between."""
_SCORES_PER_CHUNK = 1 << 23
"""Scores in memory at a time."""


class _SpanScores(NamedTuple):
    """Candidate spans (N, 4), their log-probabilities (N,), and log-odds against no span (N,).

    `no_spans` (B,) is the log-probability of a row without any span.
    """

    spans: Tensor
    log_probs: Tensor
    gains: Tensor
    no_spans: Tensor


class BiaffineHead(nn.Module):
    """Span head for spans nested up to `levels` deep; labels `self_nested` also in themselves."""

    nests: Tensor

    def __init__(self, width: int, *, labels: int, levels: int, self_nested: list[int]) -> None:
        super().__init__()
        classes = labels + 1
        self.levels = levels
        self.first = nn.Linear(width, _BIAFFINE_WIDTH)
        self.last = nn.Linear(width, _BIAFFINE_WIDTH)
        self.biaffine = nn.Linear(_BIAFFINE_WIDTH, classes * _BIAFFINE_WIDTH, bias=False)
        nn.init.normal_(self.biaffine.weight, std=0.01)
        self.first_linear = nn.Linear(width, classes)
        self.last_linear = nn.Linear(width, classes, bias=False)
        self.mean_linear = nn.Linear(width, classes, bias=False)
        self.length_embedding = nn.Embedding(_LENGTHS, classes)
        nn.init.zeros_(self.length_embedding.weight)
        self.dropout = nn.Dropout(_DROPOUT)
        nests = torch.zeros(labels, dtype=torch.bool)
        nests[self_nested] = True
        self.register_buffer("nests", nests, persistent=False)

    def loss(self, encoded: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """Return the negative log-likelihood (B,) of the spans in BIOES `tags` (B, T, D).

        `encoded` (B, T, H) are the encodings of the tokens, `lengths` (B,) the number of tokens.
        """
        chunks = list(self._chunks(encoded))
        compute = self._loss if len(chunks) == 1 else self._checkpointed_loss
        return torch.cat([compute(encoded[chunk], tags[chunk], lengths[chunk]) for chunk in chunks])

    def _checkpointed_loss(self, encoded: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """Recompute the scores in the backward pass, so that only one chunk's are in memory."""
        loss: Tensor = checkpoint(self._loss, encoded, tags, lengths, use_reentrant=False)
        return loss

    def _loss(self, encoded: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        scores = self._scores(encoded)
        classes = torch.zeros_like(scores[..., 0], dtype=torch.long)
        for level in reversed(tags.unbind(2)):  # of two spans of the same tokens, the outer one
            spans = bioes_to_token_spans(level.numpy(force=True), labels=len(self.nests))
            row, first, last, label = torch.from_numpy(spans).to(level.device).unbind(1)
            classes[row, first, last] = label + 1
        losses = F.cross_entropy(scores.flatten(0, 2), classes.flatten(), reduction="none")
        return losses.view_as(classes).masked_fill(~_pair_mask(scores, lengths), 0.0).sum((1, 2))

    @torch.no_grad()
    def decode(self, encoded: Tensor, lengths: Tensor) -> SpanPredictions:
        """Return the spans above the threshold, well nested whatever the weights are."""
        return self._select(self._score_spans(encoded, lengths, floor=_THRESHOLD))

    @torch.no_grad()
    def candidates(
        self, encoded: Tensor, lengths: Tensor, *, floor: float, longest: int
    ) -> SpanPredictions:
        """Return the spans of at most `longest` tokens whose probability is at least `floor`.

        They may cross.
        """
        scored = self._score_spans(encoded, lengths, floor=min(floor, _THRESHOLD))
        is_short = scored.spans[:, 2] - scored.spans[:, 1] < longest
        is_candidate = (scored.log_probs >= log(floor)) & is_short
        row_log_probs = self._select(scored).row_log_probs
        return SpanPredictions(
            scored.spans[is_candidate], scored.log_probs[is_candidate], row_log_probs
        )

    @torch.no_grad()
    def coverage(self, encoded: Tensor, lengths: Tensor, *, floor: float) -> CoveragePredictions:
        """Return the likeliest spans, and the tokens that lie in a span with at least `floor`.

        Pairs of tokens count as independent: a token is in no span if none of the pairs around it
        is a span.
        """
        scored, tokens, log_probs = [], [], []
        for chunk in self._chunks(encoded):
            scores = self.scores(encoded[chunk])
            is_pair = _pair_mask(scores, lengths[chunk])
            scored.append(_likely_pairs(scores, is_pair, floor=_THRESHOLD, first_row=chunk.start))
            outside = ~is_pair.unsqueeze(3)
            no_span = _sum_around(scores[..., :1].masked_fill(outside, 0.0)).squeeze(2)
            by_label = _sum_around(scores[..., 1:].exp().masked_fill(outside, 0.0))
            chunk_tokens, chunk_log_probs = covered_tokens(
                -torch.expm1(no_span), by_label, floor=floor
            )
            chunk_tokens[:, 0] += chunk.start
            tokens.append(chunk_tokens)
            log_probs.append(chunk_log_probs)
        best = self._select(_concatenate(scored))
        return CoveragePredictions(best, torch.cat(tokens), torch.cat(log_probs))

    def scores(self, encoded: Tensor) -> Tensor:
        """Return the log-probabilities (B, T, T, C) of all pairs of a first and a last token."""
        return finite(self._scores(encoded)).log_softmax(3)

    def _select(self, scored: _SpanScores) -> SpanPredictions:
        """Select well-nested spans above the threshold."""
        indices = (scored.log_probs >= log(_THRESHOLD)).nonzero().squeeze(1)
        spans, log_probs = scored.spans[indices], scored.log_probs[indices]
        kept = _select_well_nested(spans, log_probs, nests=self.nests, levels=self.levels)
        spans, gains = spans[kept], scored.gains[indices[kept]]
        row_log_probs = scored.no_spans.index_add(0, spans[:, 0], gains)
        return SpanPredictions(spans, log_probs[kept], row_log_probs.clamp(max=0.0))

    def _score_spans(self, encoded: Tensor, lengths: Tensor, *, floor: float) -> _SpanScores:
        chunks = []
        for chunk in self._chunks(encoded):
            scores = self.scores(encoded[chunk])
            is_pair = _pair_mask(scores, lengths[chunk])
            chunks.append(_likely_pairs(scores, is_pair, floor=floor, first_row=chunk.start))
        return _concatenate(chunks)

    def _chunks(self, encoded: Tensor) -> Iterator[slice]:
        """Split a batch into rows whose scores fit into memory together."""
        rows, width = encoded.shape[:2]
        step = max(1, _SCORES_PER_CHUNK // (width * width * self.first_linear.out_features))
        return (slice(start, start + step) for start in range(0, rows, step))

    def _scores(self, encoded: Tensor) -> Tensor:
        """Return the scores (B, T, T, C) of all pairs of a first and a last token."""
        rows, width = encoded.shape[:2]
        first = self.dropout(F.gelu(self.first(encoded)))
        last = self.dropout(F.gelu(self.last(encoded)))
        # In single precision from here on: sums over long texts lose precision otherwise.
        product = self.biaffine(first).view(rows, -1, _BIAFFINE_WIDTH) @ last.transpose(1, 2)
        scores: Tensor = product.view(rows, width, -1, width).transpose(2, 3).float()
        scores = scores + self.first_linear(encoded).float().unsqueeze(2)
        scores = scores + self.last_linear(encoded).float().unsqueeze(1)
        sums = F.pad(self.mean_linear(encoded).float().cumsum(1), (0, 0, 1, 0))  # (B, T + 1, C)
        places = torch.arange(width, device=encoded.device)
        span_lengths = (places - places.unsqueeze(1) + 1).clamp(min=1)
        scores = scores + (sums[:, None, 1:] - sums[:, :-1, None]) / span_lengths.unsqueeze(2)
        by_length: Tensor = self.length_embedding(span_lengths.clamp(max=_LENGTHS - 1)).float()
        return scores + by_length


def _likely_pairs(scores: Tensor, is_pair: Tensor, *, floor: float, first_row: int) -> _SpanScores:
    """Return the spans with a probability of at least `floor` of log-probabilities (B, T, T, C)."""
    no_span = scores[..., 0].masked_fill(~is_pair, 0.0)
    spans = ((scores[..., 1:] >= log(floor)) & is_pair.unsqueeze(3)).nonzero()
    row, first, last, label = spans.unbind(1)
    log_probs = scores[row, first, last, label + 1]
    gains = log_probs - no_span[row, first, last]
    spans[:, 0] += first_row
    return _SpanScores(spans, log_probs, gains, no_span.sum((1, 2)))


def _concatenate(chunks: list[_SpanScores]) -> _SpanScores:
    return _SpanScores(*map(torch.cat, zip(*chunks, strict=True)))


def _sum_around(values: Tensor) -> Tensor:
    """Sum values (B, T, T, C) of first and last tokens over the pairs around each token (B, T, C).

    A pair is around a token if its first token is not after it, and its last not before it.
    """
    from_last = values.flip(2).cumsum(2).flip(2)  # over all last tokens from here on
    return from_last.cumsum(1).diagonal(dim1=1, dim2=2).transpose(1, 2)


def _pair_mask(scores: Tensor, lengths: Tensor) -> Tensor:
    """Return the mask (B, T, T) of pairs of a first and a last token of a row."""
    is_pair = torch.ones_like(scores[..., 0], dtype=torch.bool).triu()
    return is_pair & token_mask(scores, lengths).unsqueeze(1)


def _select_well_nested(spans: Tensor, scores: Tensor, *, nests: Tensor, levels: int) -> Tensor:
    """Return the indices, in order, of spans (N, 4) that are well nested.

    In every round each row selects its most probable span and drops those in conflict with it.
    """
    left = scores.argsort(descending=True, stable=True)
    # Number of selected spans around each span, and depth of those selected within it.
    around, within = torch.zeros_like(left), torch.zeros_like(left)
    selected = [left[:0]]
    while len(left):
        row, first, last, label = spans[left].unbind(1)
        rows, row_index = torch.unique(row, return_inverse=True)
        numbers = torch.arange(len(left), device=left.device)
        heads = numbers.new_full((len(rows),), len(left))
        heads = heads.scatter_reduce(0, row_index, numbers, "amin")
        selected.append(left[heads])
        head = heads[row_index]
        begin, end = first[head], last[head]
        is_inside = (begin <= first) & (last <= end)
        is_outside = (first <= begin) & (end <= last)
        is_apart = (last < begin) | (end < first)
        # Depth below an outer span: the selected span, those around both, and those within it.
        depth = around[head] - around + 1 + within[head]
        around = around + is_inside.long()
        within = torch.where(is_outside, torch.maximum(within, depth), within)
        may_nest = (is_inside != is_outside) & (nests[label] | (label != label[head]))
        stays = (is_apart | may_nest) & (around + within < levels)
        left, around, within = left[stays], around[stays], within[stays]
    return torch.cat(selected).sort().values

"""Biaffine span classifier for nested spans.

Every pair of a first and a last token is classified as a span of a label or as no span (Dozat and
Manning 2017; Yu et al. 2020). The score adds to the biaffine product a linear term of the first and
of the last token, of the mean of the tokens in between, and of the length.
`annoseq.models.biaffine_decoder` makes spans of the scores.

Shapes: B rows, T tokens, L labels, H width of the encoding, N spans, C = L + 1 classes, of which
the first is no span.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from annoseq.models.biaffine_decoder import BiaffineDecoder
from annoseq.models.crf import finite
from annoseq.models.expectations import Expectations
from annoseq.models.padding import token_mask
from annoseq.tokenization.bioes import bioes_to_token_spans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from annoseq.tokenization.soft_targets import SoftTargets

_BIAFFINE_WIDTH = 64
"""Width of the projections of first and last tokens."""
_LENGTHS = 40
"""Number of length embeddings; longer spans share the last one."""
_DROPOUT = 0.3
_SCORES_PER_CHUNK = 1 << 23
"""Scores in memory at a time."""


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

    def loss(
        self, encoded: Tensor, tags: Tensor, lengths: Tensor, soft: SoftTargets | None = None
    ) -> Tensor:
        """Return the negative log-likelihood (B,) of the spans in BIOES `tags` (B, T, D).

        `encoded` (B, T, H) are the encodings of the tokens, `lengths` (B,) the number of tokens.
        With `soft`, the cross-entropy with a teacher has a share in it.
        """
        chunks = list(self.chunks(encoded))
        compute = self._loss if len(chunks) == 1 else self._checkpointed_loss
        return torch.cat(
            [
                compute(encoded[chunk], tags[chunk], lengths[chunk], soft and soft.select(chunk))
                for chunk in chunks
            ]
        )

    def _checkpointed_loss(
        self, encoded: Tensor, tags: Tensor, lengths: Tensor, soft: SoftTargets | None
    ) -> Tensor:
        """Recompute the scores in the backward pass, so that only one chunk's are in memory."""
        loss: Tensor = checkpoint(self._loss, encoded, tags, lengths, soft, use_reentrant=False)
        return loss

    def _loss(
        self, encoded: Tensor, tags: Tensor, lengths: Tensor, soft: SoftTargets | None
    ) -> Tensor:
        scores = self._scores(encoded)
        classes = torch.zeros_like(scores[..., 0], dtype=torch.long)
        for level in reversed(tags.unbind(2)):  # of two spans of the same tokens, the outer one
            spans = bioes_to_token_spans(level.numpy(force=True), labels=len(self.nests))
            row, first, last, label = torch.from_numpy(spans).to(level.device).unbind(1)
            classes[row, first, last] = label + 1
        outside = ~_pair_mask(scores, lengths)
        losses = F.cross_entropy(scores.flatten(0, 2), classes.flatten(), reduction="none")
        loss = losses.view_as(classes).masked_fill(outside, 0.0).sum((1, 2))
        if soft is None:
            return loss
        log_probs = scores.log_softmax(3)
        no_spans = -log_probs[..., 0].masked_fill(outside, 0.0).sum((1, 2))
        return torch.lerp(loss, no_spans + soft.pair_loss(log_probs), soft.weights)

    @torch.no_grad()
    def expectations(
        self, encoded: Tensor, lengths: Tensor, *, temperature: float = 1.0
    ) -> Expectations:
        """Return what a pupil of this head learns: the probabilities of the classes of pairs."""
        del lengths
        probabilities = [
            (self.scores(encoded[chunk]) / temperature).softmax(3) for chunk in self.chunks(encoded)
        ]
        return Expectations(torch.cat(probabilities), encoded.new_zeros(len(encoded), 0))

    @property
    def decoder(self) -> BiaffineDecoder:
        """Decoder of the scores."""
        return BiaffineDecoder(self.levels, self.nests.numpy(force=True))

    def scores(self, encoded: Tensor) -> Tensor:
        """Return the log-probabilities (B, T, T, C) of all pairs of a first and a last token."""
        return finite(self._scores(encoded)).log_softmax(3)

    def chunks(self, encoded: Tensor) -> Iterator[slice]:
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


def _pair_mask(scores: Tensor, lengths: Tensor) -> Tensor:
    """Return the mask (B, T, T) of pairs of a first and a last token of a row."""
    is_pair = torch.ones_like(scores[..., 0], dtype=torch.bool).triu()
    return is_pair & token_mask(scores, lengths).unsqueeze(1)

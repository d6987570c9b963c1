"""Spans side by side: a CRF over the tags of tokens.

Shapes: B rows, T tokens, D levels of nesting, K tags, H width of the encoding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from annoseq.models.tagger.candidates import find_candidates
from annoseq.models.tagger.chain import Chain, finite
from annoseq.models.tagger.found import Found
from annoseq.text.tags import spans_of

if TYPE_CHECKING:
    from torch import Tensor


class FlatSpans(nn.Module):
    """Finds spans of which none lies in another."""

    def __init__(self, width: int, *, labels: int) -> None:
        super().__init__()
        self.chain = Chain(labels)
        self.output = nn.Linear(width, self.chain.tags)

    def loss(self, encoded: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """Return the negative log-likelihood (B,) of `tags` (B, T, D), of which it reads level 1.

        `encoded` (B, T, H) is what is known of the tokens, `lengths` (B,) how many there are.
        """
        return self.chain.loss(self._emissions(encoded), tags[:, :, 0], lengths)

    @torch.no_grad()
    def best(self, encoded: Tensor, lengths: Tensor) -> Found:
        """Return the likeliest spans."""
        emissions = self._emissions(encoded)
        tags = self.chain.best(emissions, lengths)
        paths = self.chain.paths(emissions, lengths)
        places = spans_of(tags, labels=self.chain.labels)
        scores = self.chain.log_probabilities(paths, places)
        return Found(places, scores, self.chain.log_likelihood(emissions, tags, lengths, paths))

    @torch.no_grad()
    def candidates(self, encoded: Tensor, lengths: Tensor, *, floor: float, longest: int) -> Found:
        """Return the spans of up to `longest` tokens whose probability is at least `floor`.

        Some may overlap.
        """
        emissions = self._emissions(encoded)
        tags = self.chain.best(emissions, lengths)
        paths = self.chain.paths(emissions, lengths)
        places, scores = find_candidates(self.chain, paths, floor=floor, longest=longest)
        return Found(places, scores, self.chain.log_likelihood(emissions, tags, lengths, paths))

    def _emissions(self, encoded: Tensor) -> Tensor:
        """Return the scores (B, T, K) of all tags."""
        # In single precision: sums over long texts would be lost in less.
        emissions: Tensor = self.output(encoded).float()
        # Spans are whole whatever has overflown, as in half precision.
        return emissions if self.training else finite(emissions)

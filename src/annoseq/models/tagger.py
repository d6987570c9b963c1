"""Span tagger: hashed features, a contextual encoder, and a CRF or biaffine head.

Shapes: B rows, T tokens, D levels of nesting, K tags, H width of the encoding.

It learns the edits and not the text (Malmi et al. 2019, LaserTagger): one pass tells for every
token what to open and close around it. Where the training spans lie side by side, a CRF over tags
finds them; where some lie within others, a classifier of pairs of tokens does.

Shapes: B rows, T tokens, D levels of nesting, H width of the encoding, N spans.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from annoseq.models.biaffine import BiaffineHead
from annoseq.models.crf import LinearChainCrf, finite
from annoseq.models.encoders import build_encoder
from annoseq.models.hash_embedding import HashEmbedding
from annoseq.models.interfaces import SpanPredictions
from annoseq.models.span_marginals import likely_spans
from annoseq.tokenization.bioes import ScoredTokenSpans, TokenSpan, bioes_to_token_spans

if TYPE_CHECKING:
    from annoseq.config import TaggerConfig
    from annoseq.tokenization.batching import Batch
    from annoseq.tokenization.hash_features import FeatureHasher


class CrfHead(nn.Module):
    """Finds spans of which none lies in another."""

    def __init__(self, width: int, *, labels: int) -> None:
        super().__init__()
        self.chain = LinearChainCrf(labels)
        self.output = nn.Linear(width, self.chain.tags)

    def loss(self, encoded: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """Return the negative log-likelihood (B,) of `tags` (B, T, D), of which it reads level 1.

        `encoded` (B, T, H) is what is known of the tokens, `lengths` (B,) how many there are.
        """
        return self.chain.loss(self._emissions(encoded), tags[:, :, 0], lengths)

    @torch.no_grad()
    def best(self, encoded: Tensor, lengths: Tensor) -> SpanPredictions:
        """Return the likeliest spans."""
        emissions = self._emissions(encoded)
        tags = self.chain.best(emissions, lengths)
        paths = self.chain.paths(emissions, lengths)
        places = bioes_to_token_spans(tags, labels=self.chain.labels)
        scores = self.chain.log_probabilities(paths, places)
        return SpanPredictions(places, scores, self.chain.log_likelihood(emissions, tags, lengths, paths))

    @torch.no_grad()
    def candidates(self, encoded: Tensor, lengths: Tensor, *, floor: float, longest: int) -> SpanPredictions:
        """Return the spans of up to `longest` tokens whose probability is at least `floor`.

        Some may overlap.
        """
        emissions = self._emissions(encoded)
        tags = self.chain.best(emissions, lengths)
        paths = self.chain.paths(emissions, lengths)
        places, scores = likely_spans(self.chain, paths, floor=floor, longest=longest)
        return SpanPredictions(places, scores, self.chain.log_likelihood(emissions, tags, lengths, paths))

    def _emissions(self, encoded: Tensor) -> Tensor:
        """Return the scores (B, T, K) of all tags."""
        # In single precision: sums over long texts would be lost in less.
        emissions: Tensor = self.output(encoded).float()
        # Spans are whole whatever has overflown, as in half precision.
        return emissions if self.training else finite(emissions)


_REMEMBERED = 1 << 16
"""How many tokens' vectors are kept when nothing is learned: any number of texts may come."""


class Tagger(nn.Module):
    """A `Labeller`; `batch.source` (B, T) are numbers of `words`."""

    def __init__(
        self,
        config: TaggerConfig,
        *,
        words: FeatureHasher,
        labels: int,
        levels: int,
        self_nested: list[int],
    ) -> None:
        super().__init__()
        self.words = words
        self.vectors = HashEmbedding(
            buckets=config.buckets,
            width=config.embedding,
            word_dropout=config.word_dropout,
            columns=0 if words.vectors is None else words.vectors.columns,
        )
        self.encoder = build_encoder(config, width=self.vectors.width)
        self.finder = (
            CrfHead(2 * config.hidden, labels=labels)
            if levels == 1
            else BiaffineHead(
                2 * config.hidden, labels=labels, levels=levels, self_nested=self_nested
            )
        )
        self._kept: Tensor | None = None
        self._age = words.age

    def train(self, mode: bool = True) -> Tagger:
        """Forget the vectors that were kept: the weights change."""
        self._kept = None
        return super().train(mode)

    def encode(self, batch: Batch) -> Tensor:
        """Read a batch; return what is known of each token (B, T, 2 H)."""
        numbers, lengths = batch.source, batch.source_lengths
        unique, places = torch.unique(numbers, return_inverse=True)
        if self.training or torch.is_grad_enabled():
            # Indexing would add up gradients in an order that threads race for.
            words = F.embedding(places, self._compute(unique))
            encoded: Tensor = self.encoder(words, lengths)
            return encoded
        return self.encoder.read(self._recall(unique), places, lengths)

    def loss(self, batch: Batch) -> Tensor:
        """Return the negative log-likelihood (B,) of the tags `batch.target` (B, T, D)."""
        assert batch.target is not None
        return self.finder.loss(self.encode(batch), batch.target, batch.source_lengths)

    @torch.no_grad()
    def spans(self, batch: Batch) -> list[ScoredTokenSpans]:
        """Return the likeliest spans of every row, with log-probabilities."""
        return _by_row(self.finder.best(self.encode(batch), batch.source_lengths))

    @torch.no_grad()
    def candidates(self, batch: Batch, *, floor: float, longest: int) -> list[ScoredTokenSpans]:
        """Return all spans of every row that have at least the probability `floor`.

        None has more than `longest` tokens, and some may cross. The score of a row is that of its
        likeliest spans, as of `spans`.
        """
        encoded = self.encode(batch)
        return _by_row(
            self.finder.candidates(encoded, batch.source_lengths, floor=floor, longest=longest)
        )

    def _recall(self, numbers: Tensor) -> Tensor:
        """Return the vectors (W, D) of tokens, of which most have been met before."""
        if self._age != self.words.age:
            self._kept, self._age = None, self.words.age
        kept = 0 if self._kept is None else len(self._kept)
        known = min(len(self.words), _REMEMBERED)
        if kept < known:
            new = self._compute(torch.arange(kept, known))
            self._kept = new if self._kept is None else torch.cat([self._kept, new])
        assert self._kept is not None
        old = numbers < known
        return torch.cat([self._kept[numbers[old]], self._compute(numbers[~old])])

    def _compute(self, numbers: Tensor) -> Tensor:
        device = next(self.parameters()).device
        assert isinstance(device, torch.device)
        return self.vectors(self.words.bags(numbers.tolist()).to(device))  # type: ignore[no-any-return]


def _by_row(found: SpanPredictions) -> list[ScoredTokenSpans]:
    """Put the spans of each row together, in opening order."""
    rows: list[list[TokenSpan]] = [[] for _ in found.total]
    for (row, first, last, label), score in zip(
        found.places.tolist(), found.scores.tolist(), strict=True
    ):
        rows[row].append(TokenSpan(first, last + 1, label, score))
    for spans in rows:
        spans.sort(key=lambda span: (span.first, -span.last))
    return list(map(ScoredTokenSpans, rows, found.total.tolist()))

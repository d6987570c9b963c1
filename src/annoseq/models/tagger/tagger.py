"""The tagger: features, an encoder, and a CRF for each level of nesting.

It learns the edits and not the text (Malmi et al. 2019, LaserTagger): one pass tells for every
token what to open and close around it. Level 1 has the outermost spans. The spans of every further
level lie within one span of the level above, which the emissions are masked for, so that whatever
the weights are, spans nest.

Shapes: B rows, T tokens, D levels, K tags, N spans.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from annoseq.models.tagger.chain import Chain, finite
from annoseq.models.tagger.encoders import build_encoder
from annoseq.models.tagger.words import WordVectors
from annoseq.text.tags import bounds_of, found_spans, spans_of
from annoseq.text.token_span import Marked

if TYPE_CHECKING:
    from annoseq.config import TaggerConfig
    from annoseq.text.batches import Batch
    from annoseq.text.features import Words

_REMEMBERED = 1 << 16
"""How many tokens' vectors are kept when nothing is learned: any number of texts may come."""


class Tagger(nn.Module):
    """A `Labeller`; `batch.source` (B, T) are numbers of `words`."""

    nests: Tensor

    def __init__(
        self,
        config: TaggerConfig,
        *,
        words: Words,
        labels: int,
        levels: int,
        self_nested: list[int],
    ) -> None:
        super().__init__()
        self.words = words
        self.vectors = WordVectors(
            buckets=config.buckets, width=config.embedding, word_dropout=config.word_dropout
        )
        self.encoder = build_encoder(config, width=self.vectors.width)
        self.chains = nn.ModuleList(Chain(labels) for _ in range(levels))
        tags = 4 * labels + 1
        self.outputs = nn.ModuleList(nn.Linear(2 * config.hidden, tags) for _ in range(levels))
        # What the tag of the level above says of the tag below it.
        self.above = nn.ModuleList(nn.Embedding(tags, tags) for _ in range(levels - 1))
        for one in self.above:
            nn.init.zeros_(one.weight)  # type: ignore[arg-type]
        nests = torch.zeros(labels, dtype=torch.bool)
        nests[self_nested] = True
        self.register_buffer("nests", nests, persistent=False)
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
            encoded: Tensor = self.encoder(self._compute(unique)[places], lengths)
            return encoded
        return self.encoder.read(self._recall(unique), places, lengths)

    def loss(self, batch: Batch) -> Tensor:
        """Return the negative log-likelihood (B,) of the tags `batch.target` (B, T, D)."""
        assert batch.target is not None
        encoded = self.encode(batch)
        total = encoded.new_zeros(len(encoded), dtype=torch.float32)
        for level in range(len(self.chains)):
            tags = batch.target[:, :, level]
            above = batch.target[:, :, level - 1] if level else None
            rows = _needed(tags, above)
            emissions = self._emissions(
                encoded[rows], level, None if above is None else above[rows]
            )
            lengths = batch.source_lengths[rows.to(batch.source_lengths.device)]
            losses = self._chain(level).loss(emissions, tags[rows], lengths)
            total = total.index_add(0, rows, losses)
        return total

    @torch.no_grad()
    def spans(self, batch: Batch) -> list[Marked]:
        """Return the likeliest spans of every row, with log-probabilities.

        That of a nested span is given the span around it.
        """
        encoded = self.encode(batch)
        found: list[tuple[Tensor, Tensor]] = []
        above: Tensor | None = None
        total = encoded.new_zeros(len(encoded), dtype=torch.float32)
        rows = torch.arange(len(encoded), device=encoded.device)
        for level in range(len(self.chains)):
            chain = self._chain(level)
            lengths = batch.source_lengths[rows.to(batch.source_lengths.device)]
            emissions = self._emissions(encoded[rows], level, above)
            tags = chain.best(emissions, lengths)
            paths = chain.paths(emissions, lengths)
            total = total.index_add(0, rows, chain.log_likelihood(emissions, tags, lengths, paths))
            places = spans_of(tags, labels=chain.labels)
            if not len(places):
                break
            scores = chain.log_probabilities(paths, places)
            places[:, 0] = rows[places[:, 0]]
            found.append((places, scores))
            has_spans = (tags > 0).any(1)
            above, rows = tags[has_spans], rows[has_spans]
        spans = found_spans(found, rows=len(encoded))
        return list(map(Marked, spans, total.tolist()))

    def _chain(self, level: int) -> Chain:
        chain = self.chains[level]
        assert isinstance(chain, Chain)
        return chain

    def _emissions(self, encoded: Tensor, level: int, above: Tensor | None) -> Tensor:
        """Return the scores (B, T, K) of all tags, -inf where one would cross the level above."""
        # In single precision: sums over long texts would be lost in less.
        emissions: Tensor = self.outputs[level](encoded).float()
        if above is not None:
            emissions = emissions + self.above[level - 1](above).float()
        if not self.training:  # spans are whole whatever has overflown, as in half precision
            emissions = finite(emissions)
        if above is None:
            return emissions
        allowed = bounds_of(above, labels=self._chain(level).labels, nests=self.nests)
        return emissions.masked_fill(~allowed, -torch.inf)

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
        device = self.outputs[0].weight.device
        assert isinstance(device, torch.device)
        return self.vectors(self.words.bags(numbers.tolist()).to(device))  # type: ignore[no-any-return]


def _needed(tags: Tensor, above: Tensor | None) -> Tensor:
    """Return the rows of which a level must be read: those with a span of the level above."""
    if above is None:
        return torch.arange(len(tags), device=tags.device)
    return (above > 0).any(1).nonzero().squeeze(1)

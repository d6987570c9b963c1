"""Span tagger: hashed features, contextual encoders, and a CRF or biaffine head.

The tagger predicts edits instead of text (Malmi et al. 2019, LaserTagger): one pass tells for every
token which tags to open and close around it. Where the training spans are flat, the head is a CRF
over BIOES tags; where some are nested, it is a biaffine classifier of pairs of tokens.

Shapes: B rows, T tokens, D levels of nesting, K tags, H width of the encoding, N spans, W distinct
tokens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from annoseq.kernels import selection as kernels
from annoseq.models.biaffine import BiaffineHead
from annoseq.models.crf import LinearChainCrf, finite
from annoseq.models.embeddings import HashEmbedding
from annoseq.models.encoders import build_encoder
from annoseq.models.expectations import crf_expectations
from annoseq.models.span_decoder import rows_of_like_length
from annoseq.tokenization.hash_features import FEATURE_KINDS, SHAPE_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from annoseq.config import TaggerConfig
    from annoseq.models.crf_decoder import CrfDecoder
    from annoseq.models.expectations import Expectations
    from annoseq.models.pretrained_encoder import PretrainedEncoder
    from annoseq.tokenization.batching import Batch
    from annoseq.tokenization.bioes import ScoredTokenSpans
    from annoseq.tokenization.hash_features import FeatureHasher
    from annoseq.tokenization.soft_targets import SoftTargets


class CrfHead(nn.Module):
    """Span head for flat spans: emissions and a linear-chain CRF."""

    def __init__(self, width: int, *, labels: int) -> None:
        super().__init__()
        self.crf = LinearChainCrf(labels)
        self.output = nn.Linear(width, self.crf.tags)

    def loss(
        self, encoded: Tensor, tags: Tensor, lengths: Tensor, soft: SoftTargets | None = None
    ) -> Tensor:
        """Return the negative log-likelihood (B,) of the first level of `tags` (B, T, D).

        `encoded` (B, T, H) are the encodings of the tokens, `lengths` (B,) the number of tokens.
        With `soft`, the cross-entropy with a teacher has a share in it.
        """
        return self.crf.loss(self._emissions(encoded), tags[:, :, 0], lengths, soft)

    @torch.no_grad()
    def expectations(
        self, encoded: Tensor, lengths: Tensor, *, temperature: float = 1.0
    ) -> Expectations:
        """Return what a pupil of this head learns: expected tags and transitions."""
        emissions = self._emissions(encoded)
        return crf_expectations(self.crf, emissions, lengths, temperature=temperature)

    @property
    def decoder(self) -> CrfDecoder:
        """Decoder of the scores."""
        return self.crf.decoder

    def chunks(self, encoded: Tensor) -> Iterator[slice]:
        """Return all rows of a batch: their scores fit into memory together."""
        return iter([slice(len(encoded))])

    def scores(self, encoded: Tensor) -> Tensor:
        """Return the scores (B, T, K) of all tags."""
        # In single precision: sums over long texts lose precision otherwise.
        scores: Tensor = self.output(encoded).float()
        return scores

    def _emissions(self, encoded: Tensor) -> Tensor:
        """Return the scores (B, T, K) of all tags."""
        emissions = self.scores(encoded)
        # Spans stay whole even where half precision has overflown.
        return emissions if self.training else finite(emissions)


_MAX_CACHED = 1 << 15
"""Number of tokens that are cached at inference: 128 MiB with the default network."""

_MIN_PROJECTED = 32
"""Tokens that are projected together at least: a product of less than about eight rows adds in
another order, and the last digits of a token would depend on the texts before."""


class _RowCache:
    """Growing tensor of at most `_MAX_CACHED` rows (N, ...).

    On a CPU, it has room for all from the start, because memory is taken for what is used of it;
    elsewhere for twice as many rows as there are, so that few are ever copied.
    """

    def __init__(self) -> None:
        self._memory: Tensor | None = None
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def rows(self) -> Tensor:
        """Return all rows."""
        assert self._memory is not None
        return self._memory[: self._size]

    def append(self, new: Tensor) -> None:
        """Append rows."""
        size = self._size + len(new)
        if self._memory is None or size > len(self._memory):
            room = _MAX_CACHED if new.device.type == "cpu" else 2 * size
            memory = new.new_empty(max(size, room), *new.shape[1:])
            if self._memory is not None:
                memory[: self._size] = self.rows()
            self._memory = memory
        self._memory[self._size : size] = new
        self._size = size

    def clear(self) -> None:
        """Remove all rows."""
        self._memory, self._size = None, 0


class SpanTagger(nn.Module, ABC):
    """Network that encodes tokens, with a head that scores tags or pairs of tokens."""

    head: CrfHead | BiaffineHead

    @abstractmethod
    def encode(self, batch: Batch) -> Tensor:
        """Return the encodings (B, T, H) of the tokens of a batch."""

    def scores_in_one_pass(self, batch: Batch) -> Tensor | None:
        """Return what `scores` does, if one pass without encodings computes it."""
        del batch
        return None

    @torch.no_grad()
    def scores(self, batch: Batch) -> Tensor:
        """Return the scores of the head: of tags (B, T, K), or of pairs of tokens (B, T, T, C)."""
        return self.head.scores(self.encode(batch))

    def spans(self, batch: Batch) -> list[ScoredTokenSpans]:
        """Return the likeliest spans of every row (B,), well nested, with log-probabilities."""
        decoder = self.head.decoder
        return [
            row
            for scores, lengths in self._scores_by_chunk(batch)
            for row in decoder.decode(scores, lengths).by_row()
        ]

    def candidates(self, batch: Batch, *, floor: float, longest: int) -> list[ScoredTokenSpans]:
        """Return all spans of every row (B,) whose probability is at least `floor`.

        None has more than `longest` tokens; spans may cross. The score of a row is that of its
        likeliest spans, as in `spans`.
        """
        decoder = self.head.decoder
        return [
            row
            for scores, lengths in self._scores_by_chunk(batch)
            for row in decoder.candidates(scores, lengths, floor=floor, longest=longest).by_row()
        ]

    def coverage(
        self, batch: Batch, *, floor: float
    ) -> list[tuple[ScoredTokenSpans, ScoredTokenSpans]]:
        """Return the likeliest spans of every row (B,), and its tokens that lie in any span.

        Each token that does so with a probability of at least `floor` is a span of its own, with
        its likeliest label.
        """
        rows: list[tuple[ScoredTokenSpans, ScoredTokenSpans]] = []
        for scores, lengths in self._scores_by_chunk(batch):
            best, tokens = self.head.decoder.coverage(scores, lengths, floor=floor)
            rows += zip(best.by_row(), tokens.by_row(), strict=True)
        return rows

    @torch.no_grad()
    def expectations(self, batch: Batch, *, temperature: float = 1.0) -> Expectations:
        """Return the expected tags or pairs of every row, from which another tagger can learn."""
        lengths = batch.source_lengths
        return self.head.expectations(self.encode(batch), lengths, temperature=temperature)

    @torch.no_grad()
    def _scores_by_chunk(self, batch: Batch) -> Iterator[tuple[NDArray[Any], NDArray[np.int64]]]:
        """Yield the scores of the head and the lengths of rows of about the same length.

        Of these, no more than fit into memory.
        """
        lengths = batch.source_lengths.numpy(force=True)
        if (scores := self.scores_in_one_pass(batch)) is not None:
            yield scores.numpy(), lengths
            return
        encoded = self.encode(batch)
        for alike in rows_of_like_length(lengths):
            part, part_lengths = encoded[alike, : lengths[alike].max()], lengths[alike]
            for rows in self.head.chunks(part):
                yield self.head.scores(part[rows]).numpy(force=True), part_lengths[rows]


class Tagger(SpanTagger):
    """Span tagger over batches whose `source` (B, T) are token ids of `feature_hasher`.

    The vectors of a pre-trained encoder, if there is one, are read beside the hashed features.
    """

    def __init__(
        self,
        config: TaggerConfig,
        *,
        feature_hasher: FeatureHasher,
        labels: int,
        levels: int,
        self_nested: list[int],
        pretrained: PretrainedEncoder | None = None,
    ) -> None:
        super().__init__()
        self.feature_hasher = feature_hasher
        self.pretrained = pretrained
        self.embedding = HashEmbedding(
            buckets=config.buckets,
            width=config.embedding,
            word_dropout=config.word_dropout,
            columns=0 if feature_hasher.vectors is None else feature_hasher.vectors.columns,
            kinds=range(FEATURE_KINDS) if config.features == "all" else SHAPE_KINDS,
        )
        width = self.embedding.width + (0 if pretrained is None else pretrained.width)
        self.encoder = build_encoder(config, width=width)
        self.head = (
            CrfHead(2 * config.hidden, labels=labels)
            if levels == 1
            else BiaffineHead(
                2 * config.hidden, labels=labels, levels=levels, self_nested=self_nested
            )
        )
        self._cache = _RowCache()
        self._generation = feature_hasher.generation

    def train(self, mode: bool = True) -> Tagger:
        """Set the mode, and discard the cached projections, because the weights may change."""
        self._cache.clear()
        return super().train(mode)

    def encode(self, batch: Batch) -> Tensor:
        """Return the encodings (B, T, 2 H) of the tokens of a batch."""
        ids, lengths = batch.source, batch.source_lengths
        if self.pretrained is None and not self.training and not torch.is_grad_enabled():
            return self.encoder.encode_projected(*self._project(ids), lengths)
        unique, places = torch.unique(ids, return_inverse=True)
        # The gradient of indexing would be summed up in an order that depends on threads.
        vectors = F.embedding(places, self._embed(unique))
        if self.pretrained is not None:
            vectors = torch.cat([vectors, self.pretrained(self.feature_hasher, ids, lengths)], 2)
        encoded: Tensor = self.encoder(vectors, lengths)
        return encoded

    @torch.no_grad()
    def scores_in_one_pass(self, batch: Batch) -> Tensor | None:
        """Return the scores (B, T, K) of all tags, if a compiled kernel computes them."""
        head = self.head
        if self.pretrained is not None or self.training or not isinstance(head, CrfHead):
            return None
        if not kernels.are_used():
            return None
        projected, places = self._project(batch.source)
        return self.encoder.score_projected(projected, places, batch.source_lengths, head.output)

    def loss(self, batch: Batch) -> Tensor:
        """Return the negative log-likelihood (B,) of the tags `batch.target` (B, T, D).

        Soft targets of the batch, if it has any, have a share in it.
        """
        return self.loss_of_encoded(self.encode(batch), batch)

    def loss_of_encoded(self, encoded: Tensor, batch: Batch) -> Tensor:
        """Return what `loss` does, for the encodings (B, T, 2 H) of the tokens."""
        assert batch.target is not None
        return self.head.loss(encoded, batch.target, batch.source_lengths, batch.soft_targets)

    def _project(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return projections of tokens for the encoder, most of them cached, and places in them.

        Tokens that are met often are met early, so those met first are cached.
        """
        hasher, cache = self.feature_hasher, self._cache
        if self._generation != hasher.generation:
            self._generation = hasher.generation
            cache.clear()
        if len(cache) < (size := min(len(hasher), _MAX_CACHED)):
            cache.append(self._project_new(torch.arange(len(cache), size)))
        if int(ids.max()) < len(cache):
            return cache.rows(), ids
        unique, places = torch.unique(ids, return_inverse=True)
        is_cached = unique < len(cache)
        new = self._project_new(unique[~is_cached])
        return torch.cat([cache.rows()[unique[is_cached]], new]), places

    def _project_new(self, ids: Tensor) -> Tensor:
        """Return the projections of tokens, which do not depend on what other tokens are new."""
        padding = ids[-1:].expand(max(0, _MIN_PROJECTED - len(ids)))
        projected = self.encoder.project(self._embed(torch.cat([ids, padding])))
        return projected[: len(ids)]

    def _embed(self, ids: Tensor) -> Tensor:
        return self.embedding(self.feature_hasher.bags(ids.tolist()))  # type: ignore[no-any-return]

"""Predictor of a tagger in an ONNX file, which runs without torch."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from annoseq.config import BatchConfig
from annoseq.inference.predictor import TokenizedText, hasher_lock, tokenize_texts
from annoseq.models.onnx_encoder import OnnxEncoder
from annoseq.models.onnx_model import (
    CONTEXT_INPUT,
    EMBEDDED,
    FEATURE_INPUTS,
    SCORE_INPUTS,
    SCORES,
    VECTORS_INPUT,
)
from annoseq.models.span_decoder import rows_of_like_length
from annoseq.tokenization.hash_features import table_sizes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from annoseq.inference.predictor import SpanQuery
    from annoseq.models.onnx_model import OnnxModel
    from annoseq.models.span_decoder import SpanDecoder
    from annoseq.tokenization.batching import TokenIds
    from annoseq.tokenization.bioes import ScoredTokenSpans
    from annoseq.tokenization.hash_features import FeatureBags

_FEATURES_PER_RUN = 1 << 15
"""Features of tokens that are embedded at a time: 8 MiB of a table with 64 columns."""
_MIN_TOKENS = 8
"""Tokens that are embedded together at least: a single one is summed in another order, and its last
digits would depend on what else is new."""
_MAX_CACHED = 1 << 15
"""Tokens whose vectors are kept: 128 MiB of the input gates of an LSTM with 128 units."""
_PAIRS_PER_RUN = 1 << 23
"""Scores of pairs of tokens in memory at a time, for nested spans."""


@dataclass(frozen=True)
class OnnxPredictor:
    """Predictor of a tagger in an ONNX file: all spans of a window in one pass."""

    model: OnnxModel
    default_batching: BatchConfig = BatchConfig(batch_size=256, batch_tokens=16_384)
    gives_marginals: bool = True
    generator: None = None
    _cache: _VectorCache = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_cache", _VectorCache(self.model))

    @property
    def labels(self) -> Sequence[str]:
        """Labels by number."""
        return self.model.tokenizer.labels

    @cached_property
    def _decoder(self) -> SpanDecoder:
        return self.model.decoder

    @contextmanager
    def exclusive_use(self) -> Iterator[None]:
        """Lock the caches of tokens, and empty them if they have grown large."""
        hasher = self.model.tokenizer.feature_hasher
        with hasher_lock(hasher):
            hasher.clear_if_large()
            yield

    def tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Tokenize texts, and cut them into windows."""
        return tokenize_texts(texts, self.model.tokenizer)

    def predict_batch(
        self, windows: Sequence[TokenIds], query: SpanQuery, *, names: Sequence[str]
    ) -> list[list[ScoredTokenSpans]]:
        """Return the outputs of each window: one, or two of a query of coverage."""
        step = self._rows_per_run(max(map(len, windows)))
        return [
            outputs
            for start in range(0, len(windows), step)
            for outputs in self._predict(windows[start : start + step], query)
        ]

    @property
    def _is_flat(self) -> bool:
        """True if the head is a CRF, which scores tokens, and no pairs of tokens."""
        return self.model.metadata.transitions is not None

    def _rows_per_run(self, width: int) -> int:
        """Return the number of rows whose scores fit into memory together."""
        if self._is_flat:
            return self.default_batching.batch_size
        return max(1, _PAIRS_PER_RUN // (width * width * (len(self.labels) + 1)))

    def _predict(
        self, windows: Sequence[TokenIds], query: SpanQuery
    ) -> Iterator[list[ScoredTokenSpans]]:
        scores, lengths = self.scores(windows), np.array([len(window) for window in windows])
        for rows in rows_of_like_length(lengths):
            width = lengths[rows].max()
            part = scores[rows, :width]
            if not self._is_flat:
                part = part[:, :, :width]  # of pairs of tokens
            yield from self._decode(part, lengths[rows], query)

    def _decode(
        self, scores: NDArray[np.float32], lengths: NDArray[np.int64], query: SpanQuery
    ) -> Iterator[list[ScoredTokenSpans]]:
        if query.coverage_floor is not None:
            best, tokens = self._decoder.coverage(scores, lengths, floor=query.coverage_floor)
            return map(list, zip(best.by_row(), tokens.by_row(), strict=True))
        if query.floor is None:
            found = self._decoder.decode(scores, lengths)
        else:
            found = self._decoder.candidates(
                scores, lengths, floor=query.floor, longest=self.model.tokenizer.widest
            )
        return ([row] for row in found.by_row())

    def scores(self, windows: Sequence[TokenIds]) -> NDArray[np.float32]:
        """Return the scores (B, T, ...) of the head for windows of token ids."""
        lengths = np.array([len(window) for window in windows])
        ids = np.zeros((len(windows), lengths.max()), np.int64)
        ids[np.arange(ids.shape[1]) < lengths[:, None]] = np.concatenate(windows)
        arrays: tuple[NDArray[Any], ...] = (*self._cache.take(ids), lengths)
        inputs = dict(zip(SCORE_INPUTS, arrays, strict=True))
        if self._encoder is not None:
            inputs[CONTEXT_INPUT] = self._encoder.vectors(ids, lengths)
        return self.model.run(SCORES, inputs)

    @cached_property
    def _encoder(self) -> OnnxEncoder | None:
        files = self.model.metadata.encoder
        return None if files is None else OnnxEncoder(self.model, files)


class _VectorCache:
    """Vectors (W, D) of the tokens that a feature hasher has met, computed once for each."""

    def __init__(self, model: OnnxModel) -> None:
        self._model = model
        self._hasher = model.tokenizer.feature_hasher
        sizes = table_sizes(model.config.network.tagger.buckets)
        self._sizes = [sizes[kind] for kind in model.kinds]
        self._vectors = np.empty((0, model.vector_width), np.float32)
        self._count = 0
        self._generation = self._hasher.generation

    def take(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return vectors (W, D), and the places (B, T) of tokens in them.

        Tokens that are met often are met early, so those met first are kept.
        """
        if self._generation != self._hasher.generation:
            self._count, self._generation = 0, self._hasher.generation
        size = min(len(self._hasher), _MAX_CACHED)
        if self._count < size:
            self._append(self._embed(np.arange(self._count, size)))
        known = self._vectors[: self._count]
        if ids.max() < len(known):
            return known, ids
        unique, places = np.unique(ids, return_inverse=True)
        is_known = unique < len(known)
        new = self._embed(unique[~is_known])
        return np.concatenate([known[unique[is_known]], new]), places.reshape(ids.shape)

    def _embed(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors (W, D) of tokens, those with about as many features together."""
        bags = self._hasher.bags(ids.tolist())
        counts = [
            np.diff(bags.starts[kind], append=len(bags.ids[kind])) for kind in self._model.kinds
        ]
        total = np.sum(counts, 0)
        order = np.argsort(total, kind="stable")[::-1]
        vectors = np.empty((len(ids), self._vectors.shape[1]), np.float32)
        start = 0
        while start < len(ids):
            step = max(1, _FEATURES_PER_RUN // max(int(total[order[start]]), 1))
            chosen = order[start : start + step]
            run = np.resize(chosen, max(len(chosen), _MIN_TOKENS))
            found = self._model.run(EMBEDDED, self._inputs(bags, counts, run))
            vectors[chosen] = found[: len(chosen)]
            start += step
        return vectors

    def _append(self, vectors: NDArray[np.float32]) -> None:
        end = self._count + len(vectors)
        if end > len(self._vectors):
            grown = np.empty((max(end, 2 * len(self._vectors)), vectors.shape[1]), np.float32)
            grown[: self._count] = self._vectors[: self._count]
            self._vectors = grown
        self._vectors[self._count : end] = vectors
        self._count = end

    def _inputs(
        self, bags: FeatureBags, counts: Sequence[NDArray[np.int64]], chosen: NDArray[np.int64]
    ) -> dict[str, NDArray[Any]]:
        """Return the hashed features of the `chosen` tokens as inputs of the graph, padded.

        The tables of all kinds are one, whose last row is zero and stands for no feature.
        """
        inputs: dict[str, NDArray[Any]] = {}
        offset, padding = 0, sum(self._sizes)
        for kind, size, all_counts in zip(self._model.kinds, self._sizes, counts, strict=True):
            own = all_counts[chosen, None]
            columns = np.arange(max(int(own.max()), 1))
            is_feature = columns < own
            places = (bags.starts[kind][chosen, None] + columns)[is_feature]
            rows = np.full(is_feature.shape, padding)
            rows[is_feature] = bags.ids[kind][places] + offset
            inputs[FEATURE_INPUTS[kind]] = rows
            offset += size
        if bags.vectors is not None:
            inputs[VECTORS_INPUT] = bags.vectors[chosen]
        return inputs

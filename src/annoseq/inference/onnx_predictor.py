"""Predictor of a tagger in an ONNX file, which runs without torch."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from annoseq.config import BatchConfig
from annoseq.inference.predictor import TokenizedText, hasher_lock, tokenize_texts
from annoseq.models.onnx_model import FEATURE_INPUTS, SCORE_INPUTS, VECTORS_INPUT
from annoseq.tokenization.hash_features import FEATURE_KINDS, table_offsets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from annoseq.inference.predictor import SpanQuery
    from annoseq.models.onnx_model import OnnxModel
    from annoseq.models.span_decoder import SpanDecoder
    from annoseq.tokenization.batching import TokenIds
    from annoseq.tokenization.bioes import ScoredTokenSpans

_TOKENS_PER_RUN = 2048
"""Tokens that are embedded at a time, which bounds memory to about 100 MB."""
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

    def _rows_per_run(self, width: int) -> int:
        """Return the number of rows whose scores fit into memory together."""
        if self.model.metadata.transitions is not None:
            return self.default_batching.batch_size
        return max(1, _PAIRS_PER_RUN // (width * width * (len(self.labels) + 1)))

    def _predict(
        self, windows: Sequence[TokenIds], query: SpanQuery
    ) -> Iterator[list[ScoredTokenSpans]]:
        lengths = np.array([len(window) for window in windows])
        scores = self.scores(windows)
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
        vectors, places = self._cache.take(ids)
        arrays: tuple[NDArray[Any], ...] = (vectors, places, lengths)
        inputs = dict(zip(SCORE_INPUTS, arrays, strict=True))
        return self.model.run("scores", {**self._cache.no_features, **inputs})


class _VectorCache:
    """Vectors (W, D) of the tokens that a feature hasher has met, computed once for each."""

    def __init__(self, model: OnnxModel) -> None:
        self._model = model
        self._hasher = model.tokenizer.feature_hasher
        self._offsets = table_offsets(model.config.network.tagger.buckets)
        self._vectors = np.empty((0, model.vector_width), np.float32)
        self._count = 0
        self._generation = self._hasher.generation
        self.no_features = self._inputs([])
        """Inputs of the first part of the graph where the second is wanted."""
        one = np.zeros((1, 1), np.int64)
        values = (np.zeros((1, model.vector_width), np.float32), one, one[0] + 1)
        self._no_scores = dict(zip(SCORE_INPUTS, values, strict=True))

    def take(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return vectors (W, D), and the places (B, T) of tokens in them.

        Tokens that are met often are met early, so those met first are kept.
        """
        if self._generation != self._hasher.generation:
            self._count, self._generation = 0, self._hasher.generation
        size = min(len(self._hasher), _MAX_CACHED)
        if self._count < size:
            self._append(self._embed(range(self._count, size)))
        known = self._vectors[: self._count]
        if ids.max() < len(known):
            return known, ids
        unique, places = np.unique(ids, return_inverse=True)
        is_known = unique < len(known)
        new = self._embed(unique[~is_known].tolist())
        return np.concatenate([known[unique[is_known]], new]), places.reshape(ids.shape)

    def _embed(self, ids: Sequence[int]) -> NDArray[np.float32]:
        return np.concatenate(
            [
                self._model.run(
                    "embedded",
                    {**self._inputs(ids[start : start + _TOKENS_PER_RUN]), **self._no_scores},
                )
                for start in range(0, len(ids), _TOKENS_PER_RUN)
            ]
        )

    def _append(self, vectors: NDArray[np.float32]) -> None:
        end = self._count + len(vectors)
        if end > len(self._vectors):
            grown = np.empty((max(end, 2 * len(self._vectors)), vectors.shape[1]), np.float32)
            grown[: self._count] = self._vectors[: self._count]
            self._vectors = grown
        self._vectors[self._count : end] = vectors
        self._count = end

    def _inputs(self, ids: Sequence[int]) -> dict[str, NDArray[Any]]:
        """Return the hashed features of tokens as inputs of the graph."""
        bags = self._hasher.bags(ids)
        counts = np.stack(
            [
                np.diff(starts, append=len(rows))
                for starts, rows in zip(bags.starts, bags.ids, strict=True)
            ],
            1,
        )
        features = [rows + offset for rows, offset in zip(bags.ids, self._offsets, strict=True)]
        places = [
            np.repeat(np.arange(len(counts)) * FEATURE_KINDS + kind, counts[:, kind])
            for kind in range(FEATURE_KINDS)
        ]
        values = (np.concatenate(features), np.concatenate(places), counts)
        inputs: dict[str, NDArray[Any]] = dict(zip(FEATURE_INPUTS, values, strict=True))
        if bags.vectors is not None:
            inputs[VECTORS_INPUT] = bags.vectors
        return inputs

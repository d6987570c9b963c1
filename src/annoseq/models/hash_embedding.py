"""Embedding of hashed token features, with optional word vectors from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from annoseq.tokenization.hash_features import FEATURE_KINDS, table_sizes

if TYPE_CHECKING:
    from annoseq.tokenization.hash_features import FeatureBags

_INITIAL_STD = 0.1
_WORD, _NGRAMS = 0, 1


class HashEmbedding(nn.Module):
    """Concatenation of one embedding for each kind of features (D = kinds x `width`).

    Word vectors of a file, `columns` wide, are one more kind. They are not trained: a projection of
    them is learned, and an input for words without a vector.

    In training, the word itself is dropped at random (`word_dropout`), so that the network learns
    to rely on spelling and context. So is its word vector; otherwise a file with a vector for every
    training word would leave untrained what happens without one.
    """

    def __init__(self, *, buckets: int, width: int, word_dropout: float, columns: int = 0) -> None:
        super().__init__()
        self.width = (FEATURE_KINDS + bool(columns)) * width
        self.word_dropout = word_dropout
        # Averaging n-grams keeps long words from dominating.
        self.tables = nn.ModuleList(
            nn.EmbeddingBag(size, width, mode="mean" if kind == _NGRAMS else "sum")
            for kind, size in enumerate(table_sizes(buckets))
        )
        for table in self.tables:
            nn.init.normal_(table.weight, std=_INITIAL_STD)  # type: ignore[arg-type]
        self.projection = nn.Linear(columns, width) if columns else None
        if self.projection is not None:
            nn.init.normal_(self.projection.weight, std=_INITIAL_STD)
            nn.init.zeros_(self.projection.bias)

    def forward(self, bags: FeatureBags) -> Tensor:
        """Return the vectors (W, D) of W tokens."""
        parts = [
            table(ids, starts)
            for table, ids, starts in zip(self.tables, bags.ids, bags.starts, strict=True)
        ]
        if self.training and self.word_dropout:
            words = parts[_WORD]
            is_kept = torch.rand(len(words), 1, device=words.device) >= self.word_dropout
            parts[_WORD] = words * is_kept
        if self.projection is not None:
            assert bags.vectors is not None
            parts.append(self.projection(self._drop_vectors(bags.vectors)))
        return torch.cat(parts, 1)

    def _drop_vectors(self, vectors: Tensor) -> Tensor:
        """Replace some vectors by a missing one in training."""
        if not (self.training and self.word_dropout):
            return vectors
        missing = torch.zeros_like(vectors[:1])
        missing[0, -1] = 1
        is_kept = torch.rand(len(vectors), 1, device=vectors.device) >= self.word_dropout
        return torch.where(is_kept, vectors, missing)

"""From hashed features to a vector for each token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from annoseq.tokenization.hash_features import FEATURE_KINDS, table_sizes

if TYPE_CHECKING:
    from annoseq.tokenization.hash_features import FeatureBags

_SPREAD = 0.1
"""Standard deviation of the first weights."""
_FORM, _GRAMS = 0, 1


class HashEmbedding(nn.Module):
    """Embed the features of each kind, and put the kinds side by side.

    Word vectors of a file, which are `columns` wide, are one more kind. They do not change: a
    projection of them is learned, and what to take a word for that has none.

    In training, the word itself is left out at random (`word_dropout`), so that the network learns
    to go by how a word is written and by what stands around it. So is its vector, or a file with
    one for every word of training would leave open what to do without.
    """

    def __init__(self, *, buckets: int, width: int, word_dropout: float, columns: int = 0) -> None:
        super().__init__()
        self.width = (FEATURE_KINDS + bool(columns)) * width
        self.word_dropout = word_dropout
        # n-grams are averaged, or long words would be louder than short ones.
        self.tables = nn.ModuleList(
            nn.EmbeddingBag(size, width, mode="mean" if kind == _GRAMS else "sum")
            for kind, size in enumerate(table_sizes(buckets))
        )
        for table in self.tables:
            nn.init.normal_(table.weight, std=_SPREAD)  # type: ignore[arg-type]
        self.projection = nn.Linear(columns, width) if columns else None
        if self.projection is not None:
            nn.init.normal_(self.projection.weight, std=_SPREAD)
            nn.init.zeros_(self.projection.bias)

    def forward(self, bags: FeatureBags) -> Tensor:
        """Return the vectors (W, D) of the W tokens whose features `bags` holds."""
        parts = [
            table(ids, starts)
            for table, ids, starts in zip(self.tables, bags.ids, bags.starts, strict=True)
        ]
        if self.training and self.word_dropout:
            form = parts[_FORM]
            keeps = torch.rand(len(form), 1, device=form.device) >= self.word_dropout
            parts[_FORM] = form * keeps
        if self.projection is not None:
            assert bags.vectors is not None
            parts.append(self.projection(self._some(bags.vectors)))
        return torch.cat(parts, 1)

    def _some(self, vectors: Tensor) -> Tensor:
        """Leave out some vectors in training, as if the file had none."""
        if not (self.training and self.word_dropout):
            return vectors
        none = torch.zeros_like(vectors[:1])
        none[0, -1] = 1
        keeps = torch.rand(len(vectors), 1, device=vectors.device) >= self.word_dropout
        return torch.where(keeps, vectors, none)

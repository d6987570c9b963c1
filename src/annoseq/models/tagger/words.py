"""From hashed features to a vector for each token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from annoseq.text.features import KINDS, table_sizes

if TYPE_CHECKING:
    from annoseq.text.features import Bags

_SPREAD = 0.1
"""Standard deviation of the first weights."""
_FORM, _GRAMS = 0, 1


class WordVectors(nn.Module):
    """Embed the features of each kind, and put the kinds side by side.

    In training, the word itself is left out at random (`word_dropout`), so that the network learns
    to go by how a word is written and by what stands around it.
    """

    def __init__(self, *, buckets: int, width: int, word_dropout: float) -> None:
        super().__init__()
        self.width = KINDS * width
        self.word_dropout = word_dropout
        # n-grams are averaged, or long words would be louder than short ones.
        self.tables = nn.ModuleList(
            nn.EmbeddingBag(size, width, mode="mean" if kind == _GRAMS else "sum")
            for kind, size in enumerate(table_sizes(buckets))
        )
        for table in self.tables:
            nn.init.normal_(table.weight, std=_SPREAD)  # type: ignore[arg-type]

    def forward(self, bags: Bags) -> Tensor:
        """Return the vectors (W, D) of the W tokens whose features `bags` holds."""
        parts = [
            table(ids, starts)
            for table, ids, starts in zip(self.tables, bags.ids, bags.starts, strict=True)
        ]
        if self.training and self.word_dropout:
            form = parts[_FORM]
            keeps = torch.rand(len(form), 1, device=form.device) >= self.word_dropout
            parts[_FORM] = form * keeps
        return torch.cat(parts, 1)

"""The two ends of a network: tokens to vectors, and vectors to scores of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from annoseq.tokenization.vocabulary import PAD

if TYPE_CHECKING:
    from collections.abc import Sequence


class TargetEmbedding(nn.Module):
    """The target vocabulary: embeddings (V, E), and an output layer with the same weights.

    Press and Wolf 2017, "Using the output embedding to improve language models".
    """

    def __init__(self, size: int, width: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding = make_embedding(size, width)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, size)
        self.output.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Look tokens (...) up, (..., E)."""
        embedded: Tensor = self.embedding(tokens)
        return embedded

    def logits(self, top: Tensor) -> Tensor:
        """Score every token (..., V) by what the decoder put out (..., E)."""
        logits: Tensor = self.output(self.dropout(top))
        return logits

    def scores(self, top: Tensor, columns: Tensor | None = None) -> Tensor:
        """Return log-probabilities (B, V) of `top` (B, E), or the logits of `columns` (B, K)."""
        if columns is None:
            return self.logits(top).log_softmax(-1)
        # Rows ask for much the same tags: each column is taken out of the weights once.
        asked, places = torch.unique(columns, return_inverse=True)  # (U,), (B, K)
        weight, bias = self.output.weight[asked], self.output.bias[asked]
        return F.linear(self.dropout(top), weight, bias).gather(1, places)


class SourceEmbedding(nn.Module):
    """The source vocabulary: embeddings of its own, or those of the same tokens in the target.

    `copies` (source vocabulary,) holds the target id of every source id. Shared embeddings let
    a network copy a token by attending to it, however rare the token is.
    """

    copies: Tensor | None

    def __init__(
        self,
        size: int,
        target: TargetEmbedding,
        *,
        dropout: float,
        copies: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        table = target.embedding
        self.table = table if copies is not None else make_embedding(size, table.embedding_dim)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer(
            "copies", None if copies is None else torch.tensor(copies), persistent=False
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Look tokens (B, S) up, (B, S, E)."""
        found = tokens if self.copies is None else self.copies[tokens]
        embedded: Tensor = self.dropout(self.table(found))
        return embedded


def make_embedding(size: int, width: int) -> nn.Embedding:
    """Make an embedding whose rows have a length of about 1, and padding's of 0.

    torch draws from N(0, 1), and tied output weights of that size start the loss at 9.6 instead
    of log V = 6.2 on 200 MEDDOCAN rows.
    """
    embedding = nn.Embedding(size, width, padding_idx=PAD)
    nn.init.normal_(embedding.weight, std=width**-0.5)
    nn.init.zeros_(embedding.weight[PAD])
    return embedding

"""Embeddings: source and target tables with a tied output layer, hashed features, positions.

The rotary encoding of positions is that of Su et al. 2021, "RoFormer: enhanced transformer with
rotary position embedding", arXiv:2104.09864. Nothing in it is learned, so positions beyond the
longest training row work too.
"""

from __future__ import annotations

from functools import partial
from math import pi, sqrt
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from annoseq.models.concurrent_branches import Branch, run_branches
from annoseq.tokenization.hash_features import FEATURE_KINDS, NGRAMS, WORD, table_sizes
from annoseq.tokenization.vocabulary import BEGIN, END, PAD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.tokenization.hash_features import FeatureBags


class TargetEmbedding(nn.Module):
    """Target embeddings (V, E), and an output layer with the same (tied) weights.

    Press and Wolf 2017, "Using the output embedding to improve language models".
    """

    def __init__(self, size: int, width: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding = make_embedding(size, width)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, size)
        self.output.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Embed tokens (...) as (..., E)."""
        embedded: Tensor = self.embedding(tokens)
        return embedded

    def logits(self, outputs: Tensor) -> Tensor:
        """Return the logits (..., V) of decoder outputs (..., E)."""
        logits: Tensor = self.output(self.dropout(outputs))
        return logits

    def scores(self, outputs: Tensor, columns: Tensor | None = None) -> Tensor:
        """Return the log-probabilities (B, V) of decoder outputs (B, E).

        With `columns` (B, K), return the logits (B, K) of these tokens.
        """
        if columns is None:
            return self.logits(outputs).log_softmax(-1)
        # Rows have mostly the same columns: each is taken out of the weights once.
        unique, places = torch.unique(columns, return_inverse=True)  # (U,), (B, K)
        weight, bias = self.output.weight[unique], self.output.bias[unique]
        return F.linear(self.dropout(outputs), weight, bias).gather(1, places)


class SourceEmbedding(nn.Module):
    """Source embeddings: a table of their own, or the target embeddings of the same tokens.

    `copies` (source vocabulary,) are the target ids of the source tokens. With shared embeddings, a
    network can copy a token by attending to it, however rare the token is.
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
        """Embed tokens (B, S) as (B, S, E)."""
        ids = tokens if self.copies is None else self.copies[tokens]
        embedded: Tensor = self.dropout(self.table(ids))
        return embedded


def make_embedding(size: int, width: int) -> nn.Embedding:
    """Make an embedding whose rows have a length of about 1; the row of padding is zero.

    torch draws from N(0, 1); tied output weights of that size start the loss at 9.6 instead of
    log V = 6.2 on 200 MEDDOCAN rows.
    """
    embedding = nn.Embedding(size, width, padding_idx=PAD)
    nn.init.normal_(embedding.weight, std=width**-0.5)
    nn.init.zeros_(embedding.weight[PAD])
    return embedding


_BASE = 10_000.0

SINUSOIDS = 16


class RotaryEmbedding(NamedTuple):
    """Rotation of pairs of components by position: `cos` and `sin` (..., T, D / 2)."""

    cos: Tensor
    sin: Tensor

    @classmethod
    def of(cls, positions: Tensor, *, width: int) -> RotaryEmbedding:
        """Compute the rotations of `positions` (..., T) for heads of an even `width` D."""
        exponents = torch.arange(0, width, 2, device=positions.device) / width
        angles = positions.unsqueeze(-1) * _BASE**-exponents  # (..., T, D / 2)
        return cls(angles.cos(), angles.sin())

    def rotate(self, vectors: Tensor) -> Tensor:
        """Rotate queries or keys (..., T, D), whose products then depend on their distance only.

        A component is paired with the one half a head further on, which takes two slices;
        neighbouring components would have to be interleaved.
        """
        cos, sin = self.cos.to(vectors.dtype), self.sin.to(vectors.dtype)
        first, second = vectors.chunk(2, dim=-1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def sinusoidal_encoding(positions: Tensor) -> Tensor:
    """Return unit vectors (..., 2 `SINUSOIDS`) of positions (...), similar for near positions.

    The product of two is 1 for the same position and 0.60 for neighbours. Wavelengths range from 2
    to 200 tokens.
    """
    rates: Tensor = pi * 0.01 ** (
        torch.arange(SINUSOIDS, device=positions.device) / (SINUSOIDS - 1)
    )
    angles = positions.unsqueeze(-1) * rates
    encoding: Tensor = torch.cat([angles.cos(), angles.sin()], dim=-1)
    return encoding / sqrt(SINUSOIDS)


def position_increments(size: int, tags: Sequence[int]) -> Tensor:
    """Return the source tokens (V,) that each token of a vocabulary advances: none for a tag."""
    increments = torch.ones(size, dtype=torch.long)
    increments[[PAD, BEGIN, END, *tags]] = 0
    return increments


_INITIAL_STD = 0.1


class HashEmbedding(nn.Module):
    """Concatenation of one embedding for each kind of features (D = kinds x `width`).

    `kinds` are the kinds of features that are read, by default all (see `FeatureBags`).

    Word vectors of a file, `columns` wide, are one more kind. They are not trained: a projection of
    them is learned, and an input for words without a vector.

    In training, the word itself is dropped at random (`word_dropout`), so that the network learns
    to rely on spelling and context. So is its word vector; otherwise a file with a vector for every
    training word would leave untrained what happens without one.
    """

    def __init__(
        self,
        *,
        buckets: int,
        width: int,
        word_dropout: float,
        columns: int = 0,
        kinds: Sequence[int] = range(FEATURE_KINDS),
    ) -> None:
        super().__init__()
        self.width = (len(kinds) + bool(columns)) * width
        self.word_dropout = word_dropout
        self.kinds = kinds
        # Averaging n-grams keeps long words from dominating.
        self.tables = nn.ModuleList(
            nn.EmbeddingBag(
                table_sizes(buckets)[kind], width, mode="mean" if kind == NGRAMS else "sum"
            )
            for kind in kinds
        )
        for table in self.tables:
            nn.init.normal_(table.weight, std=_INITIAL_STD)  # type: ignore[arg-type]
        self.projection = nn.Linear(columns, width) if columns else None
        if self.projection is not None:
            nn.init.normal_(self.projection.weight, std=_INITIAL_STD)
            nn.init.zeros_(self.projection.bias)

    def forward(self, bags: FeatureBags) -> Tensor:
        """Return the vectors (W, D) of W tokens."""
        device = self.tables[0].get_parameter("weight").device
        by_kind = self._embed_kinds(bags, device)
        if self.training and self.word_dropout and WORD in by_kind:
            words = by_kind[WORD]
            is_kept = torch.rand(len(words), 1, device=words.device) >= self.word_dropout
            by_kind[WORD] = words * is_kept
        parts = [by_kind[kind] for kind in self.kinds]
        if self.projection is not None:
            assert bags.vectors is not None
            vectors = torch.from_numpy(bags.vectors).to(device)
            parts.append(self.projection(self._drop_vectors(vectors)))
        return torch.cat(parts, 1)

    def _embed_kinds(self, bags: FeatureBags, device: torch.device) -> dict[int, Tensor]:
        """Return the vectors (W, `width`) of each kind of features.

        There are about as many n-grams as other features, so that they are a branch of their own.
        """
        tables = dict(zip(self.kinds, self.tables, strict=True))

        def embed(kinds: Sequence[int]) -> tuple[Tensor, ...]:
            return tuple(
                tables[kind](
                    torch.from_numpy(bags.ids[kind]).to(device),
                    torch.from_numpy(bags.starts[kind]).to(device),
                )
                for kind in kinds
            )

        halves = [NGRAMS] if NGRAMS in tables else [], [kind for kind in tables if kind != NGRAMS]
        first, second = (
            Branch.of(partial(embed, kinds), *(tables[kind] for kind in kinds)) for kinds in halves
        )
        vectors = [one for outputs in run_branches(first, second) for one in outputs]
        return dict(zip([*halves[0], *halves[1]], vectors, strict=True))

    def _drop_vectors(self, vectors: Tensor) -> Tensor:
        """Replace some vectors by a missing one in training."""
        if not (self.training and self.word_dropout):
            return vectors
        missing = torch.zeros_like(vectors[:1])
        missing[0, -1] = 1
        is_kept = torch.rand(len(vectors), 1, device=vectors.device) >= self.word_dropout
        return torch.where(is_kept, vectors, missing)

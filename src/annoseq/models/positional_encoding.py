"""Positions: places that attention sees as differences, however far along they are.

Su et al. 2021, "RoFormer: enhanced transformer with rotary position embedding", arXiv:2104.09864.
Nothing is learned, and nothing ends at the longest training row.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from annoseq.tokenization.vocabulary import BEGIN, END, PAD

if TYPE_CHECKING:
    from collections.abc import Sequence

_BASE = 10_000.0

WAVES = 16


class RotaryEmbedding(NamedTuple):
    """By what the pairs of components at each place are turned: `cos`, `sin` (..., T, D / 2)."""

    cos: Tensor
    sin: Tensor

    @classmethod
    def of(cls, places: Tensor, *, width: int) -> RotaryEmbedding:
        """Turn heads of an even `width` D by their `places` (..., T)."""
        exponents = torch.arange(0, width, 2, device=places.device) / width
        angles = places.unsqueeze(-1) * _BASE**-exponents  # (..., T, D / 2)
        return cls(angles.cos(), angles.sin())

    def turn(self, vectors: Tensor) -> Tensor:
        """Turn queries or keys (..., T, D); the product of two depends on how far apart they are.

        A component is paired with the one half a head further on, which costs two slices where
        neighbours would have to be interleaved.
        """
        cos, sin = self.cos.to(vectors.dtype), self.sin.to(vectors.dtype)
        first, second = vectors.chunk(2, dim=-1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def sinusoidal_encoding(places: Tensor) -> Tensor:
    """Turn places (...) into vectors (..., 2 `WAVES`) of length 1, alike where places are near.

    The product of two is 1 for the same place and 0.60 for neighbours. The shortest wave has two
    tokens and the longest 200.
    """
    rates: Tensor = pi * 0.01 ** (torch.arange(WAVES, device=places.device) / (WAVES - 1))
    angles = places.unsqueeze(-1) * rates
    turned: Tensor = torch.cat([angles.cos(), angles.sin()], dim=-1)
    return turned / sqrt(WAVES)


def position_increments(size: int, tags: Sequence[int]) -> Tensor:
    """Return how far each token of a vocabulary (V,) goes in the source: tags stay in place."""
    far = torch.ones(size, dtype=torch.long)
    far[[PAD, BEGIN, END, *tags]] = 0
    return far

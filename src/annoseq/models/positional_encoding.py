"""Rotary and sinusoidal positional encodings, and source positions of decoded tokens.

Su et al. 2021, "RoFormer: enhanced transformer with rotary position embedding", arXiv:2104.09864.
Nothing is learned, so positions beyond the longest training row work too.
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

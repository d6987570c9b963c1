"""Rotary positions: places that attention sees as differences, however far along they are.

Su et al. 2021, "RoFormer: enhanced transformer with rotary position embedding", arXiv:2104.09864.
Nothing is learned, and nothing ends at the longest training row.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_BASE = 10_000.0


class Rotation(NamedTuple):
    """By what the pairs of components at each place are turned: `cos`, `sin` (..., T, D / 2)."""

    cos: Tensor
    sin: Tensor

    @classmethod
    def of(cls, places: Tensor, *, width: int) -> Rotation:
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

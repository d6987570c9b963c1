"""Spans that were found in a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class Found(NamedTuple):
    """Spans `places` (N, 4), row, first and last token, label; their log-probabilities (N,).

    `total` (B,) is the log-probability of all the likeliest spans of a row together.
    """

    places: Tensor
    scores: Tensor
    total: Tensor

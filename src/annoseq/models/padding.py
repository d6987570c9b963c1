"""Padded rows: masks of their tokens, the rows that have a token at each step, reversed rows.

A recurrence takes its steps over the columns of padded rows. In a batch whose longest rows come
first, the rows that still have a token at a step are the first ones, so that no step is taken for
padding; a second direction reads every row reversed within its own length, and meets no padding
before a token either.

Shapes: B rows, T tokens, H width of a value.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def token_mask(values: Tensor, lengths: Tensor) -> Tensor:
    """Return the mask (B, T) of tokens, False for padding."""
    places = torch.arange(values.shape[1], device=values.device)
    return places < lengths.to(values.device).unsqueeze(1)


def active_rows(lengths: Tensor, steps: int) -> list[int]:
    """Return the number of first rows that reach to the last with a token, for each step.

    Of rows in the order of their lengths, the longest first, that leaves out all padding.
    """
    longest = lengths.cpu().flip(0).cummax(0).values.flip(0)  # from each row on
    return (longest > torch.arange(steps).unsqueeze(1)).sum(1).tolist()


def reversed_tokens(values: Tensor, lengths: Tensor) -> Tensor:
    """Return the tokens (B, T) that reverse each row of values (B, T, ...) within its length."""
    steps = torch.arange(values.shape[1], device=values.device)
    return (lengths.to(values.device).unsqueeze(1) - 1 - steps).clamp(min=0)


def select_tokens(values: Tensor, places: Tensor) -> Tensor:
    """Return values (B, T, H) of the tokens of the same rows at `places` (B, T)."""
    rows, steps, _ = values.shape
    starts = torch.arange(0, rows * steps, steps, device=values.device).unsqueeze(1)
    return values.flatten(0, 1).index_select(0, (starts + places).flatten()).view_as(values)


def reverse_rows(values: Tensor, lengths: Tensor) -> Tensor:
    """Reverse each row of values (B, T, H) within its length; what is behind it stays in place."""
    steps = torch.arange(values.shape[1], device=values.device)
    is_token = token_mask(values, lengths)
    places = torch.where(is_token, reversed_tokens(values, lengths), steps)
    reversed_: Tensor = _RowReversal.apply(values, places)  # type: ignore[no-untyped-call]
    return reversed_


class _RowReversal(torch.autograd.Function):
    """Selection of tokens by places that undo themselves, so that its gradient is one, too.

    torch would add up the gradient of any selection token by token.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        return select_tokens(values, places)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (places,) = ctx.saved_tensors
        return _RowReversal.apply(gradients[0], places), None  # type: ignore[no-untyped-call]

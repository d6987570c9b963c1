"""Greedy search: always the most likely token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from annoseq.text.vocabulary import BEGIN, END, PAD

if TYPE_CHECKING:
    from torch import Tensor

    from annoseq.models.stepper import State, Stepper
    from annoseq.text.batches import Batch


@torch.inference_mode()
def greedy(stepper: Stepper[State], batch: Batch, *, limits: Tensor) -> Tensor:
    """Write the most likely tokens (B, O) until every row has ended.

    A row ends with the end symbol, with padding, which the notebook's loss teaches as an ending
    too, or after its limit (B,) of tokens; from there on it holds padding only.
    """
    state = stepper.start(batch)
    last = torch.full_like(batch.source[:, 0], BEGIN)
    has_ended = torch.zeros_like(last, dtype=torch.bool)
    written = []
    for length in range(1, int(limits.max()) + 1):
        state = stepper.step(state, last)
        last = stepper.scores(state).argmax(-1).masked_fill(has_ended, PAD)
        written.append(last)
        has_ended |= (last == END) | (last == PAD) | (limits <= length)
        if has_ended.all():
            break
    return torch.stack(written, dim=1)

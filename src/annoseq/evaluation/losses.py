"""The notebook's loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F

from annoseq.text.vocabulary import PAD

if TYPE_CHECKING:
    from torch import Tensor


def padded_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return the mean cross-entropy over the padded rectangle, as the 2019 notebook had it.

    The shorter of `logits` (B, O, V) and `target` (B, T) is padded to the longer, and padding
    counts as a class to predict. A position that the output does not reach costs log V.
    """
    missing = target.shape[1] - logits.shape[1]
    if missing > 0:
        logits = F.pad(logits, (0, 0, 0, missing))
    elif missing < 0:
        target = F.pad(target, (0, -missing), value=PAD)
    return F.cross_entropy(logits.flatten(0, 1), target.flatten())

"""The notebook's loss, and the one over tokens; both without the whole (B, T, V) in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from annoseq.tokenization.vocabulary import PAD

if TYPE_CHECKING:
    from torch import nn

_POSITIONS = 256
"""Positions whose scores are in memory at once. On one core, with V = 20,000 and E = 300, 128 to
512 do equally well."""


class Loss(NamedTuple):
    """A sum over positions, and their number, so that batches and processes can be added."""

    total: Tensor
    positions: int


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


def output_loss(
    top: Tensor,
    target: Tensor,
    output: nn.Linear,
    *,
    counts_padding: bool,
    label_smoothing: float = 0.0,
) -> Loss:
    """Return the cross-entropy of `target` (B, T) under what a decoder put out, `top` (B, T, E).

    With `counts_padding` it is `padded_loss`; without, padding is neither scored nor computed.
    """
    top, target = top.flatten(0, 1), target.flatten()
    if not counts_padding:
        kept = (target != PAD).nonzero().squeeze(1)
        top, target = top[kept], target[kept]
    total: Tensor = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        top, output.weight, output.bias, target, label_smoothing, torch.is_grad_enabled()
    )
    return Loss(total, len(target))


class _LinearCrossEntropy(torch.autograd.Function):
    """The summed cross-entropy of a linear layer's output, some positions at a time.

    The gradients are computed on the way forward, while the scores of a chunk are at hand: three
    matrix products in all, and no (N, V). torch's own `linear_cross_entropy` does the same with
    chunks, at 22 GFLOP/s where this reaches 53 and a bare product 54 (one EPYC core, N = 1,500,
    V = 20,000, E = 300).
    """

    @staticmethod
    def forward(  # noqa: PLR0917 - torch passes them by position
        ctx: Any,
        top: Tensor,
        weight: Tensor,
        bias: Tensor,
        target: Tensor,
        label_smoothing: float,
        is_learning: bool,
    ) -> Tensor:
        kind = top.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else top.dtype
        kinds = (top, weight, bias) if is_learning else ()
        grads = [torch.zeros_like(one) for one in kinds]
        exact = torch.promote_types(dtype, torch.float32)
        total = torch.zeros((), device=top.device, dtype=exact)
        with torch.autocast(kind, enabled=False):
            low_top, low_weight = top.to(dtype), weight.to(dtype)
            for start in range(0, len(top), _POSITIONS):
                part = slice(start, start + _POSITIONS)
                logits = (low_top[part] @ low_weight.t()).to(exact).add_(bias)  # (N, V)
                total += _cross_entropy_(logits, target[part], label_smoothing)
                if is_learning:
                    residual = logits.to(dtype)
                    grads[0][part] = residual @ low_weight
                    _add_product_(grads[1], residual.t(), low_top[part])
                    grads[2] += logits.sum(0)
        if is_learning:
            ctx.save_for_backward(*grads)
        return total

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        return *(grad * outer[0] for grad in ctx.saved_tensors), None, None, None


def _add_product_(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add a matrix product, without a copy of it where all are of one precision."""
    if left.dtype == total.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right


def _cross_entropy_(logits: Tensor, target: Tensor, label_smoothing: float) -> Tensor:
    """Return the summed loss of `logits` (N, V), and put its gradient in their place."""
    size = logits.shape[1]
    gold = target.unsqueeze(1)
    wanted = (1 - label_smoothing) * logits.gather(1, gold).sum()
    if label_smoothing:
        wanted += label_smoothing * logits.mean(1).sum()
    highest = logits.amax(1, keepdim=True)
    mass = logits.sub_(highest).exp_().sum(1, keepdim=True)  # (N, 1)
    total = (highest + mass.log()).sum() - wanted
    logits.div_(mass).sub_(label_smoothing / size)
    logits.scatter_add_(1, gold, torch.full_like(highest, label_smoothing - 1))
    return total

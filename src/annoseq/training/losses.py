"""Cross-entropy losses of decoders, padded or over tokens, without (B, T, V) logits in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from annoseq.tokenization.vocabulary import PAD

if TYPE_CHECKING:
    from torch import nn

_POSITIONS = 256
"""Positions whose logits are in memory at once. On one core, with V = 20,000 and E = 300, 128 to
512 are equally fast."""


class Loss(NamedTuple):
    """Sum of a loss over positions, and their number; batches and processes are added."""

    total: Tensor
    positions: int


def padded_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return the mean cross-entropy over the padded rectangle, as in the 2019 notebook.

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
    """Return the cross-entropy of `target` (B, T) given decoder outputs `top` (B, T, E).

    With `counts_padding` it is `padded_loss`; otherwise padding is left out.
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
    """Summed cross-entropy of a linear layer, computed in chunks of positions.

    The gradients are computed in the forward pass, chunk by chunk: three matrix products in all,
    and no (N, V) tensor. torch's own `linear_cross_entropy` also works in chunks, at 22 GFLOP/s
    where this reaches 53 and a plain product 54 (one EPYC core, N = 1,500, V = 20,000, E = 300).
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
        inputs = (top, weight, bias) if is_learning else ()
        grads = [torch.zeros_like(tensor) for tensor in inputs]
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
    """Add a matrix product in place, without a temporary if the precisions are the same."""
    if left.dtype == total.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right


def _cross_entropy_(logits: Tensor, target: Tensor, label_smoothing: float) -> Tensor:
    """Return the summed loss of `logits` (N, V), and replace them by its gradient."""
    size = logits.shape[1]
    gold = target.unsqueeze(1)
    target_logits = (1 - label_smoothing) * logits.gather(1, gold).sum()
    if label_smoothing:
        target_logits += label_smoothing * logits.mean(1).sum()
    highest = logits.amax(1, keepdim=True)
    mass = logits.sub_(highest).exp_().sum(1, keepdim=True)  # (N, 1)
    total = (highest + mass.log()).sum() - target_logits
    logits.div_(mass).sub_(label_smoothing / size)
    logits.scatter_add_(1, gold, torch.full_like(highest, label_smoothing - 1))
    return total

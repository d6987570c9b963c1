"""Floating-point operations of training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import (
    FlopCounterMode,
    addmm_flop,
    sdpa_backward_flop_count,
    sdpa_flop_count,
)

if TYPE_CHECKING:
    from benchmarks.interleaved_training import TrainingLoop


def count_operations(loop: TrainingLoop, *, steps: int) -> float:
    """Return the floating-point operations per target token, forward and backward.

    Matrix products are counted, padding included. torch has no formulas for a product that is
    added in place, which the loss uses, nor for attention on a CPU; those of the equivalent
    operations are registered for them.
    """
    mapping = {
        torch.ops.aten.addmm_: _addmm,
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    }
    tokens = 0
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        for _ in range(steps):
            tokens += loop.learn()[1]
    return float(counter.get_total_flops() / tokens)


def _addmm(added: object, one: object, other: object, *_: object, **__: object) -> int:
    return int(addmm_flop(added, one, other))


def _attention(query: object, key: object, value: object, *_: object, **__: object) -> int:
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


def _attention_backward(
    grad: object, query: object, key: object, value: object, *_: object, **__: object
) -> int:
    operations = sdpa_backward_flop_count(grad, query, key, value)  # type: ignore[no-untyped-call]
    return int(operations)

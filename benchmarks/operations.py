"""The floating-point operations that training takes."""

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
    from benchmarks.sides import Side


def count_operations(side: Side, *, steps: int) -> float:
    """Return the floating-point operations of a target token, forward and backward.

    Those of matrix products are counted, padding's included. torch counts neither a product that
    is added in place, as the loss has one, nor the attention that it has for CPUs; its own
    formulas for the same in other clothes serve.
    """
    mapping = {
        torch.ops.aten.addmm_: _addmm,
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    }
    tokens = 0
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        for _ in range(steps):
            tokens += side.learn()[1]
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

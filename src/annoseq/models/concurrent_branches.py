"""Branches of a network that do not read each other, computed at the same time on a CPU.

The second branch runs in the worker of `annoseq.cpu_threads`, forwards and backwards. Each is
computed by the same operations as without it, in the same order, so that outputs and gradients are
equal bit for bit.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.autograd.graph import saved_tensors_hooks

from annoseq.cpu_threads import is_worker_used, run_both

if TYPE_CHECKING:
    from collections.abc import Callable


class Branch(NamedTuple):
    """A function of vectors, without random numbers, and the weights in it that are trained."""

    function: Callable[[Tensor], Tensor]
    weights: tuple[Tensor, ...]

    @classmethod
    def of(cls, function: Callable[[Tensor], Tensor], module: nn.Module) -> Self:
        """Return the branch whose weights are those of a module."""
        return cls(function, tuple(one for one in module.parameters() if one.requires_grad))


def run_branches(vectors: Tensor, first: Branch, second: Branch) -> tuple[Tensor, Tensor]:
    """Return the outputs of two branches that read the same vectors."""
    if not _runs_concurrently(vectors):
        return first.function(vectors), second.function(vectors)
    branches = (first, second)
    one, other = _ConcurrentBranches.apply(vectors, branches, *first.weights, *second.weights)  # type: ignore[no-untyped-call]
    return one, other


def _runs_concurrently(vectors: Tensor) -> bool:
    """Return True for a training step on a CPU, in its precision and with the worker."""
    return (
        is_worker_used()
        and torch.is_grad_enabled()
        and vectors.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


class _ConcurrentBranches(torch.autograd.Function):
    """Outputs of two branches. Each has a graph of its own, which `backward` walks in its thread.

    The weights are arguments because a gradient is returned for each. Hooks on saved tensors, such
    as those of gradient checkpointing, belong to a thread, so that they are left out in both.
    """

    @staticmethod
    def forward(
        ctx: Any, vectors: Tensor, branches: tuple[Branch, Branch], *weights: Tensor
    ) -> tuple[Tensor, ...]:
        del weights

        def run(branch: Branch) -> tuple[Tensor, Tensor]:
            with torch.enable_grad(), saved_tensors_hooks(_detach, _detach):
                own = vectors.detach().requires_grad_(vectors.requires_grad)
                return own, branch.function(own)

        first, second = (partial(run, branch) for branch in branches)
        ctx.branches, ctx.runs = branches, run_both(first, second)
        return tuple(output.detach() for _, output in ctx.runs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        def differentiate(number: int) -> tuple[Tensor, ...]:
            own, output = ctx.runs[number]
            wanted = [one for one in (own, *ctx.branches[number].weights) if one.requires_grad]
            return torch.autograd.grad(output, wanted, gradients[number]) if wanted else ()

        first, second = run_both(partial(differentiate, 0), partial(differentiate, 1))
        if not ctx.needs_input_grad[0]:
            return None, None, *first, *second
        return first[0] + second[0], None, *first[1:], *second[1:]


def _detach(tensor: Tensor) -> Tensor:
    return tensor.detach()  # an output that its own graph held would never be freed

"""Branches of a network that do not read each other, computed at the same time on a CPU.

The second branch runs in the worker of `annoseq.cpu_threads`, forwards and backwards. Each is
computed by the same operations as without it, in the same order, so that outputs and gradients are
equal bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch._C import _autograd
from torch.autograd.function import once_differentiable

from annoseq.cpu_threads import is_worker_used, run_both

if TYPE_CHECKING:
    from collections.abc import Callable

    Outputs = tuple[Tensor, ...]


class Branch(NamedTuple):
    """A function of the shared inputs, without random numbers, and its weights that are trained."""

    function: Callable[..., Outputs]
    weights: tuple[Tensor, ...]

    @classmethod
    def of(cls, function: Callable[..., Outputs], *modules: nn.Module) -> Self:
        """Return the branch whose weights are those of some modules, which have no parts."""
        weights = (one for module in modules for one in module.parameters(recurse=False))
        return cls(function, tuple(one for one in weights if one.requires_grad))


def run_branches(first: Branch, second: Branch, *inputs: Tensor) -> tuple[Outputs, Outputs]:
    """Return the outputs of two branches that read the same inputs."""
    tensors = (*inputs, *first.weights, *second.weights)
    if not _runs_concurrently(tensors):
        return first.function(*inputs), second.function(*inputs)
    passes = _Pass(first), _Pass(second)
    outputs: Outputs = _ConcurrentBranches.apply(passes, len(inputs), *tensors)  # type: ignore[no-untyped-call]
    count = len(passes[0].outputs)
    return outputs[:count], outputs[count:]


def _runs_concurrently(tensors: tuple[Tensor, ...]) -> bool:
    """Return True for a training step on a CPU, in its precision and with the worker."""
    return (
        is_worker_used()
        and torch.is_grad_enabled()
        and all(tensor.device.type == "cpu" for tensor in tensors)
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and not _are_saved_tensors_hooked()
    )


def _are_saved_tensors_hooked() -> bool:
    """Return True in gradient checkpointing, for example, whose hooks see one thread only.

    torch has no public function that tells.
    """
    return _autograd._top_saved_tensors_default_hooks(False) is not None


@dataclass
class _Pass:
    """Forward and backward pass of a branch, with a graph of its own from its inputs on."""

    branch: Branch
    inputs: tuple[Tensor, ...] = ()
    outputs: Outputs = field(default=())

    def forward(self, inputs: tuple[Tensor, ...]) -> None:
        """Set the outputs."""
        with torch.enable_grad():
            self.inputs = tuple(one.detach().requires_grad_(one.requires_grad) for one in inputs)
            self.outputs = self.branch.function(*self.inputs)

    def backward(self, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the gradients of inputs and weights for those of the outputs."""
        wanted = [one for one in (*self.inputs, *self.branch.weights) if one.requires_grad]
        return torch.autograd.grad(self.outputs, wanted, gradients) if wanted else ()


class _ConcurrentBranches(torch.autograd.Function):
    """Outputs of two branches; the weights are arguments because each gets a gradient."""

    @staticmethod
    def forward(
        ctx: Any, passes: tuple[_Pass, _Pass], count: int, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        first, second = (partial(one.forward, tensors[:count]) for one in passes)
        run_both(first, second)
        ctx.passes, ctx.count = passes, count
        return tuple(output.detach() for one in passes for output in one.outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        first, second = ctx.passes
        split = len(first.outputs)
        ours, theirs = run_both(
            partial(first.backward, gradients[:split]), partial(second.backward, gradients[split:])
        )
        needed = ctx.needs_input_grad[2 : 2 + ctx.count]
        shared = sum(needed)
        sums = map(torch.add, ours[:shared], theirs[:shared])
        of_inputs = (next(sums) if is_needed else None for is_needed in needed)
        return None, None, *of_inputs, *ours[shared:], *theirs[shared:]

"""AdamW and gradient clipping on a CPU, over two halves of the weights at the same time.

Each weight is clipped and updated by the operations of torch's own optimizer, so that the results
are equal bit for bit, on one core and on two.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.utils import clip_grad_norm_, clip_grads_with_norm_

from annoseq.cpu_threads import run_both

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torch import Tensor, nn


_SLACK = 1e-6
"""Added to a norm before it is divided by, as torch does."""


class ConcurrentAdamW(torch.optim.AdamW):
    """AdamW that updates two halves of the weights at the same time, where there are two cores.

    Its state and its parameter groups are those of `AdamW`. It takes no scaled gradients.
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        lr: float,
        betas: tuple[float, float],
        *,
        weight_decay: float,
        fused: bool,
    ) -> None:
        super().__init__(groups, lr, betas, weight_decay=weight_decay, fused=fused)
        weights = [weight for group in self.param_groups for weight in group["params"]]
        first = {id(weights[place]) for place in _halves(weights)[0]}
        self._halves = [
            torch.optim.AdamW(
                [
                    {"params": [one for one in group["params"] if (id(one) in first) == is_first]}
                    for group in self.param_groups
                ],
                fused=fused,
            )
            for is_first in (True, False)
        ]

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update all weights, after a call of `closure`, whose loss is returned."""
        loss = None if closure is None else closure()
        for half in self._halves:
            half.state = self.state
            for group, ours in zip(half.param_groups, self.param_groups, strict=True):
                group.update({name: ours[name] for name in ours.keys() - {"params"}})
        first, second = self._halves
        if self.state:
            run_both(first.step, second.step)
        else:  # which the first step fills, in the same order each time
            first.step()
            second.step()
        return loss


def clip_gradients(weights: Iterable[nn.Parameter], max_norm: float) -> None:
    """Scale the gradients of all weights, so that their norm together is at most `max_norm`."""
    weights = [weight for weight in weights if weight.grad is not None]
    if {weight.device.type for weight in weights} != {"cpu"}:
        clip_grad_norm_(weights, max_norm)
        return
    first, second = ([(place, weights[place]) for place in half] for half in _halves(weights))
    ours, theirs = run_both(partial(_norms, first), partial(_norms, second))
    norms = [norm for _, norm in sorted((ours | theirs).items())]
    total = torch.linalg.vector_norm(torch.stack(norms))
    # Most steps are below. torch multiplies by 1 then, because a GPU would have to be waited for.
    if not max_norm / (total + _SLACK) >= 1:  # NaN, too
        run_both(partial(_scale, first, max_norm, total), partial(_scale, second, max_norm, total))


def _norms(weights: Sequence[tuple[int, Tensor]]) -> dict[int, Tensor]:
    """Return the norms of the gradients of weights, by place."""
    return {
        place: torch.linalg.vector_norm(weight.grad)
        for place, weight in weights
        if weight.grad is not None
    }


def _scale(weights: Sequence[tuple[int, Tensor]], max_norm: float, total: Tensor) -> None:
    clip_grads_with_norm_([weight for _, weight in weights], max_norm, total)


def _halves(weights: Sequence[Tensor]) -> tuple[list[int], list[int]]:
    """Return the places of two halves of the weights, of about the same size."""
    halves: tuple[list[int], list[int]] = [], []
    sizes = [0, 0]
    for place in sorted(range(len(weights)), key=lambda place: -weights[place].numel()):
        smaller = sizes.index(min(sizes))
        halves[smaller].append(place)
        sizes[smaller] += weights[place].numel()
    return halves

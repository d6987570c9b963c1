from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

from annoseq import cpu_threads
from annoseq.training import optimizer as module
from annoseq.training.optimizer import ConcurrentAdamW, clip_gradients
from tests.tiny import same_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BETAS = (0.95, 0.99)


@pytest.fixture
def concurrent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Pairs of functions that may run at the same time, in a context of the worker."""
    calls: list[object] = []

    def run_both(*functions: Callable[[], object]) -> tuple[object, ...]:
        calls.append(functions)
        return cpu_threads.run_both(*functions)

    monkeypatch.setattr(cpu_threads, "usable_cores", lambda: 2)
    monkeypatch.setattr(module, "run_both", run_both)
    with cpu_threads.worker_thread():
        yield calls


def network() -> nn.Sequential:
    """A network with weights of several sizes, some of which are frozen, or get no gradient."""
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(5, 40), nn.Tanh(), nn.Linear(40, 30), nn.Linear(30, 3))
    made[2].bias.requires_grad_(False)
    made.append(nn.Linear(2, 2))
    return made


def groups(made: nn.Module) -> list[dict[str, Any]]:
    trained = [weights for weights in made.parameters() if weights.requires_grad]
    return [
        {"params": [weights for weights in trained if weights.ndim > 1]},
        {"params": [weights for weights in trained if weights.ndim < 2], "weight_decay": 0.0},
        {"params": [], "lr": 1.0},
    ]


def train(
    made: nn.Sequential, optimizer: torch.optim.Optimizer, clip: Callable[..., object]
) -> None:
    """Take steps with a rate and a beta that change, and gradients below the bound and above."""
    inputs = torch.randn(8, 5, generator=torch.Generator().manual_seed(1))
    for step in range(5):
        optimizer.zero_grad()
        (made[:4](inputs).square().sum() * 10.0 ** (step - 3)).backward()
        clip(made.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"], group["betas"] = 0.01 * (1 + step), (0.95 - 0.01 * step, 0.99)
        optimizer.step()


def torch_adamw(made: nn.Module) -> torch.optim.AdamW:
    return torch.optim.AdamW(groups(made), 0.01, BETAS, weight_decay=0.1, fused=True)


def two_halves(made: nn.Module) -> ConcurrentAdamW:
    return ConcurrentAdamW(groups(made), 0.01, BETAS, weight_decay=0.1, fused=True)


def test_weights_and_state_are_those_of_torch_bit_for_bit(concurrent: list[object]) -> None:
    ours, theirs = network(), network()
    adamw, reference = two_halves(ours), torch_adamw(theirs)
    train(ours, adamw, clip_gradients)
    assert len(concurrent) == 5 + 2 + 4  # two steps are clipped; the first makes the state
    train(theirs, reference, clip_grad_norm_)
    assert same_weights(ours, theirs)
    state, expected = adamw.state_dict(), reference.state_dict()
    assert state["param_groups"] == expected["param_groups"]
    assert state["state"].keys() == expected["state"].keys()
    for weight, values in expected["state"].items():
        assert all(torch.equal(values[name], state["state"][weight][name]) for name in values)


@pytest.mark.parametrize("value", [0.0, 1e-30, 1.0, 1.0 - 1e-6, 3.0, torch.nan, torch.inf])
def test_gradients_are_clipped_as_torch_does(value: float) -> None:
    def gradients(clip: Callable[..., object]) -> list[torch.Tensor]:
        weights = [nn.Parameter(torch.zeros(size)) for size in (3, 1, 7)]
        weights[0].grad, weights[1].grad = torch.tensor([0.0, value, 0.0]), torch.zeros(1)
        clip(weights, 1.0)
        return [weight.grad for weight in weights if weight.grad is not None]

    for one, other in zip(gradients(clip_gradients), gradients(clip_grad_norm_), strict=True):
        assert torch.equal(one.nan_to_num(9), other.nan_to_num(9))
    clip_gradients([], 1.0)


@pytest.mark.usefixtures("concurrent")
def test_a_restored_state_goes_on_as_torch_does() -> None:
    ours, theirs = network(), network()
    adamw, reference = two_halves(ours), torch_adamw(theirs)
    train(theirs, reference, clip_grad_norm_)
    ours.load_state_dict(theirs.state_dict())
    adamw.load_state_dict(deepcopy(reference.state_dict()))
    train(ours, adamw, clip_gradients)
    train(theirs, reference, clip_grad_norm_)
    assert same_weights(ours, theirs)


def test_without_the_worker_the_weights_are_the_same() -> None:
    ours, theirs = network(), network()
    train(ours, two_halves(ours), clip_gradients)
    train(theirs, torch_adamw(theirs), clip_grad_norm_)
    assert same_weights(ours, theirs)


@pytest.mark.usefixtures("concurrent")
def test_a_closure_is_called_once() -> None:
    made, calls = network(), list[int]()
    adamw = two_halves(made)
    train(made, adamw, clip_gradients)

    def closure() -> float:
        calls.append(1)
        return 0.5

    assert adamw.step(closure) == 0.5
    assert calls == [1]


@pytest.mark.parametrize("sizes", [[], [3], [1, 8, 2, 4, 1], [5] * 4])
def test_halves_are_of_about_the_same_size(sizes: list[int]) -> None:
    weights = [torch.zeros(size) for size in sizes]
    first, second = module._halves(weights)
    assert sorted([*first, *second]) == [*range(len(sizes))]
    totals = [sum(sizes[place] for place in half) for half in (first, second)]
    assert abs(totals[0] - totals[1]) <= max(sizes, default=0)

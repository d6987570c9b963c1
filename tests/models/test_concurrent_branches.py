from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
import torch
from torch.distributed import HashStore  # type: ignore[attr-defined]
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from annoseq import cpu_threads
from annoseq.config import TaggerConfig
from annoseq.models import concurrent_branches
from annoseq.models.concurrent_branches import Branch, run_branches
from annoseq.models.encoders import build_encoder
from tests.models.tiny import randomise
from tests.tiny import same_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from annoseq.models.encoders import Encoder

WIDTH, HIDDEN = 12, 16
LENGTHS = torch.tensor([7, 1, 4])


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(cpu_threads, "usable_cores", lambda: 2)
    with cpu_threads.worker_thread():
        yield


@pytest.fixture
def concurrent(worker: None) -> Iterator[list[object]]:
    """Calls of two functions that may run at the same time."""
    del worker
    calls: list[object] = []

    def run_both(*functions: Callable[[], object]) -> tuple[object, ...]:
        calls.append(functions)
        return cpu_threads.run_both(*functions)

    with patch.object(concurrent_branches, "run_both", run_both):
        yield calls


def lstm(layers: int = 1, *, dropout: float = 0.4) -> Encoder:
    config = TaggerConfig(hidden=HIDDEN, layers=layers, dropout=dropout)
    encoder = build_encoder(config, width=WIDTH)
    randomise(encoder, spread=0.3)
    return encoder.train()


def some_vectors() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, 7, WIDTH, generator=generator).requires_grad_()


def take_steps(encoder: Encoder) -> list[torch.Tensor]:
    """Take three steps of training; return the gradients of the input."""
    torch.manual_seed(0)
    gradients = []
    for _ in range(3):
        vectors = some_vectors()
        encoder.zero_grad()
        backward(encoder(vectors, LENGTHS).square().sum())
        assert vectors.grad is not None
        gradients.append(vectors.grad)
        with torch.no_grad():
            for weights in encoder.parameters():
                assert weights.grad is not None
                weights.sub_(weights.grad, alpha=0.1)
    return gradients


def backward(loss: torch.Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("layers", [1, 2])
def test_weights_and_gradients_are_equal_bit_for_bit(layers: int, concurrent: list[object]) -> None:
    both, alone = lstm(layers), lstm(layers)
    gradients = take_steps(both)
    calls = len(concurrent)
    assert calls == 3 * layers * 2
    with patch.object(concurrent_branches, "is_worker_used", return_value=False):
        assert all(map(torch.equal, gradients, take_steps(alone)))
    assert len(concurrent) == calls
    assert same_weights(both, alone)


def run_linear() -> None:
    """Run two linear layers as branches."""
    first, second = (
        Branch.of(partial(apply_layer, layer), layer)
        for layer in (torch.nn.Linear(WIDTH, 2), torch.nn.Linear(WIDTH, 3))
    )
    run_branches(first, second, some_vectors())


def apply_layer(layer: torch.nn.Linear, vectors: torch.Tensor) -> tuple[torch.Tensor]:
    return (layer(vectors),)


def autocast() -> AbstractContextManager[object]:
    return torch.autocast("cpu", dtype=torch.bfloat16)


@pytest.mark.parametrize(
    "context", [torch.no_grad, torch.inference_mode, autocast], ids=lambda one: one.__name__
)
def test_directions_follow_each_other_outside_of_a_training_in_single_precision(
    context: Callable[[], AbstractContextManager[object]], concurrent: list[object]
) -> None:
    with context():
        run_linear()
    assert concurrent == []


def test_directions_follow_each_other_in_compiled_code(concurrent: list[object]) -> None:
    with patch.object(torch.compiler, "is_compiling", return_value=True):
        run_linear()
    assert concurrent == []


def test_a_device_other_than_a_cpu_has_queues_of_its_own(concurrent: list[object]) -> None:
    branch, elsewhere = Branch(lambda *vectors: vectors, ()), torch.empty(1, device="meta")
    run_branches(branch, branch, elsewhere.requires_grad_())
    assert concurrent == []


@pytest.mark.parametrize("frozen", ["input", "weights of one direction", "all weights"])
def test_what_is_frozen_gets_no_gradient(frozen: str, concurrent: list[object]) -> None:
    def gradients() -> list[torch.Tensor | None]:
        encoder, vectors = lstm(dropout=0.0), some_vectors()
        for name, weights in encoder.named_parameters():
            is_backward = name.startswith("backwards")
            weights.requires_grad_(
                frozen == "input" or (frozen == "weights of one direction" and not is_backward)
            )
        vectors.requires_grad_(frozen != "input")
        backward(encoder(vectors, LENGTHS).sum())
        return [vectors.grad, *(weights.grad for weights in encoder.parameters())]

    both = gradients()
    assert concurrent
    with patch.object(concurrent_branches, "is_worker_used", return_value=False):
        alone = gradients()
    for one, other in zip(both, alone, strict=True):
        assert (one is None) == (other is None)
        assert one is None or other is None or torch.equal(one, other)


@pytest.mark.parametrize("is_reentrant", [True, False])
def test_gradients_of_checkpointed_encoders_are_equal(
    is_reentrant: bool, concurrent: list[object]
) -> None:
    def gradient(call: Callable[..., torch.Tensor]) -> torch.Tensor:
        vectors = some_vectors()
        backward(call(vectors, LENGTHS).sum())
        assert vectors.grad is not None
        return vectors.grad

    encoder = lstm(dropout=0.0)
    checkpointed = partial(checkpoint, encoder, use_reentrant=is_reentrant)
    found = gradient(checkpointed)
    assert bool(concurrent) == is_reentrant  # which has no hooks on saved tensors
    assert torch.equal(found, gradient(encoder))


def test_a_graph_is_walked_once() -> None:
    loss = lstm()(some_vectors(), LENGTHS).sum()
    backward(loss)
    with pytest.raises(RuntimeError, match="second time"):
        backward(loss)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("part", ["forwards", "backwards"])
def test_an_error_in_a_direction_reaches_the_caller(part: str) -> None:
    encoder = lstm()
    layer = getattr(encoder, part)[0]
    with (
        patch.object(layer, "forward", side_effect=MemoryError("full")),
        pytest.raises(MemoryError, match="full"),
    ):
        encoder(some_vectors(), LENGTHS)
    backward(encoder(some_vectors(), LENGTHS).sum())


def test_processes_that_average_their_gradients_get_each_of_them(concurrent: list[object]) -> None:
    torch.distributed.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    try:
        encoder, vectors = lstm(dropout=0.0), some_vectors()
        backward(DistributedDataParallel(encoder)(vectors, LENGTHS).sum())
    finally:
        torch.distributed.destroy_process_group()
    assert concurrent
    averaged = [weights.grad for weights in encoder.parameters()]
    encoder.zero_grad()
    backward(encoder(some_vectors(), LENGTHS).sum())
    for one, weights in zip(averaged, encoder.parameters(), strict=True):
        assert one is not None
        assert weights.grad is not None
        assert torch.equal(one, weights.grad)


@pytest.mark.usefixtures("worker")
def test_what_is_not_differentiated_is_freed() -> None:
    outputs = []

    def exponentiate(vectors: torch.Tensor) -> tuple[torch.Tensor]:
        outputs.append(weakref.ref(output := vectors.exp()))  # torch keeps it for the gradient
        return (output,)

    branch = Branch(exponentiate, ())
    run_branches(branch, branch, some_vectors())
    cpu_threads._worker().submit(int).result()  # it has forgotten what it did before
    assert [output() for output in outputs] == [None, None]

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Never

import pytest
import torch

from annoseq.config import TrainingConfig
from annoseq.errors import TrainingError
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding
from annoseq.training.objectives import Seq2SeqObjective, compiled
from tests.tiny import STILL_ATTENTION, batch_of, tiny_network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

# Importing torch's compiler takes 10 s of CPU, and warns of torch's own code.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    torch._dynamo.reset()


def double(numbers: Tensor) -> Tensor:
    """Return twice the numbers."""
    return 2 * numbers


def test_a_compiled_function_does_the_same_for_any_length() -> None:
    graphs = []

    def backend(graph: torch.fx.GraphModule, _: object) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    fast = compiled(double, backend=backend)
    assert graphs == []
    for length in (2, 3, 5):
        assert fast(torch.ones(length)).tolist() == [2.0] * length
    assert len(graphs) == 1
    assert fast.__doc__ == double.__doc__


def test_a_compiler_that_fails_is_a_clear_error() -> None:
    def backend(*_: object) -> Never:
        raise RuntimeError("No working C++ compiler found\nand a long explanation")

    with pytest.raises(TrainingError) as caught:
        compiled(double, backend=backend)(torch.ones(3))
    message = str(caught.value)
    assert message == (
        "--compile failed: No working C++ compiler found. Leave it off, or install what torch "
        "compiles with: a C++ compiler, and for GPUs Triton."
    )


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_a_compiled_objective_has_the_same_loss_and_gradients() -> None:
    losses, gradients = [], []
    for compiles in (False, True):
        network = tiny_network(STILL_ATTENTION)
        config = TrainingConfig(compile=compiles).resolve_auto(model="attention", rows=2)
        objective = Seq2SeqObjective(network, config)
        for rows in (2, 3):
            loss = objective(
                batch_of([Seq2SeqEncoding([4, 5], [6] * (rows + 1))] * rows), forcing=1.0
            )
            mean = loss.total / loss.positions
            mean.backward()
            losses.append(float(mean))
        gradients.append([weight.grad for weight in network.parameters()])
    assert losses[:2] == pytest.approx(losses[2:], rel=1e-5)
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)

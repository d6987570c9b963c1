"""Compiling what a network does, by torch's compiler."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

import torch

from annoseq.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable

_Ts = TypeVarTuple("_Ts")
_R = TypeVar("_R")


def compiled(
    function: Callable[[*_Ts], _R], *, backend: str | Callable[..., object] = "inductor"
) -> Callable[[*_Ts], _R]:
    """Compile a function, when it is first called, for inputs of any shape.

    What the compiler cannot take, such as a GRU and packed sequences, runs as it is.

    Raises:
        TrainingError: when called: there is no compiler here, or it fails.
    """
    from torch._dynamo.exc import TorchDynamoException  # slow to import

    fast = torch.compile(function, dynamic=True, backend=backend)

    @wraps(function)
    def run(*args: *_Ts) -> _R:
        try:
            return fast(*args)
        except TorchDynamoException as error:
            cause = getattr(error, "inner_exception", error)
            reason = next(iter(str(cause).splitlines()), type(cause).__name__)
            raise TrainingError(
                f"--compile failed: {reason}. Leave it off, or install what torch compiles with: "
                "a C++ compiler, and for GPUs Triton."
            ) from error

    return run

"""Random state of a learner, isolated from the global generators of torch."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


class RngState:
    """Random state of the CPU and, when training on one, of the GPU."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self._gpus = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(self._gpus):
            torch.manual_seed(seed)
            self.states = self._read()

    @contextmanager
    def use(self, *, keep: bool = True) -> Iterator[None]:
        """Use this state within the block; with `keep`, store the state at its end."""
        with torch.random.fork_rng(self._gpus):
            torch.set_rng_state(self.states[0])
            for gpu, state in zip(self._gpus, self.states[1:], strict=True):
                torch.cuda.set_rng_state(state, gpu)
            yield
            if keep:
                self.states = self._read()

    def _read(self) -> list[torch.Tensor]:
        return [torch.get_rng_state(), *(torch.cuda.get_rng_state(gpu) for gpu in self._gpus)]

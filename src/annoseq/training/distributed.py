"""Distributed data-parallel training, on one machine or several.

Every process has all the rows and the same batches in the same order. It takes its share of the
rows of each batch, and the gradients are averaged, so that the result is that of one process.
Accelerate joins the processes and chooses the backend (NCCL between GPUs, gloo between CPUs);
torch's `DistributedDataParallel` averages gradients while they are being computed.
"""

from __future__ import annotations

import random
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from annoseq.errors import TrainingError
from annoseq.torchrun import torchrun_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

    from annoseq.tokenization.batching import Batch

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class ProcessGroup:
    """Rank of this process and number of processes; by default there is one."""

    rank: int = 0
    count: int = 1
    device: torch.device = _CPU

    @classmethod
    def join(cls, device: torch.device) -> ProcessGroup:
        """Join the process group of the launcher, if it started several processes.

        Raises:
            TrainingError: the processes do not find each other.
        """
        if torchrun_environment().world_size == 1:
            return cls()
        # Importing it takes 3 s of CPU, which one process does not need.
        from accelerate import PartialState

        try:
            state = PartialState(cpu=device.type == "cpu")
        except distributed.DistError as error:
            raise TrainingError(
                "the processes do not find each other: "
                f"{str(error).splitlines()[0]}. Give every torchrun the same --rdzv-endpoint: "
                "a machine that the others reach, and a free port."
            ) from error
        return cls(state.process_index, state.num_processes, device)

    @staticmethod
    def leave() -> None:
        """Destroy the process group, if there is one."""
        if distributed.is_initialized():
            distributed.destroy_process_group()

    @property
    def is_main(self) -> bool:
        """True in the process that prints and writes."""
        return self.rank == 0

    def once(self, report: Callable[[str], None]) -> Callable[[str], None]:
        """Return `report` in the main process, and a function without effect in the others."""
        return report if self.is_main else _ignore

    def seed(self, seed: int) -> int:
        """Return a seed of this process, so that dropout differs between processes."""
        return random.Random(f"{seed}-{self.rank}").getrandbits(63) if self.rank else seed

    def module(self, objective: nn.Module) -> nn.Module:
        """Return the module to call in training; its gradients are averaged over processes."""
        if self.count == 1:
            return objective
        return DistributedDataParallel(objective)

    def share(self, batch: Batch) -> tuple[Batch, bool]:
        """Return the rows of a batch for this process, and True if they count.

        With fewer rows than processes, the last processes take a row of another one, because all
        must take part in the backward pass, with a weight of 0.
        """
        if self.count == 1:
            return batch, True
        counts = self.rank < len(batch.rows)
        rows = slice(self.rank, None, self.count) if counts else slice(0, 1)
        return batch.select(rows), counts

    def no_sync(self, module: nn.Module) -> AbstractContextManager[None]:
        """Accumulate gradients locally, until a backward pass outside averages them."""
        if isinstance(module, DistributedDataParallel):
            return cast("AbstractContextManager[None]", module.no_sync())
        return nullcontext()

    def all_reduce(self, value: Tensor) -> Tensor:
        """Sum a tensor over processes, on their devices, in place."""
        if self.count > 1:
            distributed.all_reduce(value)
        return value

    def sum(self, numbers: Sequence[float]) -> list[float]:
        """Sum each of several numbers over processes."""
        if self.count == 1:
            return list(numbers)
        sums = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        distributed.all_reduce(sums)
        return sums.tolist()

    def gather(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        """Return the tensors of every process, which have the same shapes in all."""
        if self.count == 1:
            return [list(tensors)]
        by_tensor = []
        for tensor in tensors:
            own = tensor.to(self.device)
            received = [torch.empty_like(own) for _ in range(self.count)]
            distributed.all_gather(received, own)
            by_tensor.append([copy.to(tensor.device) for copy in received])
        return [list(tensors_of_process) for tensors_of_process in zip(*by_tensor, strict=True)]


def _ignore(_: str) -> None:
    pass

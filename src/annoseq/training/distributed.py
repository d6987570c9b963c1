"""The processes that train one model together, on one machine or several.

Every process has all the rows and the same batches in the same order. Of each batch it takes its
share of the rows, and the gradients are averaged, so that the batch means what it means to one
process. Accelerate joins the processes and chooses how they talk (NCCL between GPUs, gloo between
CPUs); torch's `DistributedDataParallel` averages gradients while they are being computed.
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
    """This process and the others; by default there are none."""

    rank: int = 0
    count: int = 1
    device: torch.device = _CPU

    @classmethod
    def join(cls, device: torch.device) -> ProcessGroup:
        """Wait for the other processes that the launcher started, if there are any.

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
        """Take leave of the other processes, if there are any."""
        if distributed.is_initialized():
            distributed.destroy_process_group()

    @property
    def is_main(self) -> bool:
        """Whether this is the process that prints and writes."""
        return self.rank == 0

    def once(self, report: Callable[[str], None]) -> Callable[[str], None]:
        """Return `report` in the main process, and what says nothing in the others."""
        return report if self.is_main else _say_nothing

    def seed(self, seed: int) -> int:
        """Return a seed of this process's own: what dropout drops differs between processes."""
        return random.Random(f"{seed}-{self.rank}").getrandbits(63) if self.rank else seed

    def module(self, objective: nn.Module) -> nn.Module:
        """Return the module to call in training, whose gradients are those of all processes."""
        if self.count == 1:
            return objective
        return DistributedDataParallel(objective)

    def share(self, batch: Batch) -> tuple[Batch, bool]:
        """Take this process's rows of a batch, as wide as the batch; tell whether they count.

        Where the batch has fewer rows than there are processes, the last processes take a row
        that is another's, because all must take part, and count it as nothing.
        """
        if self.count == 1:
            return batch, True
        counts = self.rank < len(batch.rows)
        rows = slice(self.rank, None, self.count) if counts else slice(0, 1)
        return batch.select(rows), counts

    def alone(self, module: nn.Module) -> AbstractContextManager[None]:
        """Keep gradients to this process, until a backward pass outside averages all of them."""
        if isinstance(module, DistributedDataParallel):
            return cast("AbstractContextManager[None]", module.no_sync())
        return nullcontext()

    def total(self, mine: Tensor) -> Tensor:
        """Add up a number of all processes, on their devices."""
        if self.count > 1:
            distributed.all_reduce(mine)
        return mine

    def sum(self, numbers: Sequence[float]) -> list[float]:
        """Add up the numbers of all processes, place by place."""
        if self.count == 1:
            return list(numbers)
        sums = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        distributed.all_reduce(sums)
        return sums.tolist()

    def gather(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        """Collect tensors, alike in all processes but for their values, by process."""
        if self.count == 1:
            return [list(tensors)]
        by_tensor = []
        for tensor in tensors:
            one = tensor.to(self.device)
            received = [torch.empty_like(one) for _ in range(self.count)]
            distributed.all_gather(received, one)
            by_tensor.append([other.to(tensor.device) for other in received])
        return [list(of_one) for of_one in zip(*by_tensor, strict=True)]


def _say_nothing(_: str) -> None:
    pass

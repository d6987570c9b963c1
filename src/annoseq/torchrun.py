"""Rank and world size that torchrun, or `accelerate launch`, gives to its processes."""

from __future__ import annotations

import os
from typing import NamedTuple

_RANKS = ("RANK", "LOCAL_RANK", "WORLD_SIZE")
_RENDEZVOUS = {"MASTER_ADDR", "MASTER_PORT"}


class TorchrunEnvironment(NamedTuple):
    """Rank of this process among all and on its machine, both from 0, and number of processes."""

    rank: int = 0
    local_rank: int = 0
    world_size: int = 1

    @property
    def is_main(self) -> bool:
        """True for the process that prints and writes files."""
        return self.rank == 0


def torchrun_environment() -> TorchrunEnvironment:
    """Read the environment variables of a launcher; without a launcher there is one process."""
    if not _RENDEZVOUS.union(_RANKS) <= os.environ.keys():
        return TorchrunEnvironment()
    environment = TorchrunEnvironment(*(int(os.environ[name]) for name in _RANKS))
    return environment if environment.world_size > 1 else TorchrunEnvironment()

"""How this process was started: by itself, or by a launcher as one of several."""

from __future__ import annotations

import os
from typing import NamedTuple

_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE")
_MEETING = {"MASTER_ADDR", "MASTER_PORT"}


class Launch(NamedTuple):
    """The number of this process among all, among those of its machine, and how many there are."""

    rank: int = 0
    local_rank: int = 0
    processes: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that prints and writes."""
        return self.rank == 0


def launched() -> Launch:
    """Read what torchrun, or `accelerate launch`, says to the processes that it starts."""
    if not _MEETING.union(_VARIABLES) <= os.environ.keys():
        return Launch()
    launch = Launch(*(int(os.environ[name]) for name in _VARIABLES))
    return launch if launch.processes > 1 else Launch()

from __future__ import annotations

import os
import signal
from functools import partial
from typing import TYPE_CHECKING

import pytest

from annoseq.errors import OutputError, TrainingError
from annoseq.training.run_folder import run_workers

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow  # each process imports torch


def leave_a_file(folder: Path) -> None:
    (folder / str(os.getpid())).touch()


def fail() -> None:
    raise OutputError("no room")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_work_is_done_in_processes_of_their_own(tmp_path: Path) -> None:
    run_workers(partial(leave_a_file, tmp_path), workers=2)
    names = {path.name for path in tmp_path.iterdir()}
    assert len(names) == 2
    assert str(os.getpid()) not in names


def test_what_a_worker_raises_is_raised() -> None:
    with pytest.raises(OutputError, match=r"^no room$"):
        run_workers(fail, workers=2)


def test_a_worker_that_is_killed_is_told() -> None:
    with pytest.raises(TrainingError) as caught:
        run_workers(die, workers=2)
    assert str(caught.value) == (
        "2 of 2 workers ended with exit code -9; -9 is often a lack of memory. "
        "Add --resume to go on, perhaps with fewer --workers."
    )

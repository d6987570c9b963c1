"""Failures of the processes that train together, in the words of an error."""

from __future__ import annotations

from multiprocessing import Pipe
from typing import TYPE_CHECKING, Any, cast

import pytest

from annoseq.errors import OutputError, ProcessError
from annoseq.torchrun import torchrun_environment
from annoseq.training import training_workers as training_workers_module
from annoseq.training.training_workers import _READY, _join_all, _Peer, training_workers

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import SpawnProcess
    from pathlib import Path


class Ended:
    """A process that has ended."""

    def __init__(self, exitcode: int) -> None:
        self.exitcode = exitcode
        self.sentinel, theirs = Pipe()
        theirs.close()

    def join(self, _: float) -> None:
        pass


def ended(exitcode: int, *answers: str) -> _Peer:
    ours, theirs = Pipe()
    for answer in answers:
        theirs.send(answer)
    theirs.close()
    return _Peer(cast("SpawnProcess", Ended(exitcode)), cast("Any", ours))


@pytest.mark.parametrize(
    ("worker", "message"),
    [
        (
            ended(-9),
            "a worker was ended by SIGKILL; the system does that where memory is short. Use fewer "
            "--workers; --resume goes on after the last epoch.",
        ),
        (
            ended(3),
            "a worker ended with 3; the system does that where memory is short. Use fewer "
            "--workers; --resume goes on after the last epoch.",
        ),
        (ended(0, "a worker failed: no room"), "a worker failed: no room"),
        (ended(0), "a worker ended before training began. Run it again."),
    ],
)
def test_a_worker_that_fails_before_training_is_told(
    worker: _Peer, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ProcessError) as caught:
        _join_all([worker], tmp_path / "store")
    assert str(caught.value) == message


def test_a_worker_that_fails_in_training_is_told() -> None:
    worker = ended(-9, _READY)
    assert worker.answers.recv() == _READY
    failure = worker.failure()
    assert failure is not None
    assert "was ended by SIGKILL" in str(failure)
    assert ended(0).failure() is None


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (OutputError("no room"), "a worker failed: no room"),
        (
            ValueError("Xanthippe"),
            "a worker failed with ValueError. Run the same command without --workers, which tells "
            "more.",
        ),
    ],
)
def test_a_worker_sends_why_it_fails(
    error: Exception, answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*, join: Callable[[], None]) -> None:
        assert not torchrun_environment().is_main
        raise error

    monkeypatch.setattr(training_workers_module, "_end_with_parent", lambda: None)
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "")  # restored in the end
    ours, theirs = Pipe()
    training_workers_module._run_worker(1, 2, tmp_path / "store", cast("Any", theirs), work)
    assert ours.recv() == answer


def test_one_process_has_nobody_to_join() -> None:
    with training_workers(1, cast("Any", None)) as join:
        join()

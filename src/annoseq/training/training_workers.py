"""Processes of this machine that train one model together (`annoseq train --workers`).

This process is the first of them: it prints, validates its share, and writes. The others do the
same work with their share of each batch (`annoseq.training.distributed`). They meet by a file in a
private folder and exchange gradients by gloo on the loopback interface, which no other machine
reaches. They end with this process, however it ends, and leave Ctrl-C to it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Protocol

from torch import distributed

from annoseq.errors import AnnoseqError, ProcessError
from annoseq.training.run_folder import start_ignoring_interrupts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

_READY = ""
_INTERFACE, _LOOPBACK = "GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo"


class TrainingWork(Protocol):
    """Training as one of several processes, which is sent to each of them."""

    def __call__(self, *, join: Callable[[], None]) -> None:
        """Train; `join` is called when all is read, before the learner is made."""
        ...


@dataclass(frozen=True, slots=True)
class _Peer:
    """A process other than the first; its connection tells when it is ready, or why it failed."""

    process: SpawnProcess
    answers: Connection

    def failure(self, *, seconds: float = 0) -> ProcessError | None:
        """Return the error of a worker that failed or died, waiting for its end so long."""
        self.process.join(seconds)
        if self.answers.poll():
            try:
                return ProcessError(self.answers.recv())
            except EOFError:
                pass
        code = self.process.exitcode
        if not code:
            return None
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        return ProcessError(
            f"a worker {how}; the system does that where memory is short. Use fewer --workers; "
            "--resume goes on after the last epoch."
        )


@contextmanager
def training_workers(count: int, work: TrainingWork) -> Iterator[Callable[[], None]]:
    """Start processes that do the same work as this block; yield its `join`.

    The others are ended with the block. With a count of 1 there are none, and nothing to join.

    Raises:
        ProcessError: a worker died or failed.
    """
    if count == 1:
        yield lambda: None
        return
    with TemporaryDirectory(prefix="annoseq-workers-") as folder:
        store, workers = Path(folder) / "store", list[_Peer]()
        try:
            workers += _start(count, store, work)
            yield partial(_join_all, workers, store)
        except RuntimeError as error:  # what gloo raises when another process is gone
            if isinstance(error, AnnoseqError):
                raise
            for worker in workers:
                if failure := worker.failure(seconds=1):
                    raise failure from error
            raise
        finally:
            for worker in workers:
                worker.process.kill()  # after training, it has nothing more to do
                worker.process.join()
                worker.answers.close()
            if distributed.is_initialized():
                distributed.destroy_process_group()


def _start(count: int, store: Path, work: TrainingWork) -> Iterator[_Peer]:
    context = get_context("spawn")  # a fork would inherit torch's threads in any state
    for rank in range(1, count):
        answers, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=_run_worker, args=(rank, count, store, theirs, work), daemon=True
        )
        start_ignoring_interrupts([process])
        theirs.close()
        yield _Peer(process, answers)


def _join_all(workers: Sequence[_Peer], store: Path) -> None:
    """Join the process group when all workers are ready.

    Raises:
        ProcessError: one of them died or failed before.
    """
    for worker in workers:
        connection.wait([worker.answers, worker.process.sentinel])
        try:
            answer = worker.answers.recv()
        except EOFError:
            answer = None
        if answer != _READY:
            failure = worker.failure(seconds=5) if answer is None else ProcessError(answer)
            raise failure or ProcessError("a worker ended before training began. Run it again.")
    _join(0, len(workers) + 1, store)


def _join(rank: int, count: int, store: Path) -> None:
    is_set = _INTERFACE in os.environ
    os.environ.setdefault(_INTERFACE, _LOOPBACK)
    try:
        meeting = distributed.FileStore(str(store), count)  # type: ignore[attr-defined]
        distributed.init_process_group("gloo", store=meeting, rank=rank, world_size=count)
    finally:
        if not is_set:
            del os.environ[_INTERFACE]


def _run_worker(
    rank: int, count: int, store: Path, answers: Connection, work: TrainingWork
) -> None:
    """Do the work of a process other than the first."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # As torchrun does, by which all that prints or writes knows that it is not the first.
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}

    def join() -> None:
        answers.send(_READY)
        _join(rank, count, store)

    try:
        work(join=join)
    except AnnoseqError as error:  # the first has it, too, unless it is of this process alone
        answers.send(f"a worker failed: {error}")
    except Exception as error:  # noqa: BLE001  # its message may quote a text
        answers.send(
            f"a worker failed with {type(error).__name__}. Run the same command without --workers, "
            "which tells more."
        )


def _end_with_parent() -> None:
    """End this process when the one that started it ends, by whatever cause."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)

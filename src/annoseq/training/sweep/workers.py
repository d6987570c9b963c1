"""The same work in several processes at once."""

from __future__ import annotations

import os
import signal
from multiprocessing import get_context
from typing import TYPE_CHECKING

import torch

from annoseq.errors import AnnoseqError, TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.process import BaseProcess
    from multiprocessing.queues import SimpleQueue


def work_in_parallel(work: Callable[[], None], *, workers: int) -> None:
    """Do the work in each of some processes, which share the cores among them; wait for all.

    Raises:
        AnnoseqError: what a process raised.
        TrainingError: a process was killed.
    """
    context = get_context("spawn")  # a fork would inherit torch's threads in any state
    faults: SimpleQueue[AnnoseqError] = context.SimpleQueue()
    threads = max(1, torch.get_num_threads() // workers)
    processes = [
        context.Process(target=_work, args=(work, threads, faults), daemon=True)
        for _ in range(workers)
    ]
    try:
        _start(processes)
        for process in processes:
            process.join()
    finally:
        for process in processes:
            if process.is_alive():
                process.terminate()
                process.join()
    if not faults.empty():
        raise faults.get()
    if codes := [process.exitcode for process in processes if process.exitcode]:
        raise TrainingError(
            f"{len(codes)} of {workers} workers ended with exit code {codes[0]}; -9 is often a "
            "lack of memory. Add --resume to go on, perhaps with fewer --workers."
        )


def _start(processes: Sequence[BaseProcess]) -> None:
    """Start processes that leave Ctrl-C to this one, which then ends them."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for process in processes:
            process.start()
    finally:
        signal.signal(signal.SIGINT, before)


def _work(work: Callable[[], None], threads: int, faults: SimpleQueue[AnnoseqError]) -> None:
    torch.set_num_threads(threads)
    os.environ["TTY_COMPATIBLE"] = "0"  # progress bars of several processes spoil each other
    try:
        work()
    except AnnoseqError as error:
        faults.put(error)

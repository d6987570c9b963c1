"""Cores of this process, and a worker thread beside the one that trains.

torch's own threads (OpenMP) share every operation, and spin while they wait for one another: beside
a busy core they are slower than one thread. The worker takes a few large parts of a training step
instead, and waits without computing. What it has not begun when the other part is done, the calling
thread does itself, so that a worker that finds no core costs next to nothing.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_One = TypeVar("_One")
_Other = TypeVar("_Other")

_IS_USED: ContextVar[bool] = ContextVar("_IS_USED", default=False)
"""The worker's own context has the default, so that it never waits for itself."""


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # Linux has it
    return len(allowed(0)) if allowed else os.cpu_count() or 1


@contextmanager
def worker_thread() -> Iterator[None]:
    """Use the worker in this context, if the process may use a second core."""
    before = _IS_USED.set(usable_cores() > 1)
    try:
        yield
    finally:
        _IS_USED.reset(before)


def is_worker_used() -> bool:
    """Return True in a context of the worker."""
    return _IS_USED.get()


def run_both(first: Callable[[], _One], second: Callable[[], _Other]) -> tuple[_One, _Other]:
    """Call two functions, the second one in the worker if it is used; return what they return.

    The worker has torch's default modes: gradients are recorded, and nothing is cast. An exception
    of either function is raised when both have ended, that of the first if both fail.
    """
    if not is_worker_used():
        return first(), second()
    future = _worker().submit(second)
    try:
        result = first()
        return result, second() if future.cancel() else future.result()
    except BaseException:
        if not future.cancel():
            wait([future])
        raise


@cache
def _worker() -> ThreadPoolExecutor:
    """Return the worker, which is started when it is first given something to do."""
    import torch

    def use_one_thread() -> None:
        torch.set_num_threads(1)

    return ThreadPoolExecutor(1, "annoseq-worker", initializer=use_one_thread)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_worker.cache_clear)  # a forked process has one thread

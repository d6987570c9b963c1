from __future__ import annotations

import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch

from annoseq import cpu_threads, devices
from annoseq.cpu_threads import is_worker_used, run_both, usable_cores, worker_thread
from annoseq.devices import ComputeDevice

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_threads, "usable_cores", lambda: 2)


@pytest.fixture
def worker(two_cores: None) -> None:
    """Let the worker run, so that it begins what it is given at once."""
    del two_cores
    cpu_threads._worker().submit(int).result()


def name_of_thread() -> str:
    return threading.current_thread().name


def after_another_begins(begun: threading.Event) -> str:
    assert begun.wait(5)
    return name_of_thread()


def begin(begun: threading.Event) -> str:
    begun.set()
    return name_of_thread()


@pytest.mark.usefixtures("worker")
def test_both_functions_run_at_the_same_time_where_a_second_core_may_be_used() -> None:
    begun = threading.Event()
    with worker_thread():
        names = run_both(partial(after_another_begins, begun), partial(begin, begun))
    assert names[0] == name_of_thread()
    assert names[1].startswith("annoseq-worker")
    assert run_both(name_of_thread, name_of_thread) == (name_of_thread(),) * 2


def test_one_core_runs_one_function_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_threads, "usable_cores", lambda: 1)
    with worker_thread():
        assert not is_worker_used()
        assert run_both(name_of_thread, name_of_thread) == (name_of_thread(),) * 2


@pytest.mark.usefixtures("worker")
def test_the_calling_thread_does_what_the_worker_has_not_begun() -> None:
    free = threading.Event()
    busy = cpu_threads._worker().submit(free.wait, 5)
    with worker_thread():
        assert run_both(name_of_thread, name_of_thread) == (name_of_thread(),) * 2
    free.set()
    busy.result()


@pytest.mark.usefixtures("worker")
def test_the_worker_does_not_wait_for_itself() -> None:
    def nested() -> tuple[str, str]:
        return run_both(name_of_thread, name_of_thread)

    begun = threading.Event()
    with worker_thread():
        _, names = run_both(partial(after_another_begins, begun), lambda: (begin(begun), *nested()))
    assert len({*names}) == 1


@pytest.mark.usefixtures("worker")
def test_the_worker_computes_with_one_thread_and_records_gradients() -> None:
    begun = threading.Event()

    def look() -> tuple[int, bool]:
        begun.set()
        return torch.get_num_threads(), torch.is_grad_enabled()

    with worker_thread(), torch.no_grad():
        assert run_both(partial(after_another_begins, begun), look)[1] == (1, True)


def fail(error: BaseException, begun: threading.Event | None = None) -> None:
    if begun is not None:
        begin(begun)
        time.sleep(0.01)
    raise error


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
def test_an_exception_is_raised_when_both_have_ended(error: BaseException) -> None:
    begun, ended = threading.Event(), threading.Event()

    def end() -> None:
        begun.set()
        time.sleep(0.02)
        ended.set()

    def fail_meanwhile() -> None:
        assert begun.wait(5)
        raise error

    with pytest.raises(type(error)), worker_thread():
        run_both(fail_meanwhile, end)
    assert ended.is_set()
    begun = threading.Event()
    with pytest.raises(type(error)), worker_thread():
        run_both(partial(after_another_begins, begun), partial(fail, error, begun))
    with worker_thread():
        assert run_both(int, int) == (0, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.usefixtures("worker")
def test_a_forked_process_starts_a_worker_of_its_own() -> None:
    child = os.fork()
    if not child:
        begun = threading.Event()
        with worker_thread():
            is_begun, _ = run_both(partial(begun.wait, 5), begun.set)
        os._exit(0 if is_begun else 1)
    assert os.waitpid(child, 0)[1] == 0


def clear_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(devices, "_DEFAULT_THREADS", torch.get_num_threads())


def leave_as_is(monkeypatch: pytest.MonkeyPatch) -> None:
    del monkeypatch


def choose_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def start_two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("RANK", "0"), ("LOCAL_RANK", "0"), ("WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("MASTER_PORT", "1")


@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize(
    ("setting", "device", "expected"),
    [
        (leave_as_is, "cpu", True),
        (choose_one, "cpu", False),
        (start_two_processes, "cpu", False),
        (leave_as_is, "cuda", False),
    ],
    ids=["default", "chosen threads", "two processes", "GPU"],
)
def test_a_training_uses_the_worker(
    setting: Callable[[pytest.MonkeyPatch], None],
    device: str,
    expected: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clear_choice(monkeypatch)
    setting(monkeypatch)
    with ComputeDevice(torch.device(device), torch.float32).one_thread():
        assert is_worker_used() == expected
    assert not is_worker_used()


def test_the_cores_are_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 7}, raising=False)
    assert usable_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1

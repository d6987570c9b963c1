"""Pool of processes that annotate the chunks of one input, each with a model of its own.

A task maps a chunk of texts to a result. Results come in the order of the chunks, and what a chunk
gives depends on the chunk alone, so that the number of workers changes no byte of an output. At
most two chunks for each worker are in memory.

A worker ends with its connection: when the pool is closed, and when the process that started it is
killed. One that dies ends the run, since its chunk would be missing from the order.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from annoseq import errors
from annoseq.errors import AnnoseqError, OptionError, ProcessError
from annoseq.inference.annotator import Annotator

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from concurrent.futures import Future
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess
    from pathlib import Path

    from annoseq.config import DeviceConfig

_AHEAD = 2
"""Chunks for each worker: the one it annotates, and the one it takes next."""
_THREADS = "OMP_NUM_THREADS"

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")
Chunk_contra = TypeVar("Chunk_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)


class ChunkTask(Protocol[Chunk_contra, Result_co]):
    """Options of a command that maps chunks of texts to results; it is sent to every worker."""

    def run(
        self, annotator: Annotator, chunk: Chunk_contra, advance: Callable[[int], None]
    ) -> Result_co:
        """Return the result of a chunk; `advance` is told the number of texts that are done."""
        ...


class ChunkRunner(Protocol):
    """Runs a task on chunks, in this process or in a pool."""

    def map(
        self,
        task: ChunkTask[Chunk, Result],
        chunks: Iterator[Chunk],
        *,
        advance: Callable[[int], None],
    ) -> Generator[tuple[Chunk, Result], None, None]:
        """Yield each chunk with its result, in order. Close the generator if it is not exhausted.

        An error of `chunks` or of the task is raised in its place in the order.
        """
        ...


@dataclass(frozen=True)
class InProcessRunner:
    """Runs tasks one chunk after the other in this process."""

    annotator: Annotator

    def map(
        self,
        task: ChunkTask[Chunk, Result],
        chunks: Iterator[Chunk],
        *,
        advance: Callable[[int], None],
    ) -> Generator[tuple[Chunk, Result], None, None]:
        """Yield each chunk with its result; a chunk is read when the one before is done."""
        for chunk in chunks:
            yield chunk, task.run(self.annotator, chunk, advance)


class _Failure(NamedTuple):
    """Exception of a worker: the class of an `AnnoseqError` and its message, or another's name."""

    error: str
    message: str | None

    def as_error(self) -> AnnoseqError:
        if self.message is None:  # it may quote a text
            return ProcessError(
                f"a worker failed with {self.error}. Run the same command without --workers, which "
                "tells more."
            )
        # Some classes make their message from other arguments.
        class_: type[AnnoseqError] = getattr(errors, self.error)
        error = class_.__new__(class_)
        error.args = (self.message,)
        return error


class _Answer(NamedTuple):
    """Result of a chunk, and the number of its texts that are done."""

    result: Any
    advanced: int


class _Worker(NamedTuple):
    """A process and the connection to it."""

    process: SpawnProcess
    connection: Connection

    def call(self, chunk: object) -> _Answer:
        """Return the answer of the worker.

        Raises:
            AnnoseqError: the task raised it.
            ProcessError: the worker died.
        """
        try:
            self.connection.send(chunk)
            answer: _Answer | _Failure = self.connection.recv()
        except (EOFError, OSError):
            self.process.join(timeout=5)
            raise ProcessError(_describe_end(self.process.exitcode)) from None
        if isinstance(answer, _Failure):
            raise answer.as_error()
        return answer


@dataclass(frozen=True)
class AnnotatorPool:
    """Runs tasks in several processes, each of which loads the model once."""

    workers: int
    model: Path
    device: DeviceConfig
    vectors: Path | None = None

    def map(
        self,
        task: ChunkTask[Chunk, Result],
        chunks: Iterator[Chunk],
        *,
        advance: Callable[[int], None],
    ) -> Generator[tuple[Chunk, Result], None, None]:
        """Yield each chunk with its result, in order.

        Raises:
            ProcessError: a worker died.
        """
        with self._started(task) as submit:
            pending: deque[tuple[Chunk, Future[_Answer]]] = deque()
            failure: Exception | None = None
            is_exhausted = False
            while True:
                while not is_exhausted and len(pending) < _AHEAD * self.workers:
                    try:
                        chunk = next(chunks)
                    except StopIteration:
                        is_exhausted = True
                    except Exception as error:  # noqa: BLE001  # raised after the chunks before it
                        failure, is_exhausted = error, True
                    else:
                        pending.append((chunk, submit(chunk)))
                if not pending:
                    break
                done, future = pending.popleft()
                answer = future.result()
                advance(answer.advanced)
                yield done, answer.result
            if failure is not None:
                raise failure

    @contextmanager
    def _started(self, task: object) -> Iterator[Callable[[object], Future[_Answer]]]:
        """Start the workers, and yield the function that submits a chunk to the next idle one."""
        idle: SimpleQueue[_Worker] = SimpleQueue()

        def call(chunk: object) -> _Answer:
            worker = idle.get()
            try:
                return worker.call(chunk)
            finally:
                idle.put(worker)

        threads, workers = ThreadPoolExecutor(self.workers), list[_Worker]()
        try:
            with _inherited_settings():
                for _ in range(self.workers):
                    workers.append(self._start(task))
                    idle.put(workers[-1])
            yield lambda chunk: threads.submit(call, chunk)
        finally:
            for worker in workers:
                worker.process.kill()  # what it has not sent is of no use any more
            threads.shutdown(cancel_futures=True)
            for worker in workers:
                worker.process.join()
                worker.connection.close()

    def _start(self, task: object) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        arguments = (theirs, self.model, self.device, self.vectors, task)
        process = context.Process(target=_serve, args=arguments, daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)


def make_pool(
    annotator: Annotator,
    *,
    workers: int,
    model: Path,
    device: DeviceConfig,
    vectors: Path | None = None,
) -> AnnotatorPool | None:
    """Return a pool of several workers, which hold the same model as an annotator of this process.

    Raises:
        OptionError: several workers would share a GPU.
    """
    if workers == 1:
        return None
    if annotator.device != "cpu":
        raise OptionError(
            f"--workers {workers} is for CPUs, and the model runs on {annotator.device}. Leave it "
            "off, or add --device cpu."
        )
    return AnnotatorPool(workers, model, device, vectors)


def _serve(
    connection: Connection,
    model: Path,
    device: DeviceConfig,
    vectors: Path | None,
    task: ChunkTask[Any, Any],
) -> None:
    """Answer with the result of each chunk until the connection ends."""
    annotator = _load(model, device, vectors)
    # Either end may find that the other is gone.
    with suppress(EOFError, ConnectionError):
        while True:
            connection.send(_answer(annotator, connection.recv(), task))


def _load(model: Path, device: DeviceConfig, vectors: Path | None) -> Annotator | _Failure:
    try:
        return Annotator.load(model, device=device, vectors=vectors)
    except Exception as error:  # noqa: BLE001  # passed on
        return _failure(error)


def _answer(
    annotator: Annotator | _Failure, chunk: object, task: ChunkTask[Any, Any]
) -> _Answer | _Failure:
    if isinstance(annotator, _Failure):
        return annotator
    advanced: list[int] = []
    try:
        return _Answer(task.run(annotator, chunk, advanced.append), sum(advanced))
    except Exception as error:  # noqa: BLE001  # passed on
        return _failure(error)


def _failure(error: Exception) -> _Failure:
    name = type(error).__name__
    is_ours = isinstance(error, AnnoseqError) and hasattr(errors, name)
    return _Failure(name, str(error) if is_ours else None)


def _describe_end(code: int | None) -> str:
    if code is not None and code < 0:
        how = f"was ended by {signal.Signals(-code).name}"
    else:
        how = f"ended with exit code {code}"
    return (
        f"a worker {how}; the system does that where memory is short. Use fewer --workers, or a "
        "smaller --chunk-size."
    )


@contextmanager
def _inherited_settings() -> Iterator[None]:
    """Let processes that are started ignore interrupts, and compute with one thread.

    Ctrl-C goes to all processes of a terminal; the first of them ends the others. A number of
    threads that the user has set is left.
    """
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if is_main else None
    is_set = _THREADS in os.environ
    os.environ.setdefault(_THREADS, "1")
    try:
        yield
    finally:
        if not is_set:
            del os.environ[_THREADS]
        if is_main:
            signal.signal(signal.SIGINT, before)

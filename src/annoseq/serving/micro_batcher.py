"""Micro-batching: the texts of several requests, annotated at once, from a bounded queue.

One thread runs a model. While it annotates, requests wait, and those that wait together are
annotated together; when nothing runs, the first one waits for others for a few milliseconds at
most. A request with many texts takes turns with the others.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from annoseq.scale.part_worker import isolate_failures

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from annoseq.inference.annotation import Annotation

T = TypeVar("T")
_TEXT_COST = 100
"""Characters that a text counts for besides its own: a request of empty texts is work, too."""
_LONGEST_RETRY = 600


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Requests and characters that may wait, characters annotated at once, longest wait for more.

    A request that meets an empty queue is taken whatever its size.
    """

    waiting_requests: int = 1_000
    waiting_characters: int = 4_000_000
    batch_characters: int = 32_768
    delay: float = 0.002


class QueueFullError(Exception):
    """No room in the queue; `retry_after` is the time in seconds until there may be some."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the queue is full; try again in {retry_after} s")
        self.retry_after = retry_after


@dataclass(eq=False, repr=False)
class AnnotationJob(Generic[T]):
    """Texts of a request, and the function that makes its result of their annotations.

    `annotate` takes texts and the number of the first. Jobs with the same `key` have the same
    function, and may share a batch; a job without a key is always annotated alone.
    """

    texts: Sequence[str]
    annotate: Callable[[Sequence[str], int], Sequence[Annotation]]
    finish: Callable[[Sequence[Annotation]], T]
    key: Hashable | None = None
    future: Future[T] = field(default_factory=Future)
    is_abandoned: bool = False
    """True if nobody waits for the result any more."""
    arrived: float = field(default_factory=time.monotonic)
    annotations: list[Annotation] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Cost of the texts that are not annotated yet."""
        return sum(map(text_cost, self.texts[len(self.annotations) :]))


class _Slice(NamedTuple):
    job: AnnotationJob[Any]
    first: int
    last: int

    @property
    def texts(self) -> Sequence[str]:
        return self.job.texts[self.first : self.last]


def text_cost(text: str) -> int:
    """Return the cost of annotating a text, in characters."""
    return len(text) + _TEXT_COST


class MicroBatcher:
    """Queue and thread of a model. `on_batch` is told the texts, the requests and the seconds."""

    def __init__(
        self,
        limits: BatchLimits,
        *,
        name: str = "model",
        on_batch: Callable[[int, int, float], None] = lambda *_: None,
    ) -> None:
        self.limits = limits
        self._on_batch = on_batch
        self._jobs: deque[AnnotationJob[Any]] = deque()
        self._waiting = 0
        self._rate = 50_000.0  # characters a second, until a batch was measured
        self._is_closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"annoseq {name}", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """True while jobs are taken."""
        return self._thread.is_alive() and not self._is_closed

    @property
    def waiting(self) -> tuple[int, int]:
        """Numbers of requests and of characters that wait."""
        return len(self._jobs), self._waiting

    def submit(self, job: AnnotationJob[T]) -> Future[T]:
        """Queue a job, whose future gets the result of `finish`.

        Raises:
            QueueFullError: there is no room, or the batcher is closed.
        """
        cost = job.left
        with self._changed:
            is_full = len(self._jobs) >= self.limits.waiting_requests or (
                len(self._jobs) > 0 and self._waiting + cost > self.limits.waiting_characters
            )
            if is_full or self._is_closed:
                raise QueueFullError(self._retry_after())
            job.future.set_running_or_notify_cancel()  # from here on it cannot be cancelled
            self._jobs.append(job)
            self._waiting += cost
            self._changed.notify()
        return job.future

    def close(self) -> None:
        """Finish the jobs that were taken, and end the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _retry_after(self) -> int:
        return min(max(1, math.ceil(self._waiting / self._rate)), _LONGEST_RETRY)

    def _run(self) -> None:
        while batch := self._next_batch():
            start = time.perf_counter()
            self._process(batch)
            seconds = time.perf_counter() - start
            texts = [text for piece in batch for text in piece.texts]
            self._rate += 0.1 * (sum(map(text_cost, texts)) / max(seconds, 1e-6) - self._rate)
            self._on_batch(len(texts), len(batch), seconds)

    def _next_batch(self) -> list[_Slice]:
        """Wait for jobs, and take a batch; empty if the batcher is closed, and nothing is left."""
        with self._changed:
            while True:
                self._drop_abandoned()
                if not self._jobs:
                    if self._is_closed:
                        return []
                    self._changed.wait()
                    continue
                spare = self._jobs[0].arrived + self.limits.delay - time.monotonic()
                is_full = self._waiting >= self.limits.batch_characters
                if self._is_closed or is_full or spare <= 0:
                    return self._take()
                self._changed.wait(spare)

    def _drop_abandoned(self) -> None:
        if any(job.is_abandoned for job in self._jobs):
            self._jobs = deque(job for job in self._jobs if not job.is_abandoned)
            self._waiting = sum(job.left for job in self._jobs)

    def _take(self) -> list[_Slice]:
        """Take texts of the first job, and of others with its key, up to the size of a batch."""
        batch: list[_Slice] = []
        room, key = self.limits.batch_characters, self._jobs[0].key
        others: list[AnnotationJob[Any]] = []
        while self._jobs and room > 0:
            job = self._jobs.popleft()
            if batch and (job.key is None or job.key != key):
                others.append(job)
                continue
            self._waiting -= job.left
            first = last = len(job.annotations)
            while last < len(job.texts) and (room > 0 or (not batch and last == first)):
                room -= text_cost(job.texts[last])
                last += 1
            batch.append(_Slice(job, first, last))
        self._jobs.extendleft(reversed(others))
        return batch

    def _process(self, batch: list[_Slice]) -> None:
        def annotate(slices: Sequence[_Slice]) -> list[tuple[_Slice, Sequence[Annotation]]]:
            texts = [text for piece in slices for text in piece.texts]
            found = iter(slices[0].job.annotate(texts, slices[0].first + 1) if texts else ())
            return [(piece, [next(found) for _ in piece.texts]) for piece in slices]

        def fail(piece: _Slice, error: Exception) -> None:
            piece.job.future.set_exception(error)

        try:
            for piece, annotations in isolate_failures(batch, annotate, fail):
                self._add(piece.job, annotations)
        except Exception as error:  # noqa: BLE001  # none of several could be annotated
            for piece in batch:
                if not piece.job.future.done():
                    fail(piece, error)

    def _add(self, job: AnnotationJob[Any], annotations: Sequence[Annotation]) -> None:
        """Add annotations to a job; queue it again if that is not all, else set its result."""
        job.annotations += annotations
        if len(job.annotations) < len(job.texts):
            with self._changed:  # behind those that came in the meantime: it has had its turn
                self._jobs.append(job)
                self._waiting += job.left
            return
        try:
            job.future.set_result(job.finish(job.annotations))
        except Exception as error:  # noqa: BLE001  # it is told to whoever waits
            job.future.set_exception(error)

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from annoseq.errors import OptionError
from annoseq.inference.annotation import from_spans
from annoseq.serving.micro_batcher import AnnotationJob, BatchLimits, MicroBatcher, QueueFullError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from annoseq.inference.annotation import Annotation


class Recorder:
    """Annotates nothing; records the batches, and waits until it is let go on."""

    def __init__(self) -> None:
        self.batches: list[tuple[list[str], int]] = []
        self.started, self.goes_on = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, texts: Sequence[str], first: int) -> list[Annotation]:
        self.batches.append((list(texts), first))
        self.started.release()
        assert self.goes_on.acquire(timeout=10)
        if "bad" in texts:
            raise OptionError("a bad text")
        return [from_spans(text, (), score=0.0, windows=1) for text in texts]

    def job(self, *texts: str, key: str | None = "same") -> AnnotationJob[list[str]]:
        def finish(annotations: Sequence[Annotation]) -> list[str]:
            if "unfinished" in texts:
                raise KeyError(texts)
            return [annotation.text for annotation in annotations]

        return AnnotationJob(texts, self, finish, key)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def make() -> Iterator[Any]:
    made: list[MicroBatcher] = []

    def make_batcher(**options: Any) -> MicroBatcher:
        made.append(MicroBatcher(BatchLimits(**{"delay": 0.0} | options)))
        return made[-1]

    yield make_batcher
    for batcher in made:
        batcher.close()
        assert not batcher.is_alive


def test_requests_that_wait_together_are_annotated_together(recorder: Recorder, make: Any) -> None:
    batcher = make()
    futures = [batcher.submit(recorder.job("a"))]
    assert recorder.started.acquire(timeout=10)
    futures += [batcher.submit(recorder.job(*texts)) for texts in (["b", "c"], [], ["d"])]
    recorder.goes_on.release(2)
    assert [future.result(10) for future in futures] == [["a"], ["b", "c"], [], ["d"]]
    assert recorder.batches == [(["a"], 1), (["b", "c", "d"], 1)]
    assert batcher.waiting == (0, 0)


def test_a_first_request_waits_for_others(recorder: Recorder, make: Any) -> None:
    batcher = make(delay=5.0, batch_characters=300)
    recorder.goes_on.release(9)
    futures = [batcher.submit(recorder.job(text)) for text in "abc"]
    assert [future.result(4) for future in futures] == [["a"], ["b"], ["c"]]
    assert recorder.batches == [(["a", "b", "c"], 1)]


def test_other_options_and_draws_are_not_mixed(recorder: Recorder, make: Any) -> None:
    batcher = make()
    batcher.submit(recorder.job("a"))
    assert recorder.started.acquire(timeout=10)
    jobs = [
        recorder.job("b", key=None),
        recorder.job("c", key="other"),
        recorder.job("d", key=None),
        recorder.job("e", key="other"),
    ]
    futures = [batcher.submit(job) for job in jobs]
    recorder.goes_on.release(9)
    assert [future.result(10) for future in futures] == [["b"], ["c"], ["d"], ["e"]]
    assert [texts for texts, _ in recorder.batches] == [["a"], ["b"], ["c", "e"], ["d"]]


def test_a_large_request_takes_turns_with_others(recorder: Recorder, make: Any) -> None:
    batcher = make(batch_characters=202)
    large = batcher.submit(recorder.job(*"abcde", key="large"))
    assert recorder.started.acquire(timeout=10)
    small = batcher.submit(recorder.job("x", key="small"))
    recorder.goes_on.release(9)
    assert (small.result(10), large.result(10)) == (["x"], [*"abcde"])
    assert recorder.batches == [(["a", "b"], 1), (["x"], 1), (["c", "d"], 3), (["e"], 5)]


def test_a_full_queue_refuses_and_tells_when_to_try_again(recorder: Recorder, make: Any) -> None:
    batcher = make(waiting_requests=2)
    futures = [batcher.submit(recorder.job("a"))]
    assert recorder.started.acquire(timeout=10)
    futures += [batcher.submit(recorder.job(text)) for text in "bc"]
    with pytest.raises(QueueFullError) as error:
        batcher.submit(recorder.job("d"))
    assert error.value.retry_after == 1
    recorder.goes_on.release(9)
    assert [future.result(10) for future in futures] == [["a"], ["b"], ["c"]]


def test_characters_are_bounded_but_an_empty_queue_takes_any_request(
    recorder: Recorder, make: Any
) -> None:
    batcher = make(waiting_characters=100_000)
    futures = [batcher.submit(recorder.job("a" * 300_000))]
    assert recorder.started.acquire(timeout=10)
    futures.append(batcher.submit(recorder.job("b" * 300_000)))
    with pytest.raises(QueueFullError) as error:
        batcher.submit(recorder.job("c"))
    assert error.value.retry_after == 7  # at 50,000 characters a second
    recorder.goes_on.release(9)
    assert [len(future.result(10)[0]) for future in futures] == [300_000] * 2


def test_a_request_that_fails_does_not_fail_others(recorder: Recorder, make: Any) -> None:
    batcher = make()
    batcher.submit(recorder.job("a"))
    assert recorder.started.acquire(timeout=10)
    futures = [
        batcher.submit(recorder.job(*texts)) for texts in (["b"], ["c", "bad"], ["unfinished"])
    ]
    recorder.goes_on.release(9)
    assert futures[0].result(10) == ["b"]
    with pytest.raises(OptionError, match="a bad text"):
        futures[1].result(10)
    with pytest.raises(KeyError):
        futures[2].result(10)
    recorder.goes_on.release()
    assert batcher.submit(recorder.job("d")).result(10) == ["d"]


def test_a_large_request_that_fails_leaves_the_queue(recorder: Recorder, make: Any) -> None:
    batcher = make(batch_characters=100)
    future = batcher.submit(recorder.job("bad", "b", "c"))
    recorder.goes_on.release(9)
    with pytest.raises(OptionError):
        future.result(10)
    assert batcher.submit(recorder.job("d")).result(10) == ["d"]
    assert batcher.waiting == (0, 0)
    assert [texts for texts, _ in recorder.batches] == [["bad"], ["d"]]


def test_a_failure_of_all_is_told_to_all(make: Any) -> None:
    batcher = make()
    started, goes_on = threading.Event(), threading.Event()

    def break_down(texts: Sequence[str], first: int) -> list[Annotation]:
        started.set()
        assert goes_on.wait(10)
        raise RuntimeError

    futures = [
        batcher.submit(AnnotationJob([text], break_down, list, "same")) for text in ("a", "b", "c")
    ]
    assert started.wait(10)
    goes_on.set()
    for future in futures:
        assert future.exception(10) is not None
    assert batcher.is_alive


def test_what_nobody_waits_for_is_dropped(recorder: Recorder, make: Any) -> None:
    batcher = make()
    batcher.submit(recorder.job("a"))
    assert recorder.started.acquire(timeout=10)
    left, kept = recorder.job("b"), recorder.job("c")
    batcher.submit(left)
    future = batcher.submit(kept)
    left.is_abandoned = True
    recorder.goes_on.release(9)
    assert future.result(10) == ["c"]
    assert [texts for texts, _ in recorder.batches] == [["a"], ["c"]]


def test_closing_finishes_what_was_taken_and_takes_nothing_more(recorder: Recorder) -> None:
    batcher = MicroBatcher(BatchLimits(delay=60.0))
    futures = [batcher.submit(recorder.job(text)) for text in "ab"]
    recorder.goes_on.release(9)
    batcher.close()
    assert [future.result(0) for future in futures] == [["a"], ["b"]]
    with pytest.raises(QueueFullError):
        batcher.submit(recorder.job("c"))


def test_a_job_does_not_print_its_texts(recorder: Recorder) -> None:
    assert "Ames" not in repr(recorder.job("Dr. Ames"))

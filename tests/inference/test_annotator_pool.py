"""Pool of processes: results in order, errors in their place, and workers that die."""

from __future__ import annotations

import os
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import psutil
import pytest

from annoseq.config import BatchConfig, DeviceConfig, SearchConfig
from annoseq.data.text_inputs import InputText
from annoseq.errors import MarkupError, OptionError, ProcessError, TableError
from annoseq.inference.annotator import Annotator
from annoseq.inference.annotator_pool import AnnotatorPool, InProcessRunner, make_pool
from annoseq.inference.resumable_output import OutputProgress
from annoseq.inference.streaming import AnnotateTask, annotate_stream
from tests.fidelity import hard_texts
from tests.onnx_files import write_tiny_file
from tests.pool_task import Commands

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from annoseq.inference.annotator_pool import ChunkRunner

TEXTS = [InputText(str(row), text) for row, text in enumerate(hard_texts(40, seed="pool"), start=1)]


class Kept:
    """An output in memory."""

    def __init__(self) -> None:
        self.progress = OutputProgress()
        self.content: list[tuple[str, str]] = []

    def add(self, chunk: Sequence[tuple[str, str]], progress: OutputProgress) -> None:
        self.content += chunk
        self.progress = progress


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_file(tmp_path_factory.mktemp("pool") / "tagger.onnx")


@pytest.fixture(scope="module")
def pool(file: Path) -> AnnotatorPool:
    return AnnotatorPool(2, file, DeviceConfig())


@pytest.fixture(scope="module")
def single(file: Path) -> AnnotatorPool:
    return AnnotatorPool(1, file, DeviceConfig())


def run(
    pool: AnnotatorPool, chunks: Iterator[str], told: list[int]
) -> Generator[tuple[str, int], None, None]:
    return pool.map(Commands(), chunks, advance=told.append)


def stream(runner: ChunkRunner, texts: Iterator[InputText]) -> Kept:
    output = Kept()
    task = AnnotateTask("jsonl", SearchConfig(), BatchConfig())
    annotate_stream(runner, task, texts, output, chunk_size=3)
    return output


def failing(texts: Sequence[InputText]) -> Iterator[InputText]:
    yield from texts
    raise TableError("row 20 cannot be read")


def test_the_output_is_that_of_one_process(file: Path, pool: AnnotatorPool) -> None:
    alone = stream(InProcessRunner(Annotator.load(file)), iter(TEXTS))
    together = stream(pool, iter(TEXTS))
    assert together.content == alone.content
    assert together.progress == alone.progress
    assert [name for name, _ in together.content] == [text.id for text in TEXTS]


def test_chunks_are_read_as_they_are_taken(pool: AnnotatorPool) -> None:
    taken, told = 0, list[int]()

    def chunks() -> Iterator[str]:
        nonlocal taken
        while taken < 20:
            taken += 1
            yield "go"

    processes = set()
    with closing(run(pool, chunks(), told)) as results:
        for done, (chunk, process) in enumerate(results, start=1):
            processes.add(process)
            assert chunk == "go"
            assert taken <= done + 4, "more than two chunks for each worker are in memory"
    assert told == [2] * 20
    assert 1 <= len(processes) <= 2
    assert os.getpid() not in processes
    assert not any(map(psutil.pid_exists, processes))


def test_an_error_comes_after_what_is_before_it(single: AnnotatorPool) -> None:
    done: list[int] = []
    results = run(single, iter(["go", "go", "go", "refuse", "go"]), done)
    with pytest.raises(MarkupError, match=r"^found x, at character 3\. Mend it\.$"):
        list(results)
    assert done == [2, 2, 2]
    results = run(single, iter(["go", "fail"]), done)
    with pytest.raises(ProcessError) as raised:
        list(results)
    assert str(raised.value) == (
        "a worker failed with ZeroDivisionError. Run the same command without --workers, which "
        "tells more."
    )


def test_an_input_that_fails_does_so_after_what_was_read(single: AnnotatorPool) -> None:
    output, task = Kept(), AnnotateTask("inline", SearchConfig(), BatchConfig())
    with pytest.raises(TableError, match="row 20"):
        annotate_stream(single, task, failing(TEXTS[:19]), output, chunk_size=3)
    assert output.progress.done == 18


def test_a_worker_that_dies_ends_the_run(single: AnnotatorPool) -> None:
    done: list[int] = []
    with pytest.raises(ProcessError) as raised:
        list(run(single, iter(["go", "die", *["go"] * 9]), done))
    assert str(raised.value) == (
        "a worker was ended by SIGKILL; the system does that where memory is short. Use fewer "
        "--workers, or a smaller --chunk-size."
    )
    assert done == [2]


@pytest.mark.e2e
def test_what_is_left_of_a_run_does_not_wait(single: AnnotatorPool) -> None:
    began = time.monotonic()
    with closing(run(single, iter(["go", "sleep", "sleep", "go"]), [])) as results:
        next(results)
    assert time.monotonic() - began < 30
    assert threading.active_count() < 4


@pytest.mark.e2e
def test_a_model_that_is_gone(tmp_path: Path) -> None:
    pool = AnnotatorPool(1, tmp_path / "gone.onnx", DeviceConfig())
    with pytest.raises(ValueError, match=r"gone\.onnx: there is no such file"):
        list(run(pool, iter(["go"]), []))


def test_one_worker_is_no_pool_and_a_gpu_has_one(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotator = Annotator.load(file)
    assert make_pool(annotator, workers=1, model=file, device=DeviceConfig()) is None
    assert make_pool(annotator, workers=3, model=file, device=DeviceConfig()) == AnnotatorPool(
        3, file, DeviceConfig()
    )
    monkeypatch.setattr(annotator, "device", "cuda:0")
    with pytest.raises(OptionError) as raised:
        make_pool(annotator, workers=2, model=file, device=DeviceConfig())
    assert str(raised.value) == (
        "--workers 2 is for CPUs, and the model runs on cuda:0. Leave it off, or add --device cpu."
    )

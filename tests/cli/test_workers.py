"""`--workers`: the same output, killed, interrupted and resumed."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.cli.command import check_written, finish, refusal, run, snapshot, start
from tests.cli.test_annotate_resume import done
from tests.onnx_files import write_tiny_file

if TYPE_CHECKING:
    from pathlib import Path

CHUNKS = ("--chunk-size", 5)
WORKERS = ("--workers", 2)


@pytest.fixture(scope="module")
def file(shelf: Path) -> Path:
    return write_tiny_file(shelf / "workers.onnx")


@pytest.fixture(scope="module")
def many(shelf: Path) -> Path:
    path = shelf / "workers.csv"
    assert run("sample", path, "--rows", 400, "--seed", 6).code == 0
    return path


@pytest.fixture(scope="module")
def whole(shelf: Path, file: Path, many: Path) -> bytes:
    """Return what one process writes."""
    out = shelf / "workers.jsonl"
    check_written(run("annotate", file, many, "--out", out, *CHUNKS), out)
    return out.read_bytes()


@pytest.mark.e2e
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL])
def test_a_run_is_cut_short_and_resumed_with_another_number(
    by: signal.Signals, file: Path, many: Path, whole: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    command = start("annotate", file, many, "--out", out, *CHUNKS, *WORKERS)
    state = out.with_name(f"{out.name}.partial") / "state.json"
    while not state.exists() or done(out) < 20:
        assert command.poll() is None, command.communicate()
        time.sleep(0.01)
    workers = psutil.Process(command.pid).children()
    assert len(workers) >= 2
    if by == signal.SIGINT:  # a terminal interrupts all processes
        for worker in workers:
            worker.send_signal(by)
    command.send_signal(by)
    result = finish(command)
    assert result.code == (130 if by == signal.SIGINT else -signal.SIGKILL)
    assert result.err.count("\n") == (by == signal.SIGINT)
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []
    assert 20 <= done(out) < 400
    check_written(run("annotate", file, many, "--out", out, *CHUNKS, "--resume"), out)
    assert snapshot(tmp_path) == {"out.jsonl": whole}


def test_a_pipe_and_a_redaction_are_those_of_one_process(
    file: Path, many: Path, tmp_path: Path
) -> None:
    lines = "".join(
        f'{{"orig_text": "Dr. Ames saw Zoë at {hour}:30"}}\n' for hour in range(1, 12)
    ).encode()
    arguments = ("annotate", file, "-", "--input-format", "jsonl", *CHUNKS)
    piped = run(*arguments, *WORKERS, stdin=lines)
    assert (piped.code, piped.err) == (0, "")
    assert piped.out == run(*arguments, stdin=lines).out
    assert piped.out.count("\n") == 11
    key = tmp_path / "key"
    key.write_text("0123456789abcdef" * 2)
    key.chmod(0o600)
    few = tmp_path / "few.csv"
    few.write_bytes(b"".join(many.read_bytes().splitlines(keepends=True)[:21]))
    redact = ("redact", file, few, "--with", "surrogate", "--key", key, *CHUNKS)
    for name, workers in (("alone", ()), ("together", WORKERS)):
        result = run(*redact, "--out", tmp_path / name, *workers)
        assert result.code == 0, result.err
    assert snapshot(tmp_path / "alone") == snapshot(tmp_path / "together")


def test_folders_and_numbers_that_are_none(file: Path, many: Path, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "a.csv").write_bytes(many.read_bytes())
    for command in ("annotate", "redact"):
        arguments = (command, file, folder, "--out", tmp_path / "out", *WORKERS)
        assert refusal(run(*arguments)) == (
            "--workers 2 is for one input, and a folder of parts is read. Use --engine ray "
            "--concurrency 2, or leave it off."
        )
    assert "Give a number of at least 1." in run("annotate", file, many, "--workers", 0).err

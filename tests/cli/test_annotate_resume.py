"""A long `annoseq annotate`: killed, interrupted, out of room, resumed, and watched."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from annoseq.errors import count_noun
from tests.cli.command import check_written, refusal, run, snapshot, start
from tests.faults import file_size_limit

if TYPE_CHECKING:
    from pathlib import Path

CHUNKS = ("--chunk-size", 5)


@pytest.fixture(scope="module")
def many(shelf: Path) -> Path:
    """Return a table of 100 texts."""
    path = shelf / "many.csv"
    assert run("sample", path, "--rows", 100, "--seed", 6).code == 0
    return path


@pytest.fixture(scope="module")
def notes(shelf: Path) -> Path:
    """Return a folder of 100 texts."""
    for number in range(100):
        path = shelf / "notes" / f"{number % 7}" / f"{number:03}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"Dr. Ames saw patient {number}.\r\n")
    return shelf / "notes"


@pytest.fixture(scope="module")
def whole(shelf: Path, model: Path, many: Path) -> bytes:
    """Return what a run that is not cut short writes."""
    out = shelf / "whole.jsonl"
    check_written(run("annotate", model, many, "--out", out, *CHUNKS), out)
    return out.read_bytes()


def counts(lines: bytes) -> str:
    """Return what the last line of a run says of the JSONL that it wrote."""
    records = [json.loads(line) for line in lines.splitlines()]
    labels = [span["label"] for record in records for span in record["spans"]]
    return (
        f"{count_noun(len(records), 'text')}, {count_noun(len(labels), 'span')}, "
        f"{count_noun(len(set(labels)), 'label')}."
    )


def cut_short(*arguments: object, out: Path, by: signal.Signals) -> tuple[int, str]:
    """Run a command in a process of its own, and send it a signal when some chunks are done."""
    command = start("annotate", *arguments, "--out", out)
    state = out.with_name(f"{out.name}.partial") / "state.json"
    while not state.exists() or json.loads(state.read_text())["progress"][0] < 20:
        assert command.poll() is None, command.communicate()
        time.sleep(0.01)
    command.send_signal(by)
    _, err = command.communicate(timeout=60)
    assert not out.exists()
    return command.returncode, err


def done(out: Path) -> int:
    state = out.with_name(f"{out.name}.partial") / "state.json"
    return int(json.loads(state.read_text())["progress"][0])


def test_a_killed_run_is_resumed(model: Path, many: Path, whole: bytes, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    code, err = cut_short(model, many, *CHUNKS, out=out, by=signal.SIGKILL)
    assert (code, err) == (-signal.SIGKILL, "")
    out.with_name(".out.jsonl.lock").unlink()  # a lock of a dead process, which locks nothing
    before, partial = snapshot(tmp_path), f"{out}.partial"
    arguments = ("annotate", model, many, "--out", out, *CHUNKS)
    assert refusal(run(*arguments)) == (
        f"{partial} is an interrupted run. Add --resume to go on with it, "
        "or --overwrite to start again."
    )
    for options, change in {
        ("--chunk-size", 7): "chunk_size 5, and now it is 7",
        ("--search", "beam", *CHUNKS): "search 'greedy', and now it is 'beam'",
        ("--format", "csv", *CHUNKS): "format 'jsonl', and now it is 'csv'",
        ("--free", *CHUNKS): "free False, and now it is True",
        ("--column", "annotated_text", *CHUNKS): (
            "column 'orig_text', and now it is 'annotated_text'"
        ),
    }.items():
        assert refusal(run(*arguments[:5], "--resume", *options)) == (
            f"{partial} was begun with {change}. "
            "Resume with the same options, or start again with --overwrite instead of --resume."
        )
    assert snapshot(tmp_path) == before
    result = run(*arguments, "--resume")
    check_written(result, out)
    assert counts(whole) in result.err
    assert snapshot(tmp_path) == {"out.jsonl": whole}


@pytest.mark.e2e
def test_a_killed_run_over_a_folder_is_resumed(model: Path, notes: Path, tmp_path: Path) -> None:
    out, straight = tmp_path / "out", tmp_path / "straight"
    cut_short(model, notes, *CHUNKS, out=out, by=signal.SIGKILL)
    check_written(run("annotate", model, notes, "--out", out, *CHUNKS, "--resume"), out)
    check_written(run("annotate", model, notes, "--out", straight, *CHUNKS), straight)
    assert snapshot(out) == snapshot(straight)
    assert len(snapshot(out)) == 100
    assert {path.name for path in tmp_path.iterdir()} == {"out", "straight"}


def test_an_interrupt_says_how_to_go_on(
    model: Path, many: Path, whole: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    code, err = cut_short(model, many, *CHUNKS, out=out, by=signal.SIGINT)
    assert code == 130
    assert err in {
        f"annoseq: interrupted after {count} texts. Add --resume to the same command to go on.\n"
        for count in (
            done(out),
            done(out) - CHUNKS[1],
        )  # a chunk may be written, and not yet counted
    }
    check_written(run("annotate", model, many, "--out", out, *CHUNKS, "--resume"), out)
    assert out.read_bytes() == whole


def test_the_input_must_be_the_same(model: Path, many: Path, tmp_path: Path) -> None:
    lines = many.read_bytes().splitlines(keepends=True)
    path, out = tmp_path / "new.csv", tmp_path / "out.jsonl"
    path.write_bytes(b"".join(lines[:21]) + b'"\xff","1","x","x"\n' + b"".join(lines[21:]))
    arguments = ("annotate", model, path, "--out", out, *CHUNKS)
    result = run(*arguments)
    assert result.code == 2
    first, second = result.err.splitlines()
    assert first == "20 texts done. Add --resume to the same command to go on after them."
    assert second.startswith(f"annoseq: {path}: row 21 (line 22): found the byte 0xFF ")
    assert not out.exists()
    path.write_bytes(b"".join([lines[0], *lines[2:]]))
    assert refusal(run(*arguments, "--resume")) == (
        "the input does not begin with the 20 texts that the interrupted run annotated. "
        "Give it the same input, or start again with --overwrite instead of --resume."
    )
    path.write_bytes(b"".join(lines))  # mended after what is done
    check_written(run(*arguments, "--resume"), out)
    assert len(out.read_bytes().splitlines()) == 100


def test_bad_rows_may_be_skipped_on_resuming(
    model: Path, many: Path, whole: bytes, tmp_path: Path
) -> None:
    lines = many.read_bytes().splitlines(keepends=True)
    path, out = tmp_path / "new.csv", tmp_path / "out.jsonl"
    path.write_bytes(b"".join(lines) + b'"\xff","1","x","x"\n')
    arguments = ("annotate", model, path, "--out", out, *CHUNKS)
    assert run(*arguments).code == 2
    assert not out.exists()
    result = run(*arguments, "--resume", "--skip-bad")
    assert result.code == 0
    assert result.err.startswith("1 could not be read and was left out (--skip-bad):\n")
    assert out.read_bytes() == whole


def test_a_damaged_state(model: Path, many: Path, tmp_path: Path) -> None:
    out, state = tmp_path / "out.jsonl", tmp_path / "out.jsonl.partial" / "state.json"
    state.parent.mkdir()
    state.write_text('{"plan": ')
    before = snapshot(tmp_path)
    assert refusal(run("annotate", model, many, "--out", out, "--resume")) == (
        f"{state} is damaged and cannot be resumed. "
        "Start again with --overwrite instead of --resume."
    )
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_full_disk_leaves_no_output(
    is_folder: bool, model: Path, many: Path, notes: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    source = notes if is_folder else many
    with file_size_limit(20):
        result = run("annotate", model, source, "--out", out, *CHUNKS)
    assert result.code == 2
    (message,) = result.err.splitlines()
    assert " cannot be written: File too large. Nothing was changed; " in message
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_half_way(
    model: Path, many: Path, whole: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    arguments = ("annotate", model, many, "--out", out, *CHUNKS)
    with file_size_limit(len(whole) // 2):
        result = run(*arguments)
    assert result.code == 2
    assert result.err.splitlines()[0] == (
        f"{done(out)} texts done. Add --resume to the same command to go on after them."
    )
    assert not out.exists()
    check_written(run(*arguments, "--resume"), out)
    assert snapshot(tmp_path) == {"out.jsonl": whole}


def on_a_terminal(*arguments: object, stdout: int | None) -> bytes:
    """Run a command with its standard error on a terminal, and return what the terminal shows."""
    program = [sys.executable, "-c", "from annoseq.cli import main; main()", "annotate"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "CI"):
        environment.pop(name, None)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*program, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=theirs if stdout is None else stdout,
        stderr=theirs,
        env=environment,
    ) as command:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # the end of a terminal is an error
            while piece := os.read(ours, 4096):
                shown += piece
        os.close(ours)
        assert command.wait(timeout=60) == 0
    return shown


def test_a_terminal_shows_progress(model: Path, many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    shown = on_a_terminal(model, many, "--out", out, stdout=subprocess.DEVNULL)
    assert b"annotating" in shown
    assert b"100/100" in shown
    _, erased, last = shown.rpartition(b"\x1b[2K")  # the bar's line is erased
    assert erased
    assert last.startswith(f"Wrote {out}: 100 texts, ".encode())


@pytest.mark.e2e
def test_results_on_a_terminal_are_not_garbled_by_a_bar(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("Dr. Ames")
    shown = on_a_terminal(model, path, "--format", "jsonl", stdout=None)
    assert json.loads(shown)["text"] == "Dr. Ames"

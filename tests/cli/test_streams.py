"""Pipes, standard input, and errors of streams."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path
from typing import Never

import pytest

from annoseq.inference.annotator import Annotator
from tests.cli.command import finish, refusal, run, start
from tests.faults import run_out_of_memory


def test_a_reader_that_goes_away_is_no_error(table: Path) -> None:
    command = start("check", table, "--head", 40)
    assert command.stdout is not None
    assert command.stderr is not None
    command.stdout.readline()
    command.stdout.close()
    assert command.stderr.read() == ""
    command.stderr.close()
    assert command.wait(timeout=120) in {0, 141}  # 0 if all of it was in the pipe by then


def test_a_reader_that_is_gone_from_the_start_is_no_error(model: Path, table: Path) -> None:
    command = start("annotate", model, table)
    assert command.stdout is not None
    assert command.stderr is not None
    command.stdout.close()
    assert "Traceback" not in command.stderr.read()
    command.stderr.close()
    assert command.wait(timeout=120) == 141


def test_output_that_cannot_be_written_is_explained(table: Path) -> None:
    with Path("/dev/full").open("w") as full:
        result = finish(start("check", table, stdout=full))
    assert result.code == 2
    assert result.err == (
        "annoseq: standard output cannot be written: No space left on device. Nothing follows.\n"
    )


def test_a_file_that_cannot_be_read_is_named(
    model: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that was not explained where it occurred is not one of standard output."""
    path = tmp_path / "absent"

    def read_absent(*_: object, **__: object) -> Never:
        path.read_bytes()
        raise AssertionError

    monkeypatch.setattr(Annotator, "annotate", read_absent)
    assert refusal(run("annotate", model, table)) == (
        f"{path} cannot be read or written: No such file or directory. "
        "Check that it exists, and that you may read and write it."
    )


def test_an_error_of_the_system_without_a_path_is_quoted(
    model: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_the_disk(*_: object, **__: object) -> Never:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Annotator, "annotate", fill_the_disk)
    assert refusal(run("annotate", model, table)) == (
        "a file cannot be read or written: No space left on device. Check the room on the disk."
    )


def test_a_closed_output_is_no_error(table: Path) -> None:
    words = [sys.executable, "-m", "annoseq", "check", str(table), "--json"]
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("closed", "command", "message"),
    [
        (
            ">&-",
            ("annotate", "MODEL", "TABLE"),
            "annoseq: standard output is closed, and the result is written there. Give --out.\n",
        ),
        (
            "<&-",
            ("check", "-"),
            "annoseq: standard input is closed. Name a file, or give it an input.\n",
        ),
        pytest.param(
            "<&-",
            ("annotate", "MODEL", "-"),
            "annoseq: standard input is closed. Name a file, or give it an input.\n",
            marks=pytest.mark.e2e,
        ),
        ("2>&-", ("check", "TABLE.absent"), ""),
    ],
)
def test_what_needs_a_closed_stream_is_refused(
    closed: str, command: tuple[str, ...], message: str, model: Path, table: Path
) -> None:
    paths = {"MODEL": str(model), "TABLE": str(table)}
    words = [sys.executable, "-m", "annoseq", *(paths.get(word, word) for word in command)]
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)


@pytest.mark.e2e
def test_no_file_gets_the_number_of_a_closed_stream(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    words = [sys.executable, "-m", "annoseq", "prepare", str(table), "--out", str(out)]
    command = ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words]
    assert subprocess.run(command, check=False).returncode == 0
    assert run("show-batch", out).code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_lack_of_memory_is_explained(
    model: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Annotator, "annotate", run_out_of_memory)
    assert refusal(run("annotate", model, table)) == (
        "the memory of the GPU does not suffice. Use smaller batches, or --device cpu, or end "
        "other programs that take the GPU's memory."
    )


def test_training_says_little_in_a_pipe(table: Path, tmp_path: Path) -> None:
    arguments = ["--gru.embedding", "8", "--gru.hidden", "8", "--epochs", "2", "--device", "cpu"]
    arguments += ["--keep", "last"]
    stdin = table.read_bytes()
    result = run("train", "-", "--out", tmp_path / "model", *arguments, stdin=stdin)
    assert result.code == 0
    epochs, speed = result.out.splitlines()[:-1], result.out.splitlines()[-1]
    assert [line.split()[0] for line in epochs] == ["epoch", "1", "2"]
    assert "pairs/s, peak memory" in speed
    assert result.err.splitlines() == [
        "annotate: 33 training and 7 validation rows; vocabularies of 56 and 76 tokens; 10 labels",
        "warning: more labels than a tenth of the rows",
        "warning: fewer than 10 validation rows",
        f"saved {tmp_path / 'model'}; next: annoseq evaluate {tmp_path / 'model'} PAIRS --show 10",
    ]


def test_standard_input_is_a_table(table: Path) -> None:
    result = run("check", "-", "--json", stdin=table.read_bytes())
    assert result.code == 0
    assert json.loads(result.out)["name"] == "standard input"


def test_standard_input_of_another_format(tmp_path: Path) -> None:
    rows = tmp_path / "pairs.jsonl"
    assert run("sample", rows, "--rows", 20).code == 0
    content = rows.read_bytes()
    assert json.loads(run("check", "-", "--json", "--input-format", "jsonl", stdin=content).out)
    message = refusal(run("check", "-", stdin=content))
    assert message.startswith("standard input: ")


def test_empty_standard_input_is_refused() -> None:
    message = refusal(run("check", "-"))
    assert message == "standard input: the table has no rows. Give it at least one."

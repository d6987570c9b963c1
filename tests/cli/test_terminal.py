"""Control characters in labels, names and texts do not reach a terminal."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from rich.table import Table
from rich.text import Text

from annoseq.cli import output
from annoseq.cli.output import escape_controls, make_console
from tests.cli.command import TINY, Result, run

if TYPE_CHECKING:
    from pathlib import Path

ESCAPE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"
RAW = re.compile(r"[^\t\n -~\xa0-\u2027\u202f-\u2065\u2070-\ud7ff\ue000-\U0010ffff]")
"""Control characters that a terminal interprets."""


def assert_harmless(result: Result) -> None:
    assert not RAW.search(result.out), result
    assert not RAW.search(result.err), result


def write_table(path: Path, header: list[str], rows: list[list[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_control_characters_are_escaped() -> None:
    assert escape_controls("a\x1b[0m\r\x7f\x9b\u202e\udcff\u2028é\tb\n") == (
        "a\\x1b[0m\\r\\x7f\\x9b\\u202e\\udcff\\u2028é\tb\n"
    )


def test_a_console_escapes_what_it_renders(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("column")
    table.add_row(Text(ESCAPE, style="red"))
    console = make_console()
    console.print(table)
    console.print(Text(ESCAPE), soft_wrap=True)
    printed = capsys.readouterr().out
    assert not RAW.search(printed)
    assert printed.count(r"\x9b31m\u202e") == 2


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A table whose name, labels, ids and texts have control characters."""
    folder = tmp_path / f"cases{ESCAPE}"
    folder.mkdir()
    tagged = f"{{{{N{ESCAPE}}}}}Ann{{{{/N{ESCAPE}}}}}"
    rows = [
        [f"{ESCAPE} Ann came {n}", f"{ESCAPE} {tagged} came {n}", f"{ESCAPE}{n}"] for n in range(40)
    ]
    header = ["orig_text", "annotated_text", "doc_id"]
    return write_table(folder / f"pairs{ESCAPE}.csv", header, rows)


COMMANDS: dict[str, tuple[str, ...]] = {
    "check": ("check", "TABLE", "--head", "2", "--tail", "1"),
    "show-batch": ("show-batch", "TABLE"),
    "absent": ("check", "TABLE.absent"),
    "column": ("check", "TABLE", "--source", ESCAPE),
    "option": ("check", "TABLE", f"--{ESCAPE}"),
    "value": ("check", "TABLE", "--head", ESCAPE),
    "argument": ("check", "TABLE", ESCAPE),
    "command": (f"check{ESCAPE}",),
    "prepare": ("prepare", "TABLE", "--out", "TABLE.data"),
    "train": ("train", "TABLE", "--out", "TABLE.model", *TINY),
    "export": ("export", "conll", "TABLE", "TABLE.conll"),
    "export brat": ("export", "brat", "TABLE", "TABLE.brat"),
    "import": ("import", "brat", "TABLE", "TABLE.out.csv"),
    "score": ("score", "TABLE", "TABLE"),
    "annotate": ("annotate", "TABLE", "TABLE"),
    "vectors": ("vectors", "show", "TABLE", ESCAPE),
    "sample": ("sample", "TABLE/x/out.csv"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_print_no_control_characters(name: str, hostile: Path) -> None:
    words = [word.replace("TABLE", str(hostile)) for word in COMMANDS[name]]
    assert_harmless(run(*words))


def test_a_model_is_evaluated_without_control_characters(
    model: Path, hostile: Path, tmp_path: Path
) -> None:
    moved = model.rename(tmp_path / f"model{ESCAPE}")
    try:
        assert_harmless(run("evaluate", moved, hostile, "--show", 3))
        redact = ("redact", moved, hostile, "--out")
        assert_harmless(run(*redact, tmp_path / f"out{ESCAPE}"))
        assert not RAW.search(run(*redact, "-").err)  # standard output is data
    finally:
        moved.rename(model)


def shown_on_a_terminal(*words: object) -> str:
    """Return what a command writes to a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "annoseq", *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TERM": "dumb"},
    )
    os.close(theirs)
    shown = io.BytesIO()
    try:
        while block := os.read(ours, 1 << 16):
            shown.write(block)
    except OSError:  # as Linux ends a terminal
        pass
    os.close(ours)
    assert process.wait(timeout=120) == 0
    return shown.getvalue().decode().replace("\r\n", "\n")


def test_data_are_escaped_on_a_terminal_alone(model: Path, tmp_path: Path) -> None:
    text = tmp_path / "note.txt"
    text.write_text(f"Ann {ESCAPE} came", encoding="utf-8")
    words = ("annotate", model, text, "--format", "csv")
    piped = run(*words)
    assert piped.code == 0
    assert ESCAPE in piped.out
    shown = shown_on_a_terminal(*words)
    assert not RAW.search(shown)
    assert shown == escape_controls(piped.out)


def test_json_in_a_pipe_stays_json(hostile: Path) -> None:
    result = run("check", hostile, "--json")
    assert ESCAPE in json.loads(result.out)["name"]


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_what_is_closed_is_not_written_to(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, name, None)
    output.print_result("result")
    output.print_note("note")
    output.print_data("data")

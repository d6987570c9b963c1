"""Runs commands as a user would, in this process or in one of their own."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout, suppress
from copy import copy
from typing import TYPE_CHECKING, NamedTuple

import pytest
from cyclopts import App, ArgumentCollection

from annoseq.cli import main

if TYPE_CHECKING:
    from pathlib import Path

_assemble = App.assemble_argument_collection
_assembled: dict[tuple[object, bool], ArgumentCollection] = {}

TINY = ("--gru.embedding", "8", "--gru.hidden", "8", "--epochs", "1", "--device", "cpu")
SECRET = "Xanthippe"
"""A name in the texts of bad tables, which no message may quote."""


class Result(NamedTuple):
    """Exit code, standard output and standard error of a command."""

    code: int
    out: str
    err: str


def write_key(path: Path, key: str) -> None:
    """Write a key that its owner alone may read."""
    path.write_text(key)
    path.chmod(0o600)


def copy_with_column(model: Path, path: Path, column: str) -> Path:
    """Copy a model as if it had been trained on a text column of another name."""
    shutil.copytree(model, path)
    config = json.loads((model / "config.json").read_text())
    config["columns"]["source"] = column
    (path / "config.json").write_text(json.dumps(config))
    return path


def run(*arguments: object, stdin: bytes = b"") -> Result:
    """Run a command in this process."""
    out, err = _stream(), _stream()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["annoseq", *map(str, arguments)])
        patch.setattr(sys, "stdin", _stream(stdin))
        patch.setattr(App, "assemble_argument_collection", _assemble_once)
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else -1
    return Result(code, _read(out), _read(err))


def start(*arguments: object, **options: object) -> subprocess.Popen[str]:
    """Start a command in a process of its own, its output piped."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-c", "from annoseq.cli import main; main()", *map(str, arguments)],
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        **streams,
    )


def finish(process: subprocess.Popen[str]) -> Result:
    """Wait for a command to end."""
    out, err = process.communicate(timeout=120)
    return Result(process.returncode, out, err)


def interrupt(process: subprocess.Popen[str]) -> Result:
    """Interrupt a command as often as it takes, and wait for it to end.

    Python loses an interrupt that arrives while an object is finalized.
    """
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            out, err = process.communicate(timeout=40)
            return Result(process.returncode, out, err)
    process.kill()
    return finish(process)


def refusal(result: Result) -> str:
    """Return the one line that a command refuses with, after checking that it did it properly."""
    message = long_refusal(result)
    assert "\n" not in message
    return message


def long_refusal(result: Result) -> str:
    """Return what a command refuses with, which may name rows on lines of their own."""
    assert result.code == 2, result
    assert result.out == ""
    assert "Traceback" not in result.err
    assert SECRET not in result.err
    assert result.err.endswith("\n")
    remarks, mark, message = result.err.rpartition("annoseq: ")
    assert mark
    notes = ("annotate: ", "translate: ", "texts: ", "warning: replaces the likeliest spans only: ")
    assert remarks == "" or remarks.startswith(notes) or "the table is UTF-16" in remarks
    return message.removesuffix("\n")


def check_written(result: Result, out: Path) -> None:
    """Check that a command wrote a file or folder, and said this alone."""
    assert (result.code, result.out) == (0, "")
    assert result.err.startswith(f"Wrote {out}: ")
    assert result.err.count("\n") == 1


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def _stream(content: bytes = b"") -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline="")


def _read(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


def _assemble_once(app: App, *, parse_docstring: bool = False) -> ArgumentCollection:
    """Return copies of a command's arguments: making them anew takes most of a short command."""
    key = app.default_command, parse_docstring
    arguments = _assembled.get(key) or _assemble(app, parse_docstring=parse_docstring)
    _assembled[key] = arguments
    copies = {id(argument): copy(argument) for argument in arguments}
    for argument in copies.values():
        argument.tokens = []
        children = [copies[id(child)] for child in argument.children]
        argument.children = ArgumentCollection(children)  # type: ignore[no-untyped-call]
    return ArgumentCollection(copies.values())  # type: ignore[no-untyped-call]

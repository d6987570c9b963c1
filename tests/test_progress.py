from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress

import pytest

from annoseq.progress import progress_bar

_PROGRAM = """
from annoseq.progress import progress_bar
with progress_bar("reading", total=3) as advance:
    for _ in range(3):
        advance(1)
"""


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, *, total: int | None) -> str:
    """Show progress on a pseudo-terminal, and return all that was written to it."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "CI"):
        monkeypatch.delenv(name, raising=False)
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with progress_bar("reading [b]", total=total) as advance:
            advance(7)
            advance(5)
    shown = b""
    with os.fdopen(ours, "rb", buffering=0) as screen, suppress(OSError):  # its end is an error
        while piece := screen.read(1000):
            shown += piece
    return shown.decode()


def test_it_is_visible_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = on_a_terminal(monkeypatch, total=12)
    assert "12/12" in shown
    assert "reading" in shown
    assert shown.endswith("\x1b[2K")  # the bar's line is erased: it leaves no trace


def test_a_total_need_not_be_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "12/?" in on_a_terminal(monkeypatch, total=None)


def test_in_a_pipe_nothing_is_written() -> None:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"FORCE_COLOR", "TTY_COMPATIBLE"}
    }
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, check=True, env=environment
    )
    assert (ran.stdout, ran.stderr) == (b"", b"")


def test_an_error_inside_goes_through(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), progress_bar("reading", total=3) as advance:
        advance(1 // 0)
    assert capfd.readouterr() == ("", "")

"""Printing: results to standard output, notes to standard error, by the main process only."""

from __future__ import annotations

import sys

from annoseq.torchrun import torchrun_environment


def print_result(message: str) -> None:
    """Print a result to standard output."""
    if torchrun_environment().is_main:
        print(message, flush=True)  # noqa: T201


def print_note(message: str) -> None:
    """Print a note to standard error, which a pipe does not pass on."""
    if torchrun_environment().is_main:
        print(message, file=sys.stderr, flush=True)  # noqa: T201


def is_terminal() -> bool:
    """Return True if standard error, where progress bars go, is a terminal."""
    return sys.stderr.isatty()

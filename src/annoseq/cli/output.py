"""Where a command's words go: results to standard output, remarks to standard error."""

from __future__ import annotations

import sys

from annoseq.torchrun import torchrun_environment


def say(message: str) -> None:
    """Print a result, once where several processes work together."""
    if torchrun_environment().is_main:
        print(message, flush=True)  # noqa: T201


def note(message: str) -> None:
    """Print a remark, which a pipe does not carry on."""
    if torchrun_environment().is_main:
        print(message, file=sys.stderr, flush=True)  # noqa: T201


def is_watched() -> bool:
    """Tell whether somebody sees the progress bar."""
    return sys.stderr.isatty()

"""Printing: results to standard output, notes to standard error, by the main process only."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from annoseq.torchrun import torchrun_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from annoseq.errors import AnnoseqError
    from annoseq.inference.resumable_output import ResumableOutput

_MAX_NAMED = 5
"""Inputs left out that are named; the others are counted."""


def print_result(message: str) -> None:
    """Print a result to standard output."""
    if torchrun_environment().is_main:
        print(message, flush=True)  # noqa: T201


def print_note(message: str) -> None:
    """Print a note to standard error, which a pipe does not pass on."""
    if torchrun_environment().is_main:
        print(message, file=sys.stderr, flush=True)  # noqa: T201


class NoteHandler(logging.Handler):
    """Handler that prints what the package logs as notes, each once."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._printed: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message, unless it was printed before: some tables are read twice."""
        message = record.getMessage()
        if message not in self._printed:
            self._printed.add(message)
            print_note(message)


@contextmanager
def logged_notes() -> Iterator[None]:
    """Print what the package logs as notes."""
    logger, handler = logging.getLogger("annoseq"), NoteHandler()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def is_terminal() -> bool:
    """Return True if standard error, where progress bars go, is a terminal."""
    return sys.stderr.isatty()


class LeftOutInputs:
    """Number of inputs that were left out for `--skip-bad`, and the errors of the first few."""

    def __init__(self) -> None:
        self.count = 0
        self._first: list[AnnoseqError] = []

    def add(self, error: AnnoseqError) -> None:
        """Count an input."""
        self.count += 1
        if self.count <= _MAX_NAMED:
            self._first.append(error)

    def print_notes(self) -> None:
        """Print how many inputs were left out, if any, and why."""
        if not self.count:
            return
        print_note(f"{self.count:,} could not be read and were left out (--skip-bad):")
        for error in self._first:
            print_note(f"  {error}")
        if self.count > _MAX_NAMED:
            print_note(f"  and {self.count - _MAX_NAMED:,} more")


@contextmanager
def resume_hint(output: ResumableOutput, *, is_resumable: bool = True) -> Iterator[None]:
    """Put the output in its place after the block; after an error, print how to resume."""
    try:
        yield
        output.finish()
    except BaseException as error:
        if not output.leave(discard=not is_resumable):
            raise
        done = f"{output.progress.done:,} texts"
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(
                f"interrupted after {done}. Add --resume to the same command to go on."
            ) from None
        print_note(f"{done} are done. Add --resume to the same command to go on after them.")
        raise

"""Printing: results to standard output, notes to standard error, by the main process only.

Labels, names of files and texts come from users' files, and a terminal acts upon control characters
in them. All that is printed passes `escape_controls`; data in a pipe stay as they are.
"""

from __future__ import annotations

import codecs
import io
import logging
import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from annoseq.errors import OptionError, OutputError, count_noun
from annoseq.torchrun import torchrun_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from rich.console import Console, ConsoleOptions, ConsoleRenderable

    from annoseq.errors import AnnoseqError
    from annoseq.inference.resumable_output import ResumableOutput

_MAX_NAMED = 5
"""Inputs left out that are named; the others are counted."""


_CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Controls but tab and line feed, other line ends, marks of text direction, and surrogates."""


def escape_controls(text: str) -> str:
    r"""Write control characters as a Python literal does, so that a terminal shows them.

    >>> print(escape_controls("\x1b[31mNAME\n"), end="")
    \x1b[31mNAME
    """
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def print_result(message: str) -> None:
    """Print a result to standard output."""
    if torchrun_environment().is_main:
        print(escape_controls(message), flush=True)  # noqa: T201


def print_data(content: str) -> None:
    """Print what programs read to standard output: as it is, unless that is a terminal."""
    is_shown = sys.stdout is not None and sys.stdout.isatty()
    print(escape_controls(content) if is_shown else content, flush=True)  # noqa: T201


def print_note(message: str) -> None:
    """Print a note to standard error, which a pipe does not pass on."""
    if torchrun_environment().is_main:
        print_error(message)


def print_error(message: str) -> None:
    """Print the message of an error to standard error, also of a process that is not the first."""
    if sys.stderr is not None:  # closed by the caller: print() would take standard output
        print(escape_controls(message), file=sys.stderr, flush=True)  # noqa: T201


def data_output() -> IO[bytes]:
    """Return standard output for data.

    Raises:
        OutputError: standard output is closed.
    """
    if sys.stdout is None:
        raise OutputError("standard output is closed, and the result is written there. Give --out.")
    return cast("IO[bytes]", _TerminalOutput()) if sys.stdout.isatty() else sys.stdout.buffer


class _TerminalOutput(io.BufferedIOBase):
    """Standard output for data that a terminal shows."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # no other buffers are written
        sys.stdout.write(escape_controls(self._decoder.decode(data)))
        return len(data)

    def flush(self) -> None:
        sys.stdout.flush()


def make_console(*, stderr: bool = False, width: int | None = None) -> Console:
    """Return a `rich` console that escapes control characters in what it renders."""
    from rich.console import Console, RenderHook  # which takes long, and not every command needs
    from rich.segment import Segment

    class Escaped:
        """Renderable whose control characters are escaped."""

        def __init__(self, renderable: ConsoleRenderable) -> None:
            self._renderable = renderable

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
            for segment in console.render(self._renderable, options):
                text = segment.text if segment.control else escape_controls(segment.text)
                yield Segment(text, segment.style, segment.control)

    class EscapingHook(RenderHook):
        """Hook that escapes all that a console renders."""

        def process_renderables(
            self, renderables: list[ConsoleRenderable]
        ) -> list[ConsoleRenderable]:
            return [Escaped(renderable) for renderable in renderables]

    console = Console(stderr=stderr, width=width)
    console.push_render_hook(EscapingHook())
    return console


def print_unusable_rows(count: int) -> None:
    """Print the number of rows that `--skip-bad` left out."""
    were = "was" if count == 1 else "were"
    print_note(f"{count_noun(count, 'row')} cannot be used and {were} left out (--skip-bad)")


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
    return sys.stderr is not None and sys.stderr.isatty()


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
        were = "was" if self.count == 1 else "were"
        print_note(f"{self.count:,} could not be read and {were} left out (--skip-bad):")
        for error in self._first:
            print_note(f"  {error}")
        if self.count > _MAX_NAMED:
            print_note(f"  and {self.count - _MAX_NAMED:,} more")


@contextmanager
def resume_hint(output: ResumableOutput, *, is_resumable: bool = True) -> Iterator[None]:
    """Put the output in its place after the block; after an error, print how to resume.

    An `OptionError`, such as that of another input than before, would come again.
    """
    try:
        yield
        output.finish()
    except BaseException as error:
        if not output.leave(discard=not is_resumable) or isinstance(error, OptionError):
            raise
        done = count_noun(output.progress.done, "text")
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(
                f"interrupted after {done}. Add --resume to the same command to go on."
            ) from None
        print_note(f"{done} done. Add --resume to the same command to go on after them.")
        raise

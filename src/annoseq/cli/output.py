"""Printing: results to standard output, notes to standard error, by the main process only.

Labels, names of files and texts come from users' files, and a terminal acts upon control characters
in them. All that is printed passes `escape_controls`; data in a pipe stay as they are.
cyclopts and pydantic find errors in a command line; only their wording is ours.
"""

from __future__ import annotations

import codecs
import io
import logging
import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, cast, get_args, get_origin

from cyclopts import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnusedCliTokensError,
    ValidationError,
)

from annoseq.errors import OptionError, OutputError, count_noun, describe_expected, row_of
from annoseq.torchrun import torchrun_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    import pydantic
    from cyclopts import Argument
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


def describe_problem(*, has_spans: bool) -> str:
    """Return the end of a note on outputs with a problem, of annotations or of translations."""
    if has_spans:
        return "are not their text plus tags"
    return "were cut at the limit of their length"


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
    """Number of inputs that were left out for `--skip-bad`, and the errors of the first few.

    A row counts once, though it is read twice where a table is its own gold.
    """

    def __init__(self) -> None:
        self.count = 0
        self._first: list[AnnoseqError] = []
        self._rows: set[tuple[str, int]] = set()

    def add(self, error: AnnoseqError) -> None:
        """Count an input, unless it is a row that is counted already."""
        if row := row_of(error):
            if row in self._rows:
                return
            self._rows.add(row)
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


_TYPES = {int: "a whole number", float: "a number", bool: "nothing, or =true or =false"}


def usage_error_message(error: CycloptsError) -> str:
    """Return the message about an error in a command line."""
    import pydantic  # which `annoseq --help` does without

    if isinstance(error.__cause__, pydantic.ValidationError):
        return _config_error(error, error.__cause__)
    if isinstance(error, (CoercionError, ValidationError)) and error.argument is not None:
        return _value_error(error, error.argument)
    match error:
        case MissingArgumentError():
            message = _missing_argument(error)
        case RepeatArgumentError():
            message = f"{error.token.keyword} is given more than once. Give it once."
        case UnusedCliTokensError():
            unused = " ".join(map(repr, error.unused_tokens or ()))
            message = f"found {unused}, which is one argument too many."
        case _:
            message = str(error)
    return f"{message} See `{' '.join(['annoseq', *(error.command_chain or ())])} --help`."


def _value_error(error: CoercionError | ValidationError, argument: Argument) -> str:
    """Return the message about a value that an option does not accept."""
    if isinstance(error, ValidationError):
        return f"{argument.name}: found {argument.tokens[0].value!r}. {error.exception_message}"
    found = f"found {error.token.value!r}. " if error.token else ""
    return f"{argument.name}: {found}Give {_describe_type(error.target_type)}."


def _config_error(error: CycloptsError, cause: pydantic.ValidationError) -> str:
    """Return the message about a value that a section of the configuration does not accept."""
    details = cause.errors(include_url=False)
    first = details[0]
    if first["type"] == "value_error":  # a validator of ours, which names the options
        return f"{first['msg'].removeprefix('Value error, ')}."
    prefix = error.argument.keys if error.argument else ()
    argument = _argument_at(error.argument, (*prefix, *first["loc"]))
    name, found = argument.name if argument else "the command line", f"found {first['input']!r}."
    if argument is None or argument.children:
        names = ", ".join(child.name for child in argument.children) if argument else ""
        return f"{name}: {found} Give one of its settings: {names}."
    # A location ends with the type, where a setting has several.
    expected = describe_expected(
        detail
        for detail in details
        if (*prefix, *detail["loc"])[: len(argument.keys)] == argument.keys
    )
    return f"{name}: {found} Give {f'{expected}.' if expected else argument.parameter.help}"


def _argument_at(argument: Argument | None, location: tuple[int | str, ...]) -> Argument | None:
    """Return the innermost argument that contains a location of a nested configuration."""
    for child in argument.children if argument else ():
        if child.keys == location[: len(child.keys)]:
            return _argument_at(child, location)
    return argument


def _missing_argument(error: MissingArgumentError) -> str:
    help_text = (error.argument.parameter.help if error.argument else None) or ""
    name = error.argument.name if error.argument else "the command line"
    problem = f"{error.keyword} has no value" if error.keyword else f"{name} is missing"
    return f"{problem}: {help_text[:1].lower()}{help_text[1:]}"


def _describe_type(target: type | None) -> str:
    if get_origin(target) is Literal:
        return "one of " + ", ".join(map(str, get_args(target)))
    return _TYPES.get(target, "another value") if target else "another value"

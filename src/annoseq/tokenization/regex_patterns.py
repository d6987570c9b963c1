"""Named regular expressions of the user, in a TOML file, matched with a time limit.

They run in the `regex` library, which has time limits: an expression with catastrophic backtracking
is an error that names it, and not a process that hangs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from annoseq.data.streams import read_toml
from annoseq.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import regex

SECONDS = 5.0
"""Time limit of one expression for one text."""


class RegexPattern(BaseModel):
    """A regular expression of the `regex` library."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pattern: str
    ignore_case: bool = False

    def compile(self) -> regex.Pattern[str]:
        """Return the compiled expression.

        Raises:
            ValueError: it is not a regular expression.
        """
        import regex

        try:
            return regex.compile(self.pattern, regex.IGNORECASE if self.ignore_case else 0)
        except regex.error as error:
            raise ValueError(f"this is not a regular expression: {error}") from error
        except (RecursionError, MemoryError) as error:
            raise ValueError("this is not a regular expression: it is nested too deeply") from error


PatternT = TypeVar("PatternT", bound=RegexPattern)


def find_matches(
    expression: regex.Pattern[str],
    text: str,
    *,
    name: str,
    where: str = "a text",
    seconds: float | None = None,
) -> Iterator[tuple[int, int]]:
    """Yield the non-empty matches of an expression: its group `value`, or else all of it.

    Raises:
        OptionError: it takes too long; `name` names it, and `where` the text.
    """
    seconds = SECONDS if seconds is None else seconds
    group = "value" if "value" in expression.groupindex else 0
    try:
        for match in expression.finditer(text, timeout=seconds):
            start, end = match.span(group)
            if start < end:
                yield start, end
    except TimeoutError as error:
        raise OptionError(
            f"the pattern {name!r} takes more than {seconds:g} seconds on {where}. "
            "Such patterns repeat what repeats, as (a+)+ does: write it without."
        ) from error


def read_regex_patterns(
    path: Path, kind: type[PatternT], *, option: str, example: str
) -> dict[str, PatternT]:
    """Read the fields of `kind` for each expression; `example` is shown in messages.

    `option` is the one that names the file on the command line.

    Raises:
        OptionError: the file cannot be read, or an expression is not valid.
    """
    patterns: dict[str, PatternT] = {}
    for name, table in read_toml(path, option=option).items():
        where = f"{option} {path}: [{name}]"
        if not isinstance(table, dict):
            raise OptionError(f"{where} is no table. Write [{name}], and below it {example}.")
        try:
            patterns[name] = kind.model_validate(table)
            patterns[name].compile()
        except ValidationError as error:
            fault = error.errors(include_input=False, include_url=False)[0]
            key = ".".join(map(str, fault["loc"]))
            said = fault["msg"].removeprefix("Value error, ")
            raise OptionError(f"{where}: {key}: {said}. Write {example}.") from error
        except ValueError as error:
            raise OptionError(f"{where}: {error}.") from error
    if not patterns:
        raise OptionError(
            f"{option} {path}: there is no pattern in it. Write for each a table [name], and "
            f"below it {example}."
        )
    return patterns

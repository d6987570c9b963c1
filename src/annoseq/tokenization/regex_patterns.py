"""A user's own regular expressions, by name, in a TOML file.

They run in the `regex` library, which can be told when to stop: an expression that tries too many
ways on some text is an error that names it, and never a run that hangs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from annoseq.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import regex

SECONDS = 5.0
"""How long one expression may take for one text."""


class RegexPattern(BaseModel):
    """A regular expression of the `regex` library."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pattern: str
    ignore_case: bool = False

    def compile(self) -> regex.Pattern[str]:
        """Compile it.

        Raises:
            ValueError: it is no regular expression.
        """
        import regex

        try:
            return regex.compile(self.pattern, regex.IGNORECASE if self.ignore_case else 0)
        except regex.error as error:
            raise ValueError(f"this is no regular expression: {error}") from error


Kind = TypeVar("Kind", bound=RegexPattern)


def matches(
    expression: regex.Pattern[str],
    text: str,
    *,
    name: str,
    where: str = "a text",
    seconds: float | None = None,
) -> Iterator[tuple[int, int]]:
    """Find where an expression matches some characters: its group `value`, or else all of it.

    Raises:
        OptionError: it takes too long; `name` names it, and `where` the text.
    """
    seconds = SECONDS if seconds is None else seconds
    group = "value" if "value" in expression.groupindex else 0
    try:
        for found in expression.finditer(text, timeout=seconds):
            start, end = found.span(group)
            if start < end:
                yield start, end
    except TimeoutError as error:
        raise OptionError(
            f"the pattern {name!r} takes more than {seconds:g} seconds on {where}. "
            "Such patterns repeat what repeats, as (a+)+ does: write it without."
        ) from error


def read_regex_patterns(
    path: Path, kind: type[Kind], *, option: str, example: str
) -> dict[str, Kind]:
    """Read a table of the fields of `kind` for each expression; `example` says what to write.

    `option` is the one that names the file on the command line.

    Raises:
        OptionError: the file cannot be read, or an expression makes no sense.
    """
    found: dict[str, Kind] = {}
    for name, table in read_toml(path, option=option).items():
        where = f"{option} {path}: [{name}]"
        if not isinstance(table, dict):
            raise OptionError(f"{where} is no table. Write [{name}], and below it {example}.")
        try:
            found[name] = kind.model_validate(table)
            found[name].compile()
        except ValidationError as error:
            fault = error.errors(include_input=False, include_url=False)[0]
            key = ".".join(map(str, fault["loc"]))
            said = fault["msg"].removeprefix("Value error, ")
            raise OptionError(f"{where}: {key}: {said}. Write {example}.") from error
        except ValueError as error:
            raise OptionError(f"{where}: {error}.") from error
    if not found:
        raise OptionError(
            f"{option} {path}: there is no pattern in it. Write for each a table [name], and "
            f"below it {example}."
        )
    return found


def read_toml(path: Path, *, option: str) -> dict[str, Any]:
    """Read a TOML file, which `option` names on the command line.

    Raises:
        OptionError: it cannot be read, or is not TOML.
    """
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise OptionError(
            f"{option} {path} cannot be read: {error.strerror}. Name a file that can be read."
        ) from error
    except UnicodeDecodeError as error:
        raise OptionError(f"{option} {path}: this is not UTF-8 text. Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise OptionError(f"{option} {path}: this is not TOML: {error}.") from error

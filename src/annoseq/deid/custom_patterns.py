"""Named regular expressions of the user's own, looked for beside what the model finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import field_validator

from annoseq.data.markup import is_label
from annoseq.deid.redaction import Find
from annoseq.tokenization.regex_patterns import Expression, matches, read_expressions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import regex

_EXAMPLE = "label = \"LABEL\" and pattern = 'EXPRESSION', and ignore_case = true if you like"


class _Entry(Expression):
    label: str

    @field_validator("label")
    @classmethod
    def _is_label(cls, label: str) -> str:
        if not is_label(label):
            raise ValueError(f"{label!r} has white space, braces or backslashes")
        return label


@dataclass(frozen=True)
class Pattern:
    """An expression; its group `value`, or else all of it, is what is found."""

    name: str
    label: str
    expression: regex.Pattern[str]

    def find(self, text: str, *, where: str, seconds: float | None = None) -> Iterator[Find]:
        """Find the pattern in a text; `where` names the text.

        Raises:
            OptionError: it takes too long.
        """
        found = matches(self.expression, text, name=self.name, where=where, seconds=seconds)
        for start, end in found:
            yield Find(start, end, self.label, by="pattern")


def load_patterns(path: Path) -> list[Pattern]:
    """Read patterns from a TOML file: a table for each, `label` and `pattern` in it.

    Raises:
        OptionError: the file cannot be read, or a pattern makes no sense.
    """
    entries = read_expressions(path, _Entry, option="--also", example=_EXAMPLE)
    return [Pattern(name, one.label, one.compile()) for name, one in entries.items()]


def find_patterns(patterns: Sequence[Pattern], text: str, *, where: str) -> list[Find]:
    """Find all patterns in a text."""
    return [found for pattern in patterns for found in pattern.find(text, where=where)]

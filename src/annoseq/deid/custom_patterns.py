"""Custom patterns: the user's own regular expressions for identifiers, with a label each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pydantic import field_validator

from annoseq.data.markup import is_label
from annoseq.deid.redaction import DetectedSpan
from annoseq.deid.unicode_words import displayed_places
from annoseq.tokenization.gazetteer import RegexPattern, find_matches, read_regex_patterns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import regex

_EXAMPLE = "label = \"LABEL\" and pattern = 'EXPRESSION', and ignore_case = true if you like"


class LabelledPattern(RegexPattern):
    """A regular expression of the `regex` library with the label of what it matches."""

    label: str

    @field_validator("label")
    @classmethod
    def _check_label(cls, label: str) -> str:
        if not is_label(label):
            raise ValueError(f"{label!r} has white space, braces or backslashes")
        return label


@dataclass(frozen=True)
class CustomPattern:
    """A labelled regular expression; it detects its group `value`, or else its whole match."""

    name: str
    label: str
    expression: regex.Pattern[str]

    def find(
        self, text: str, *, where: str, seconds: float | None = None
    ) -> Iterator[DetectedSpan]:
        """Yield the matches in a text, which error messages call `where`.

        Raises:
            OptionError: matching takes longer than `seconds`.
        """
        for start, end in find_matches(
            self.expression, text, name=self.name, where=where, seconds=seconds
        ):
            yield DetectedSpan(start, end, self.label, source="pattern")


def load_patterns(path: Path) -> list[CustomPattern]:
    """Read patterns from a TOML file: a table with `label` and `pattern` for each.

    Raises:
        OptionError: the file cannot be read, or an entry is invalid.
    """
    entries = read_regex_patterns(path, LabelledPattern, option="--patterns", example=_EXAMPLE)
    return compile_patterns(entries)


def compile_patterns(entries: Mapping[str, LabelledPattern]) -> list[CustomPattern]:
    """Compile patterns by name.

    Raises:
        ValueError: one is not a regular expression.
    """
    return [CustomPattern(name, entry.label, entry.compile()) for name, entry in entries.items()]


def find_patterns(
    patterns: Sequence[CustomPattern], text: str, *, where: str
) -> list[DetectedSpan]:
    """Return the matches of all patterns in a text, and in what is displayed of it."""
    spans = [span for pattern in patterns for span in pattern.find(text, where=where)]
    places = displayed_places(text)
    if len(places) < len(text):
        displayed = "".join(text[place] for place in places)
        spans += [
            replace(span, start=places[span.start], end=places[span.end - 1] + 1)
            for pattern in patterns
            for span in pattern.find(displayed, where=where)
        ]
    return list(dict.fromkeys(spans))

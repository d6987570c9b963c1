"""Names of months, weekdays and seasons: recognized in a language, and written in a given style."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from annoseq.deid.faker_values import match_case
from annoseq.deid.word_lists import alternation, word_lists

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from annoseq.deid.word_lists import DateWords

ABBREVIATION = 3
"""Letters of the shortest abbreviation of a month or a weekday."""


class CalendarName(NamedTuple):
    """A month, a weekday or a season, by its position among them."""

    position: int
    is_abbreviated: bool


@dataclass(frozen=True)
class CalendarNames:
    """Names of months, weekdays and seasons of a language, in lower case."""

    words: DateWords

    @classmethod
    def of(cls, language: str) -> CalendarNames:
        """Return the names of a language that the word lists have."""
        return cls(word_lists().dates[language])

    @cached_property
    def months(self) -> Mapping[str, CalendarName]:
        """Months, also abbreviated to three or four letters."""
        return self._index(self.words.months, is_abbreviated=True)

    @cached_property
    def weekdays(self) -> Mapping[str, CalendarName]:
        """Weekdays from Sunday, also abbreviated."""
        return self._index(self.words.weekdays, is_abbreviated=True)

    @cached_property
    def seasons(self) -> Mapping[str, CalendarName]:
        """Seasons from winter."""
        return self._index(self.words.seasons, is_abbreviated=False)

    @cached_property
    def whole_names(self) -> frozenset[str]:
        """Names and their variants, without abbreviations."""
        words = self.words
        return frozenset({*words.months, *words.weekdays, *words.seasons, *words.variants})

    @staticmethod
    def pattern(names: Mapping[str, CalendarName]) -> str:
        """Return a regular expression for any of some names, with or without a full stop."""
        if not names:
            return r"(?!)"
        return rf"(?<![^\W\d_]){alternation(names)}(?![^\W\d_]|[\u0300-\u036f])\.?"

    def month(self, written: str, month: int, *, is_abbreviated: bool) -> str:
        """Write a month (from 1) as `written` is: abbreviated, in capitals, with a full stop."""
        bare = bare_name(written)
        # `May` is a whole name; only the format of its date tells if it is an abbreviation.
        is_short = self.months[bare.casefold()].is_abbreviated or (
            is_abbreviated and len(bare) == ABBREVIATION
        )
        months = self.words.months
        name = _abbreviation(months, month - 1) if is_short else months[month - 1]
        return _restore_style(written, name)

    def shift_weekday(self, written: str, days: int) -> str:
        """Write the weekday that is `days` after `written`."""
        bare = bare_name(written)
        weekday = self.weekdays[bare.casefold()]
        name = self.words.weekdays[(weekday.position + days) % 7]
        return _restore_style(written, name[: len(bare)] if weekday.is_abbreviated else name)

    def season(self, written: str, month: int) -> str:
        """Write the season of a month (from 1) as `written` is."""
        return _restore_style(written, self.words.seasons[month % 12 // 3])

    def _index(self, names: Sequence[str], *, is_abbreviated: bool) -> dict[str, CalendarName]:
        index = {
            text: CalendarName(position, is_abbreviated=True)
            for text, position in (_abbreviations(names) if is_abbreviated else ())
        }
        index |= {
            name: CalendarName(position, is_abbreviated=False)
            for position, name in enumerate(names)
        }
        variants = self.words.variants.items()
        return index | {variant: index[name] for variant, name in variants if name in index}


def bare_name(written: str) -> str:
    """Return a name without its full stop."""
    return written.rstrip(".")


def _abbreviations(names: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield the abbreviations of three or four letters that belong to one name alone."""
    prefixes = Counter(name[:size] for name in names for size in range(ABBREVIATION, len(name)))
    for position, name in enumerate(names):
        for size in range(ABBREVIATION, min(5, len(name))):
            if prefixes[name[:size]] == 1:
                yield name[:size], position


def _abbreviation(names: Sequence[str], position: int) -> str:
    """Return the shortest abbreviation of a name, or the name if it has none."""
    return next(
        (text for text, index in _abbreviations(names) if index == position), names[position]
    )


def _restore_style(written: str, name: str) -> str:
    """Write a name with the capitals and the full stop of another."""
    bare = bare_name(written)
    name = name.capitalize() if bare[:1].isupper() else name.lower()
    return match_case(bare, name) + written[len(bare) :]

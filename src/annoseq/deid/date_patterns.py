"""Regular expressions of dates by language, and its names of months, weekdays and seasons."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache, cached_property
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


_YEAR_DIGITS = r"(?:1[5-9]|2[01])\d\d"
_YEAR = rf"{_YEAR_DIGITS}(?!\d)"
_TWO_DIGITS = r"(?<!\d)\d\d(?!\d)"
_PAST_MONTH = r"(?<!\d)(?:[5-9]\d|00)(?!\d)"
"""Two digits that are neither a day of a month nor one that is impossible, and so are a year."""
ORDINAL = r"(?:(?:st|nd|rd|th)(?![^\W\d_])|er(?![^\W\d_])|[ºª°.])?"
_DAY = r"(?<!\d)(?:0?[1-9]|[12]\d|3[01])(?!\d)"
_NUMBER = r"(?<!\d)\d\d?(?!\d)"
_TIME = re.compile(
    r"t?\d{1,2}(?:[:h]\d{2}){1,2}(?!\d)(?:\.\d+)?"
    r"\s*(?:[ap]\.?m\b\.?|hrs?\b\.?|horas\b|h\b|z\b)?",
    re.IGNORECASE,
)
_SIGN = re.compile(r"[\s.,;:()\[\]/&'’‘\"“”«»‐‑–—~?!*-]")


class DateGrammar(NamedTuple):
    """Patterns of the dates of a language, more specific ones first, and of the words around."""

    language: str
    dates: tuple[re.Pattern[str], ...]
    words: re.Pattern[str]

    def match_context(self, value: str, cursor: int) -> re.Match[str] | None:
        """Match a time, a word or a sign that stands between dates and stays as it is."""
        matches = (pattern.match(value, cursor) for pattern in (_TIME, self.words, _SIGN))
        return next((match for match in matches if match), None)


@cache
def date_grammar(language: str) -> DateGrammar:
    """Compile the patterns of a language."""
    words = word_lists().dates[language]
    context = alternation([*words.connectors, *words.joiners, *words.context])
    return DateGrammar(
        language,
        tuple(re.compile(pattern, re.IGNORECASE) for pattern in _named_date_patterns(language))
        + tuple(re.compile(pattern, re.IGNORECASE) for pattern in _NUMERIC_PATTERNS),
        re.compile(rf"(?<!\w){context}(?:(?<=['’])|(?!\w))", re.IGNORECASE),
    )


def _named_date_patterns(language: str) -> tuple[str, ...]:
    """Return the patterns of dates with the name of a month, a weekday or a season."""
    names = CalendarNames.of(language)
    connector = rf"(?<!\w){alternation(names.words.connectors)}(?:(?<=['’])|(?!\w))\s*"
    joiner = rf"(?<!\w){alternation(names.words.joiners)}(?:(?<=['’])|(?!\w))\s*"
    between = rf"(?:\s*(?:[-/.,]\s*)?(?:{connector})*)"
    separator = rf"\s*(?:[-‐‑–—/&]\s*|(?:,\s*)?{joiner}(?:{connector})*|,\s*)"
    month = rf"(?P<month>{names.pattern(names.months)})"
    days = rf"(?P<days>{_DAY}{ORDINAL}(?:{separator}{_DAY}{ORDINAL})*)"
    # Two digits are no year if they begin a time, a range, a list, or another date.
    other = rf"[:h]|st\b|nd\b|rd\b|th\b|º|{separator}\d|{between}{names.pattern(names.months)}"
    short = rf"{_TWO_DIGITS}(?!{other})"
    year = rf"(?P<year>{_YEAR}(?!/\d)|['’]{_TWO_DIGITS}|{short})"
    marked_year = rf"(?P<year>{_YEAR}(?!/\d)|['’]{_TWO_DIGITS})"
    past_month = rf"(?P<year>{_PAST_MONTH})(?!{other})"
    month_day = rf"{month}{between}(?P<days>{_DAY}{ORDINAL})"
    return (
        rf"{days}{between}{month}{between}{year}",
        rf"{days}{between}{month}",
        rf"{month}-(?P<days>{_DAY})-(?P<year>{short})",
        rf"{month_day}(?:\s*,\s*|\s+)(?P<short>{short})",
        rf"{month}{between}{days}{between}{marked_year}",
        rf"{month}{between}{days}",
        rf"{month}{between}{marked_year}",
        rf"{month}{between}{past_month}",
        rf"(?P<days>{_NUMBER}(?:\s*{joiner}{_NUMBER})+)(?P<s>[-/.])(?P<month>\d\d?)(?P=s)"
        rf"(?P<year>{_YEAR}|{_TWO_DIGITS})(?!(?P=s)\d)",
        month,
        rf"(?P<weekday>{names.pattern(names.weekdays)})",
        rf"(?P<season>{names.pattern(names.seasons)}){between}{marked_year}",
        rf"(?P<season>{names.pattern(names.seasons)})",
    )


_NUMERIC_PATTERNS = (
    rf"(?P<year>{_YEAR_DIGITS})(?P<s>\s?[-/.]\s?)(?P<month>\d\d?)(?P=s)(?P<days>\d\d?)(?!\d)"
    r"(?!(?P=s)\d)",
    rf"(?<!\d)(?P<year>{_YEAR_DIGITS})(?P<month>\d\d)(?P<days>\d\d)(?!\d)",
    rf"(?P<days>{_NUMBER}(?:\s?[-‐‑–—]\s?{_NUMBER})+)(?P<s>[/.])(?P<month>\d\d?)"
    rf"(?P=s)(?P<year>{_YEAR}|{_TWO_DIGITS})(?!(?P=s)\d)",
    rf"(?P<days>{_NUMBER}\.(?:\s?[-‐‑–—]\s?{_NUMBER}\.)+)\s?(?P<month>\d\d?)"
    rf"(?P<s>\.)\s?(?P<year>{_YEAR}|{_TWO_DIGITS})(?!(?P=s)\d)",
    rf"(?P<month>{_NUMBER})(?P<s>/)(?P<days>{_NUMBER}(?:\s?[-‐‑–—]\s?{_NUMBER})+)(?P=s)"
    rf"(?P<year>{_YEAR})(?!(?P=s)\d)",
    rf"(?P<a>{_NUMBER})(?P<s>\s?[-/.]\s?)(?P<b>{_NUMBER})(?P=s)(?P<year>{_YEAR}|{_TWO_DIGITS})"
    r"(?!(?P=s)\d)",
    rf"(?P<a>{_NUMBER})\s(?P<b>{_NUMBER})\s(?P<year>{_YEAR})",
    rf"(?P<month>{_NUMBER})(?P<s>\s?[-/.]\s?)(?P<year>{_YEAR})(?!(?P=s)\d)",
    rf"(?P<year>{_YEAR_DIGITS})(?P<s>[-/])(?P<month>\d\d)(?!\d)(?!(?P=s)\d)",
    rf"(?P<month>{_NUMBER})(?P<s>[-/])(?P<year>{_PAST_MONTH})(?!(?P=s)\d)",
    rf"(?P<a>{_NUMBER})(?P<s>[-/.])(?P<b>{_NUMBER})(?!:|(?P=s)\d)",
    rf"(?<!\d)(?P<year>{_YEAR})",
    rf"['’](?P<year>{_TWO_DIGITS})",
)

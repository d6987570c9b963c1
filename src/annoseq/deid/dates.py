"""Date shifting: dates move by a number of days and keep the format in which they are written.

A value may hold several dates, parts of dates, and the words between them. A value with any other
word is not understood, and is not shifted.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from annoseq.deid.faker_values import match_case
from annoseq.deid.word_lists import CalendarNames, alternation, word_lists

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from random import Random

_DAY = r"(?<!\d)\d{1,2}"
_YEAR_DIGITS = r"(?:1[5-9]|2[01])\d\d"
_YEAR = rf"{_YEAR_DIGITS}(?!\d)"
_SHORT_YEAR = r"(?<!\d)\d\d(?!\d)"
_ANY_YEAR = rf"{_YEAR}|['’]?(?:{_SHORT_YEAR})"
_ORDINAL = r"(?:(?P<ordinal>st|nd|rd|th)|[ºª°]|er\b|\.)?"
_TIME = re.compile(
    r"\d{1,2}(?:[:h]\d{2}){1,2}(?:\.\d+)?\s*(?:[ap]\.?m\b\.?|hrs?\b\.?|horas\b|h\b|z\b)?",
    re.IGNORECASE,
)
_NUMERIC_DATE = re.compile(r"(?<!\d)(\d\d?)\s?[-/.]\s?(\d\d?)\s?[-/.]\s?(?:\d{4}|\d\d)(?!\d)")
_ABBREVIATION = 3
"""Letters of the shortest abbreviation of a month or a weekday."""


class DateShifter:
    """Shifts dates; `is_day_first` reads 3/4/2010 as the third of April."""

    def __init__(self, language: str, *, is_day_first: bool) -> None:
        self._vocabulary = DateVocabulary(language)
        self._is_day_first = is_day_first

    def shift(self, value: str, days: int, *, is_day_first: bool | None = None) -> str | None:
        """Shift every date of a value; None if the value is not understood.

        >>> DateShifter("en", is_day_first=False).shift("the 3rd of March, 2018", 400)
        'the 7th of April, 2019'
        """
        day_first = self._is_day_first if is_day_first is None else is_day_first
        pieces: list[str] = []
        cursor = dates = 0
        while cursor < len(value):
            if shifted := self._shift_at(value, cursor, days, day_first):
                text, cursor = shifted
                pieces.append(text)
                dates += 1
            elif match := self._match_context(value, cursor):
                pieces.append(match[0])
                cursor = match.end()
            else:
                return None
        return "".join(pieces) if dates else None

    def _shift_at(
        self, value: str, cursor: int, days: int, day_first: bool
    ) -> tuple[str, int] | None:
        """Shift the date that begins at `cursor`; return it with the end of the original."""
        for pattern in self._patterns:
            match = pattern.match(value, cursor)
            if match is None:
                continue
            try:
                return self._shift_match(match, days, day_first), match.end()
            except (ValueError, OverflowError):
                continue  # no such day: a shorter pattern may match
        return None

    def _match_context(self, value: str, cursor: int) -> re.Match[str] | None:
        """Match a time, a word or a sign that stands between dates and stays as it is."""
        return _TIME.match(value, cursor) or self._context.match(value, cursor)

    def _shift_match(self, match: re.Match[str], days: int, day_first: bool) -> str:
        fields = {name: text for name, text in match.groupdict().items() if text is not None}
        if "weekday" in fields:
            return self._vocabulary.shift_weekday(match[0], days)
        if "season" in fields:
            return self._vocabulary.shift_season(match[0], days)
        roles = {name: _role(name, fields, day_first) for name in fields}
        day = self._parse(fields, roles) + timedelta(days)
        form = _NumberFormat.of(match, fields, roles)
        shifted = {
            name: self._format(fields[name], role, day, form)
            for name, role in roles.items()
            if role
        }
        return _replace_groups(match, shifted)

    def _parse(self, fields: Mapping[str, str], roles: Mapping[str, str]) -> date:
        """Return the date that is written, or the middle of the period that is written."""
        texts = {roles[name]: text for name, text in fields.items()}
        month = int(texts["month"]) if "month" in texts else None
        if "name" in texts:
            month = self._vocabulary.months[_bare(texts["name"]).casefold()].position + 1
        day = int(texts["day"]) if "day" in texts else None
        is_leap_day = (month, day) == (2, 29)
        unknown_year = 2000 if is_leap_day else 2001
        year = _full_year(texts["year"]) if "year" in texts else unknown_year
        if month is None:
            return date(year, 7, 1)
        return date(year, month, 15 if day is None else day)

    def _format(self, written: str, role: str, day: date, form: _NumberFormat) -> str:
        """Write a field of a date as it was written before."""
        match role:
            case "day":
                return f"{day.day:0{form.width}}"
            case "month":
                return f"{day.month:0{form.width}}"
            case "year":
                apostrophe = written[: len(written) - len(_digits(written))]
                return apostrophe + f"{day.year:04}"[-len(_digits(written)) :]
            case "name":
                return self._vocabulary.month(written, day.month, is_abbreviated=form.is_dashed)
            case _:
                ending = _ordinal_ending(day.day)
                return ending.upper() if written.isupper() else ending

    @cached_property
    def _context(self) -> re.Pattern[str]:
        dates = word_lists().dates
        words = alternation([*dates.connectors, *dates.context])
        return re.compile(rf"{words}\b|[^\w]", re.IGNORECASE)

    @cached_property
    def _patterns(self) -> list[re.Pattern[str]]:
        """Return the patterns of dates, more specific ones first."""
        words = self._vocabulary
        connector = alternation(word_lists().dates.connectors)
        between = rf"(?:\s*(?:[-/.,]\s*)?(?:\b{connector}\b\s*)*)"
        month = rf"(?P<name>{words.pattern(words.months)})"
        day = rf"(?P<day>{_DAY})"
        last_day = rf"(?P<day>{_DAY}(?!\d))"
        patterns = (
            rf"(?P<year>{_YEAR_DIGITS})(?P<s>\s?[-/.]\s?)(?P<month>\d\d?)(?P=s)(?P<day>\d\d?)(?!\d)",
            rf"(?<!\d)(?P<year>{_YEAR_DIGITS})(?P<month>\d\d)(?P<day>\d\d)(?!\d)",
            rf"(?P<a>{_DAY})(?P<s>\s?[-/.]\s?|\s)(?P<b>\d\d?)(?P=s)(?P<year>{_YEAR}|{_SHORT_YEAR})",
            rf"{day}{_ORDINAL}{between}{month}{between}(?P<year>{_ANY_YEAR})",
            rf"{month}{between}{last_day}{_ORDINAL}{between}(?P<year>{_ANY_YEAR})",
            rf"{month}{between}(?P<year>{_YEAR}|['’](?:{_SHORT_YEAR}))",
            rf"{day}{_ORDINAL}{between}{month}",
            rf"{month}{between}{last_day}{_ORDINAL}",
            rf"{month}{between}(?P<year>{_SHORT_YEAR})",
            rf"(?P<month>{_DAY})\s?[-/.]\s?(?P<year>{_YEAR})",
            rf"(?P<year>{_YEAR_DIGITS})[-/](?P<month>\d\d)(?!\d)",
            rf"(?P<a>{_DAY})[-/.](?P<b>\d\d?)(?!\d|:)",
            rf"(?P<month>{_DAY})[-/](?P<year>{_SHORT_YEAR})",
            rf"(?<!\d)(?P<year>{_YEAR})",
            rf"['’](?P<year>{_SHORT_YEAR})",
            month,
            rf"(?P<weekday>{words.pattern(words.weekdays)})",
            rf"(?P<season>\b{alternation(words.seasons)}\b)",
        )
        return [re.compile(pattern, re.IGNORECASE) for pattern in patterns]


def reads_day_first(values: Iterable[str]) -> bool | None:
    """Infer from a document's dates if the day comes first; None if they leave it open.

    >>> reads_day_first(["3/4/2010", "25/4/2010"])
    True
    """
    for value in values:
        for match in _NUMERIC_DATE.finditer(value):
            first, second = int(match[1]), int(match[2])
            if first <= 12 < second:
                return False
            if second <= 12 < first:
                return True
    return None


def draw_shift(rng: Random) -> int:
    """Draw a number of days: one to five years, either way, and never near a whole year.

    So every part of a date changes, also where it is written alone: its year, its month, its
    season, and its weekday.
    """
    while True:
        days = 365 * rng.randint(1, 4) + rng.randint(92, 273)
        if days % 7:
            return rng.choice((-days, days))


class _NumberFormat(NamedTuple):
    """Format of the numbers of a date: digits of day and month, and the dashes of 24-APR-2012."""

    width: int
    is_dashed: bool

    @classmethod
    def of(
        cls, match: re.Match[str], fields: Mapping[str, str], roles: Mapping[str, str]
    ) -> _NumberFormat:
        is_dashed = "name" in fields and f"-{fields['name']}" in match[0]
        numbers = [fields[name] for name, role in roles.items() if role in {"day", "month"}]
        has_two_digits = all(len(number) == 2 for number in numbers)
        # Beside the name of a month, 12 alone does not tell if 3 is written 03.
        is_padded = "name" not in fields or is_dashed or any(n[0] == "0" for n in numbers)
        return cls(2 if has_two_digits and is_padded else 1, is_dashed)


def _role(name: str, fields: Mapping[str, str], day_first: bool) -> str:
    """Return the role of a group of a pattern; of two numbers, one above 12 is the day."""
    if name not in {"a", "b"}:
        return "" if name == "s" else name
    first, second = int(fields["a"]), int(fields["b"])
    is_day_first = first > 12 or (day_first and second <= 12)
    return "day" if is_day_first == (name == "a") else "month"


def _digits(year: str) -> str:
    return year.lstrip("'’")


def _full_year(written: str) -> int:
    year = int(_digits(written))
    if len(_digits(written)) == 4:
        return year
    return year + (2000 if year < 50 else 1900)


def _replace_groups(match: re.Match[str], texts: Mapping[str, str]) -> str:
    """Return the text of a match with other texts for some of its groups."""
    pieces: list[str] = []
    cursor = match.start()
    for name in sorted(texts, key=match.start):
        pieces += [match.string[cursor : match.start(name)], texts[name]]
        cursor = match.end(name)
    return "".join([*pieces, match.string[cursor : match.end()]])


def _ordinal_ending(day: int) -> str:
    if day in (11, 12, 13):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


class CalendarWord(NamedTuple):
    """A month, a weekday or a season of a language, by its position among them."""

    language: str
    position: int
    is_abbreviated: bool


@dataclass(frozen=True)
class DateVocabulary:
    """Names of months, weekdays and seasons in all languages, in lower case.

    A word that several languages share belongs to `language` if that is one of them, else to the
    first in the order of the word lists.
    """

    language: str

    @cached_property
    def months(self) -> Mapping[str, CalendarWord]:
        """Months, also abbreviated to three letters or more."""
        return self._index(lambda names: names.months, is_abbreviated=True)

    @cached_property
    def weekdays(self) -> Mapping[str, CalendarWord]:
        """Weekdays from Sunday, also abbreviated."""
        return self._index(lambda names: names.weekdays, is_abbreviated=True)

    @cached_property
    def seasons(self) -> Mapping[str, CalendarWord]:
        """Seasons from winter."""
        return self._index(lambda names: names.seasons, is_abbreviated=False)

    @staticmethod
    def pattern(words: Mapping[str, CalendarWord]) -> str:
        """Return a regular expression for any of some words, with or without a full stop."""
        return rf"\b{alternation(words)}\b\.?"

    def month(self, written: str, month: int, *, is_abbreviated: bool) -> str:
        """Write a month (from 1) as `written` is: abbreviated, in capitals, with a full stop."""
        bare = _bare(written)
        word = self.months[bare.casefold()]
        name = _names(word.language).months[month - 1]
        # `May` is a whole name; only the format of its date tells if it is an abbreviation.
        is_short = word.is_abbreviated or (is_abbreviated and len(bare) == _ABBREVIATION)
        return _restore_style(written, name[:_ABBREVIATION] if is_short else name)

    def shift_weekday(self, written: str, days: int) -> str:
        """Write the weekday that is `days` after `written`."""
        bare = _bare(written)
        word = self.weekdays[bare.casefold()]
        name = _names(word.language).weekdays[(word.position + days) % 7]
        return _restore_style(written, name[: len(bare)] if word.is_abbreviated else name)

    def shift_season(self, written: str, days: int) -> str:
        """Write the season that is `days` after the middle of `written`."""
        word = self.seasons[written.casefold()]
        middle = date(2001, 3 * word.position + 1, 15)
        season = (middle + timedelta(days)).month % 12 // 3
        return _restore_style(written, _names(word.language).seasons[season])

    def _index(
        self, select: Callable[[CalendarNames], tuple[str, ...]], *, is_abbreviated: bool
    ) -> dict[str, CalendarWord]:
        dates = word_lists().dates
        words: dict[str, CalendarWord] = {}
        for language in sorted(dates.languages, key=lambda language: language != self.language):
            names = select(dates.languages[language])
            for index, name in enumerate(names):
                words.setdefault(name, CalendarWord(language, index, is_abbreviated=False))
            for text, index in _abbreviations(names) if is_abbreviated else ():
                words.setdefault(text, CalendarWord(language, index, is_abbreviated=True))
        variants = {new: words[name] for new, name in dates.variants.items() if name in words}
        return words | variants


def _names(language: str) -> CalendarNames:
    return word_lists().dates.languages[language]


def _abbreviations(names: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """Yield the abbreviations of three or four letters that belong to one name alone."""
    prefixes = Counter(name[:size] for name in names for size in range(_ABBREVIATION, len(name)))
    for index, name in enumerate(names):
        for size in range(_ABBREVIATION, min(5, len(name))):
            if prefixes[name[:size]] == 1:
                yield name[:size], index


def _bare(written: str) -> str:
    return written.rstrip(".")


def _restore_style(written: str, name: str) -> str:
    """Write a name with the capitals and the full stop of another."""
    bare = _bare(written)
    name = name.capitalize() if bare[:1].isupper() else name.lower()
    return match_case(bare, name) + written[len(bare) :]

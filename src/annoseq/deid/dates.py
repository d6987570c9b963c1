"""Dates moved by a number of days and written as they were.

A value may hold several dates, parts of dates, and the small words between them. If anything else
is in it, it is not understood, and is not guessed at.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from annoseq.deid.date_words import DateWords

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from random import Random

_DAY = r"(?<!\d)\d{1,2}"
_YEAR = r"(?:1[5-9]|2[01])\d\d(?!\d)"
_SHORT_YEAR = r"(?<!\d)\d\d(?!\d)"
_SMALL = r"(?:de[lnrs]?|d[ií]a|of|the|el|le|la|d['’]|em|en|du)"
_BETWEEN = rf"(?:\s*(?:[-/.,]\s*)?(?:\b{_SMALL}\b\s*)*)"
_ORDINAL = r"(?:(?P<o>st|nd|rd|th)|[ºª°]|er\b|\.)?"
_TIME = r"\d{1,2}(?:[:h]\d{2}){1,2}(?:\.\d+)?\s*(?:[ap]\.?m\b\.?|hrs?\b\.?|horas\b|h\b|z\b)?"
_FILLER = re.compile(
    rf"""(?ix) {_SMALL}\b | (?:about|around|early|late|mid|end|on|in|at|to|and|until|since|from
    |between|through|last|next|this|past|year|years|month|day|morning|afternoon|evening|night
    |a|al|y|e|o|u|hasta|desde|entre|finales|final|mediados|principios|primeros|comienzos|inicios
    |mes|año|años|fecha|las|los|pasado|próximo|actual|und|et|bis|am|im|vom)\b | [^\w]"""
)


class _Fields(NamedTuple):
    """What a match says; a part that it does not say is None."""

    year: int | None
    month: int | None
    day: int | None

    def date(self) -> date:
        """Return the date that is meant, or the middle of what is meant."""
        leap = self.year is None and (self.month, self.day) == (2, 29)
        year = (2000 if leap else 2001) if self.year is None else self.year
        month = 7 if self.month is None else self.month
        middle = 1 if self.month is None else 15
        return date(year, month, middle if self.day is None else self.day)


class DateShifter:
    """Moves dates; `is_day_first` reads 3/4/2010 as the third of April."""

    def __init__(self, language: str, *, is_day_first: bool) -> None:
        self._words = DateWords(language)
        self._is_day_first = is_day_first

    def shift(self, value: str, days: int, *, is_day_first: bool | None = None) -> str | None:
        """Move every date of a value; None if the value is not understood.

        >>> DateShifter("en", is_day_first=False).shift("the 3rd of March, 2018", 400)
        'the 7th of April, 2019'
        """
        day_first = self._is_day_first if is_day_first is None else is_day_first
        pieces: list[str] = []
        place = count = 0
        while place < len(value):
            if moved := self._at(value, place, days, day_first):
                text, place = moved
                pieces.append(text)
                count += 1
            elif time := re.compile(_TIME, re.IGNORECASE).match(value, place):
                pieces.append(time[0])
                place = time.end()
            elif filler := _FILLER.match(value, place):
                pieces.append(filler[0])
                place = filler.end()
            else:
                return None
        return "".join(pieces) if count else None

    def _at(self, value: str, place: int, days: int, day_first: bool) -> tuple[str, int] | None:
        for pattern in self._patterns:
            found = pattern.match(value, place)
            if found is None:
                continue
            try:
                return self._moved(found, days, day_first), found.end()
            except (ValueError, OverflowError):
                continue  # no such day: perhaps it is a shorter date
        return None

    def _moved(self, found: re.Match[str], days: int, day_first: bool) -> str:
        groups = {name: text for name, text in found.groupdict().items() if text is not None}
        if "weekday" in groups:
            return self._words.weekday(found[0], days)
        if "season" in groups:
            index = self._words.seasons[found[0].casefold()].place
            middle = date(2001, (1, 4, 7, 10)[index], 15)
            return self._words.season(found[0], (middle + timedelta(days)).month)
        names = _roles(groups, day_first)
        fields = self._fields(groups, names)
        moved = fields.date() + timedelta(days)
        is_dashed = "mon" in groups and f"-{groups['mon']}" in found[0]
        numbers = [groups[name] for name, role in names.items() if role in {"day", "month"}]
        is_padded = all(len(text) == 2 for text in numbers) and (
            "mon" not in groups or is_dashed or any(text[0] == "0" for text in numbers)
        )
        new: dict[str, str] = {}
        for name, text in groups.items():
            match names.get(name):
                case "day":
                    new[name] = f"{moved.day:0{2 if is_padded else 1}}"
                case "month":
                    new[name] = f"{moved.month:0{2 if is_padded else 1}}"
                case "year":
                    new[name] = f"{moved.year:04}"[-len(text) :]
                case "name":
                    new[name] = self._words.month(text, moved.month, is_short=is_dashed)
                case "ordinal":
                    ending = _ending(moved.day)
                    new[name] = ending.upper() if text.isupper() else ending
        return _put(found, new)

    def _fields(self, groups: Mapping[str, str], names: Mapping[str, str]) -> _Fields:
        said = {names[name]: text for name, text in groups.items() if name in names}
        month = int(said["month"]) if "month" in said else None
        if "name" in said:
            month = self._words.months[said["name"].rstrip(".").casefold()].place + 1
        year = said.get("year")
        return _Fields(
            _whole_year(year) if year else None, month, int(said["day"]) if "day" in said else None
        )

    @cached_property
    def _patterns(self) -> list[re.Pattern[str]]:
        """Return the shapes of dates, the more telling ones first."""
        words = self._words
        month = words.pattern(words.months)
        any_year = rf"{_YEAR}|['’]?(?:{_SHORT_YEAR})"
        shapes = (
            rf"(?P<y>{_YEAR[:-6]})(?P<s>\s?[-/.]\s?)(?P<m>\d\d?)(?P=s)(?P<d>\d\d?)(?!\d)",
            rf"(?<!\d)(?P<y>{_YEAR[:-6]})(?P<m>\d\d)(?P<d>\d\d)(?!\d)",
            rf"(?P<a>{_DAY})(?P<s>\s?[-/.]\s?|\s)(?P<b>\d\d?)(?P=s)(?P<y>{_YEAR}|{_SHORT_YEAR})",
            rf"(?P<d>{_DAY}){_ORDINAL}{_BETWEEN}(?P<mon>{month}){_BETWEEN}(?P<y>{any_year})",
            rf"(?P<mon>{month}){_BETWEEN}(?P<d>{_DAY}(?!\d)){_ORDINAL}{_BETWEEN}(?P<y>{any_year})",
            rf"(?P<mon>{month}){_BETWEEN}(?P<y>{_YEAR}|['’](?:{_SHORT_YEAR}))",
            rf"(?P<d>{_DAY}){_ORDINAL}{_BETWEEN}(?P<mon>{month})",
            rf"(?P<mon>{month}){_BETWEEN}(?P<d>{_DAY}(?!\d)){_ORDINAL}",
            rf"(?P<mon>{month}){_BETWEEN}(?P<y>{_SHORT_YEAR})",
            rf"(?P<m>{_DAY})\s?[-/.]\s?(?P<y>{_YEAR})",
            rf"(?P<y>{_YEAR[:-6]})[-/](?P<m>\d\d)(?!\d)",
            rf"(?P<a>{_DAY})[-/.](?P<b>\d\d?)(?!\d|:)",
            rf"(?P<m>{_DAY})[-/](?P<y>{_SHORT_YEAR})",
            rf"(?<!\d)(?P<y>{_YEAR})",
            rf"['’](?P<y>{_SHORT_YEAR})",
            rf"(?P<mon>{month})",
            rf"(?P<weekday>{words.pattern(words.weekdays)})",
            rf"(?P<season>{words.pattern(words.seasons)[:-3]})",
        )
        return [re.compile(shape, re.IGNORECASE) for shape in shapes]


_NUMERIC = re.compile(r"(?<!\d)(\d\d?)\s?[-/.]\s?(\d\d?)\s?[-/.]\s?(?:\d{4}|\d\d)(?!\d)")


def reads_day_first(values: Iterable[str]) -> bool | None:
    """Tell by the dates of a document whether the day comes first; None if they do not tell.

    >>> reads_day_first(["3/4/2010", "25/4/2010"])
    True
    """
    for value in values:
        for found in _NUMERIC.finditer(value):
            first, second = int(found[1]), int(found[2])
            if first <= 12 < second:
                return False
            if second <= 12 < first:
                return True
    return None


def draw_shift(random: Random) -> int:
    """Draw a number of days: one to five years, either way, and never near a whole year.

    So every part of a date changes, wherever it stands alone: its year, its month, its season, and
    its weekday.
    """
    while True:
        days = 365 * random.randint(1, 4) + random.randint(92, 273)
        if days % 7:
            return random.choice((-days, days))


def _roles(groups: Mapping[str, str], day_first: bool) -> dict[str, str]:
    """Say which group is what; of two numbers, the one above 12 is the day."""
    roles = {"d": "day", "m": "month", "y": "year", "mon": "name", "o": "ordinal"}
    if "a" in groups:
        first, second = int(groups["a"]), int(groups["b"])
        is_day_first = first > 12 or (day_first and second <= 12)
        roles |= {"a": "day", "b": "month"} if is_day_first else {"a": "month", "b": "day"}
    return {name: role for name, role in roles.items() if name in groups}


def _whole_year(text: str) -> int:
    digits = text.lstrip("'’")
    year = int(digits)
    return year if len(digits) == 4 else year + (2000 if year < 50 else 1900)


def _put(found: re.Match[str], new: Mapping[str, str]) -> str:
    """Write a match with other texts for some of its groups."""
    pieces: list[str] = []
    cursor = found.start()
    for name in sorted(new, key=found.start):
        text = new[name]
        if found[name].startswith(("'", "’")) and name == "y":
            text = found[name][0] + text[-len(found[name]) + 1 :]
        pieces += [found.string[cursor : found.start(name)], text]
        cursor = found.end(name)
    return "".join([*pieces, found.string[cursor : found.end()]])


def _ending(day: int) -> str:
    if day in (11, 12, 13):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")

"""Parser of dates: a value becomes dates, ranges and lists of days, with every field in its place.

A value is read in one language. A value with any other word, or with a day that does not exist, is
not understood.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from annoseq.deid.date_patterns import ABBREVIATION, ORDINAL, CalendarNames, bare_name, date_grammar
from annoseq.deid.word_lists import word_lists

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from annoseq.deid.date_patterns import DateGrammar

Precision: TypeAlias = Literal["day", "month", "season", "year", "weekday"]

_MAX_LENGTH = 500
"""In characters: a longer value is a text, not a date."""
_CACHED_VALUES = 4096
_WORST_RANK = 3

_DAY_WITH_ORDINAL = re.compile(rf"(\d\d?)({ORDINAL})", re.IGNORECASE)
_NUMERIC_DATE = re.compile(
    r"(?<!\d)(\d\d?)(\s?[-/.]\s?)(\d\d?)\2(?:\d{4}|\d\d)(?!\d)|"
    r"(?<!\d)(\d\d?)/(\d\d?)(?=\s?[-–—]\s?\d\d?/\d\d?/\d)"
)


class DateField(NamedTuple):
    """A field of a date: its text, which begins at `start` of the value."""

    text: str
    start: int

    @property
    def end(self) -> int:
        """End of the field in the value."""
        return self.start + len(self.text)


class DayField(NamedTuple):
    """A day of a month, and what makes it an ordinal number, which may be empty."""

    number: DateField
    ordinal: DateField


@dataclass(frozen=True)
class DateGroup:
    """A date, or days of one month: `value[start:end]`.

    `pair` holds the two numbers of which one is the day and the other the month, until it is known
    which.
    """

    value: str
    start: int
    end: int
    language: str
    days: tuple[DayField, ...] = ()
    month: DateField | None = None
    year: DateField | None = None
    weekday: DateField | None = None
    season: DateField | None = None
    pair: tuple[DayField, DayField] | None = None

    @property
    def precision(self) -> Precision:
        """The smallest unit that is written."""
        if self.weekday:
            return "weekday"
        if self.season:
            return "season"
        return "day" if self.days or self.pair else "month" if self.month else "year"

    @property
    def has_numbers(self) -> bool:
        """True unless it is a name alone: a month, a weekday or a season."""
        return bool(self.days or self.pair or self.year)

    @property
    def names(self) -> CalendarNames:
        """Calendar names of the group's language."""
        return CalendarNames.of(self.language)

    @property
    def is_named(self) -> bool:
        """True if the month is written as a name."""
        return self.month is not None and not self.month.text[0].isdigit()

    @property
    def month_number(self) -> int | None:
        """Number of the month, or of the middle month of the season, or None."""
        if self.season:
            return 3 * self.names.seasons[bare_name(self.season.text).casefold()].position + 1
        if self.month is None:
            return None
        if self.is_named:
            return self.names.months[bare_name(self.month.text).casefold()].position + 1
        return int(self.month.text)

    @property
    def forced_order(self) -> bool | None:
        """True if the day must come first, False if the month must, None if either may."""
        if self.pair is None:
            is_list = len(self.days) > 1 and not self.is_named
            return None if not is_list or self.month is None else self.month.start > self.start
        first, second = (int(field.number.text) for field in self.pair)
        return None if (first > 12) == (second > 12) else first > 12

    def resolve(self, *, is_day_first: bool) -> DateGroup:
        """Return the group with its pair of numbers as a day and a month."""
        if self.pair is None:
            return self
        day, month = self.pair if is_day_first else self.pair[::-1]
        return replace(self, days=(day,), month=month.number, pair=None)


DateParts: TypeAlias = "tuple[str | DateGroup, ...]"
"""A parsed value: dates, and the texts between them."""


class NotADateError(Exception):
    """Value that looks like a date and is none, or may be several."""


@lru_cache(_CACHED_VALUES)
def parse_dates(value: str, language: str, *, is_day_first: bool) -> DateParts | None:
    """Parse a value in `language`, or else in another; None if it is not understood."""
    if len(value) > _MAX_LENGTH:
        return None
    best: tuple[int, DateParts | None] = (_WORST_RANK, None)
    for candidate in sorted(word_lists().dates, key=lambda name: name != language):
        is_own = candidate == language
        parts = _parse_in(value, candidate, is_own=is_own)
        if parts is None:
            continue
        with suppress(NotADateError):
            resolved = _resolve(parts, is_day_first=is_day_first)
            rank = _rank(resolved, is_own=is_own)
            if rank < best[0]:
                best = rank, resolved
        if best[0] == 0:
            break
    return best[1]


def _rank(parts: DateParts, *, is_own: bool) -> int:
    """Rank readings in several languages: `Juni` is German rather than short for `junio`."""
    written = [
        bare_name(field.text)
        for group in _groups(parts)
        for field in (group.weekday, group.season, group.month)
        if field is not None and not field.text[0].isdigit()
    ]
    names = next(_groups(parts)).names
    is_whole = all(name.casefold() in names.whole_names for name in written)
    if is_own and (is_whole or all(len(name) == ABBREVIATION for name in written)):
        return 0
    return 1 if is_whole else 2


def reads_day_first(values: Sequence[str]) -> bool | None:
    """Infer from a document's dates if the day comes first; None if they leave it open.

    >>> reads_day_first(["3/4/2010", "25/4/2010"])
    True
    """
    for value in values:
        for match in _NUMERIC_DATE.finditer(value):
            first, second = int(match[1] or match[4]), int(match[3] or match[5])
            if first <= 12 < second:
                return False
            if second <= 12 < first:
                return True
    return None


def _resolve(parts: DateParts, *, is_day_first: bool) -> DateParts:
    """Decide for all pairs of numbers of a value alike which is the day."""
    orders = {part.forced_order for part in _groups(parts)} - {None}
    if len(orders) > 1:
        raise NotADateError
    is_first = bool(orders.pop()) if orders else is_day_first
    return tuple(
        part if isinstance(part, str) else part.resolve(is_day_first=is_first) for part in parts
    )


def _groups(parts: DateParts) -> Iterator[DateGroup]:
    return (part for part in parts if isinstance(part, DateGroup))


def _parse_in(value: str, language: str, *, is_own: bool) -> DateParts | None:
    """Parse a value in one language, without deciding which of two numbers is the day."""
    grammar = date_grammar(language)
    parts: list[str | DateGroup] = []
    cursor = 0
    while cursor < len(value):
        try:
            group = _match_group(value, cursor, grammar)
        except NotADateError:
            return None
        if group:
            parts.append(group)
            cursor = group.end
        elif match := grammar.match_context(value, cursor):
            parts.append(match[0])
            cursor = match.end()
        else:
            return None
    groups = list(_groups(tuple(parts)))
    if not groups or (
        not any(group.has_numbers for group in groups)
        and not all(_stands_alone(group, parts, is_own=is_own) for group in groups)
    ):
        return None
    return tuple(parts)


def _stands_alone(group: DateGroup, parts: Sequence[str | DateGroup], *, is_own: bool) -> bool:
    """Return True if a name without a number is a month, a weekday or a season, and no other word.

    Abbreviations of other languages, and words such as `may`, are too likely to be something else.
    """
    field = group.weekday or group.season or group.month
    assert field is not None
    bare = bare_name(field.text)
    names = group.names
    is_homograph = bare.casefold() in names.words.homographs
    is_abbreviated = bare.casefold() not in names.whole_names
    is_marked = bare[0].isupper() or field.text != bare
    if is_abbreviated:
        is_twofold = bare.casefold() in names.months and bare.casefold() in names.weekdays
        return is_own and is_marked and not is_homograph and not is_twofold
    return not is_homograph or (bare[0].isupper() and not _is_followed_by_words(group, parts))


def _is_followed_by_words(group: DateGroup, parts: Sequence[str | DateGroup]) -> bool:
    """Return True if there are words and no other date after a group."""
    following = parts[parts.index(group) + 1 :]
    return not any(isinstance(part, DateGroup) for part in following) and any(
        isinstance(part, str) and part[0].isalpha() for part in following
    )


def _match_group(value: str, cursor: int, grammar: DateGrammar) -> DateGroup | None:
    """Match the longest kind of date that begins at `cursor`.

    Raises:
        NotADateError: it is none, or may be several.
    """
    for pattern in grammar.dates:
        if match := pattern.match(value, cursor):
            return _to_group(match, grammar.language)
    return None


def _to_group(match: re.Match[str], language: str) -> DateGroup:
    texts = match.groupdict()
    fields = {
        name: DateField(text, match.start(name))
        for name, text in texts.items()
        if text is not None and name not in {"s", "a", "b", "days", "short"}
    }
    days: tuple[DayField, ...] = ()
    if texts.get("days") is not None:
        days = tuple(_day_fields(match.string, match.start("days"), match.end("days")))
        _check_days(days, match)
    if texts.get("short") is not None:
        year = int(match["short"])
        if int(days[-1].number.text) < year <= 31:
            raise NotADateError  # May 12, 15: a year or another day
        fields["year"] = DateField(match["short"], match.start("short"))
    pair = None
    if texts.get("a") is not None:
        (first,), (second,) = (
            _day_fields(match.string, match.start(name), match.end(name)) for name in "ab"
        )
        pair = first, second
    group = DateGroup(
        match.string, match.start(), match.end(), language, days=days, pair=pair, **fields
    )
    is_season = group.precision == "month" and group.year and group.year.start == group.start
    if is_season and match["s"] == "/" and int(match["month"]) == int(match["year"]) % 100 + 1:
        raise NotADateError  # 2009/10: October, or a season of two years
    return group


def _day_fields(value: str, start: int, end: int) -> Iterator[DayField]:
    for match in _DAY_WITH_ORDINAL.finditer(value, start, end):
        yield DayField(DateField(match[1], match.start(1)), DateField(match[2], match.start(2)))


def _check_days(days: Sequence[DayField], match: re.Match[str]) -> None:
    """Check that the days of a list ascend, and that none of them may be a year."""
    numbers = [int(day.number.text) for day in days]
    if any(first >= second for first, second in pairwise(numbers)):
        raise NotADateError
    is_month_first = match.start("month") < days[0].number.start
    is_slashed = any(
        "/" in match.string[first.ordinal.end : second.number.start]
        for first, second in pairwise(days)
    )
    if is_month_first and is_slashed:
        raise NotADateError

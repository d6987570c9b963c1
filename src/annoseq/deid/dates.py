"""Date shifting: dates move by a number of days and keep the format in which they are written.

Both ends of a range and all days of a list move alike. Where they come to lie in different months
or years, each is written with its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from annoseq.deid.date_format import apply_edits, group_edits, year_after
from annoseq.deid.date_parser import DateGroup, parse_dates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.deid.date_format import Edit

_UNKNOWN_YEAR = 2001
"""Year of dates without one, in a document that has none."""
_PIVOT = 50
"""Two digits below it are years from 2000, others from 1900."""


@dataclass(frozen=True)
class DateShifter:
    """Shifts dates; `is_day_first` reads 3/4/2010 as the third of April.

    Values are read in any of the languages of the word lists; a value that fits several is read in
    `language` if that is one of them.
    """

    language: str
    is_day_first: bool

    def shift(
        self,
        value: str,
        days: int,
        *,
        is_day_first: bool | None = None,
        year: int | None = None,
    ) -> str | None:
        """Shift every date of a value; None if the value is not understood.

        `year` is that of dates without one.

        >>> DateShifter("en", is_day_first=False).shift("12-15 March 2010", 19)
        '31 March-3 April 2010'
        """
        unknown_year = _UNKNOWN_YEAR if year is None else year
        groups = self._parse(value, is_day_first)
        if groups is None:
            return None
        try:
            original = _dates(groups, unknown_year)
            moved = [[day + timedelta(days) for day in dates] for dates in original]
            shifted = apply_edits(value, _edits(groups, original, moved, days=days))
            read = self._parse(shifted, _is_day_first(groups))
            is_safe = not any(group.has_numbers for group in groups) or (
                read is not None
                and _written(read, _dates(read, unknown_year)) == _written(groups, moved)
            )
        except (ValueError, OverflowError):
            return None
        return shifted if is_safe else None  # June '33 may become May 29

    def dates(self, value: str, *, year: int) -> list[date]:
        """Return the dates of a value, periods by their middle; none if it is not understood."""
        groups = self._parse(value, None) or []
        return [day for days in _dates(groups, year) for day in days]

    def years(self, value: str, *, is_day_first: bool | None = None) -> list[int]:
        """Return the years that are written in a value, none if it is not understood."""
        groups = self._parse(value, is_day_first)
        return [_full_year(group.year.text) for group in groups or () if group.year]

    def possible_years(
        self, value: str, *, is_day_first: bool | None = None
    ) -> list[tuple[int, ...]]:
        """Return the readings of every year that is written: two of a year of two digits."""
        groups = self._parse(value, is_day_first)
        return [_year_readings(group.year.text) for group in groups or () if group.year]

    def _parse(self, value: str, is_day_first: bool | None) -> list[DateGroup] | None:
        day_first = self.is_day_first if is_day_first is None else is_day_first
        parts = parse_dates(value, self.language, is_day_first=day_first)
        if parts is None:
            return None
        return [part for part in parts if isinstance(part, DateGroup)]


def _is_day_first(groups: Sequence[DateGroup]) -> bool | None:
    """Return the order of day and month in numbers, None if it does not matter."""
    orders = (
        group.days[0].number.start < group.month.start
        for group in groups
        if group.days and group.month and not group.is_named
        if not group.year or group.year.start > group.start
    )
    return next(orders, None)


def _written(groups: Sequence[DateGroup], dates: Sequence[Sequence[date]]) -> list[str]:
    """Return what is written of the dates of groups, all in one format."""
    has_year = any(group.year for group in groups)
    year = "%y" if has_year else ""
    formats = {"day": f"{year}-%m-%d", "month": f"{year}-%m", "year": year, "weekday": ""}
    return [
        f"{year and f'{day:%y}'}-{day.month % 12 // 3}"
        if group.precision == "season"
        else day.strftime(formats[group.precision])
        for group, days in zip(groups, dates, strict=True)
        for day in days
    ]


def _dates(groups: Sequence[DateGroup], unknown_year: int) -> list[list[date]]:
    """Return the dates of every group; a period is represented by its middle.

    Raises:
        ValueError: there is no such day, or the year of a date may be one or another.
    """
    if any((group.month_number, _last_day(group)) == (2, 29) for group in groups):
        while unknown_year % 4 or (unknown_year % 100 == 0 and unknown_year % 400):
            unknown_year -= 1
    dates: list[list[date]] = []
    year = unknown_year
    for index, group in enumerate(groups):
        if group.year:
            year = _full_year(group.year.text)
        elif (source := _year_source(groups, index)) is not None:
            year = _inherited_year(group, groups[source], is_later=source > index)
        elif index and _is_earlier(group, groups[index - 1]):
            year += 1  # 30 December to 2 January
        dates.append(_group_dates(group, year))
    return dates


def _last_day(group: DateGroup) -> int | None:
    return int(group.days[-1].number.text) if group.days else None


def _group_dates(group: DateGroup, year: int) -> list[date]:
    if group.precision == "weekday":
        return [date(2001, 1, 1)]
    month = group.month_number
    if month is None:
        return [date(year, 7, 1)]
    if not group.days:
        return [date(year, month, 15)]
    return [date(year, month, int(day.number.text)) for day in group.days]


def _year_source(groups: Sequence[DateGroup], index: int) -> int | None:
    """Return the index of the group whose year goes for another group without one.

    Raises:
        ValueError: there are years, but none for a date of this kind.
    """
    group = groups[index]
    if group.year or group.precision == "weekday":
        return None
    dated = [other for other, candidate in enumerate(groups) if candidate.year]
    alike = [other for other in dated if groups[other].precision == group.precision]
    if dated and not alike:
        raise ValueError("no year for this date")
    return min(alike, key=lambda other: (other < index, abs(other - index)), default=None)


def _inherited_year(group: DateGroup, source: DateGroup, *, is_later: bool) -> int:
    """Return the year of a group that stands in a range or a list with its source."""
    assert source.year is not None
    year = _full_year(source.year.text)
    if is_later:
        return year - _is_earlier(source, group)
    return year + _is_earlier(group, source)


def _is_earlier(group: DateGroup, other: DateGroup) -> bool:
    """Return True if a group is earlier in the year than another."""
    if group.precision != other.precision or group.month_number is None:
        return False
    return (group.month_number, _last_day(group) or 0) < (
        other.month_number or 0,
        _last_day(other) or 0,
    )


def _edits(
    groups: Sequence[DateGroup],
    original: Sequence[Sequence[date]],
    moved: Sequence[Sequence[date]],
    *,
    days: int,
) -> list[Edit]:
    """Return the edits that write shifted dates in the format of the original ones."""
    edits: list[Edit] = []
    for index, group in enumerate(groups):
        edits += group_edits(group, moved[index], days)
        source = _year_source(groups, index)
        if source is not None:
            is_parted = moved[index][0].year != moved[source][-1].year
            if is_parted and original[index][0].year == original[source][-1].year:
                edits.append(year_after(group, moved[index][-1], groups[source]))
    return edits


def _full_year(written: str) -> int:
    digits = written.lstrip("'’")
    if len(digits) == 4:
        return int(digits)
    return int(digits) + (2000 if int(digits) < _PIVOT else 1900)


def _year_readings(written: str) -> tuple[int, ...]:
    digits = written.lstrip("'’")
    return (int(digits),) if len(digits) == 4 else (1900 + int(digits), 2000 + int(digits))

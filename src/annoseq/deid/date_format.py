"""Format of dates: shifted dates are written as the original ones were."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from annoseq.deid.date_parser import DateField, DateGroup


class Edit(NamedTuple):
    """A text that replaces `value[start:end]`."""

    start: int
    end: int
    text: str

    @classmethod
    def of(cls, field: DateField, text: str) -> Edit:
        """Return the edit that replaces a field."""
        return cls(field.start, field.end, text)


def apply_edits(value: str, edits: Sequence[Edit]) -> str:
    """Replace pieces of a value."""
    pieces: list[str] = []
    cursor = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        pieces += [value[cursor : edit.start], edit.text]
        cursor = edit.end
    return "".join([*pieces, value[cursor:]])


def group_edits(group: DateGroup, dates: Sequence[date], days: int) -> list[Edit]:
    """Return the edits that write the shifted dates of a group in its format."""
    if group.weekday:
        text = group.names.shift_weekday(group.weekday.text, days)
        return [Edit.of(group.weekday, text)]
    form = _NumberFormat.of(group)
    is_month_first = bool(group.days and group.month and group.month.start < group.days[0][0].start)
    # Before a list of days the month and after it the year are written once.
    month_date = dates[0] if is_month_first else dates[-1]
    edits = []
    for day_field, day in zip(group.days, dates, strict=False):
        ordinal = _ordinal(day_field.ordinal.text, day.day)
        edits.append(Edit.of(day_field.number, form.number(day.day)))
        edits.append(Edit.of(day_field.ordinal, ordinal))
    if group.season:
        edits.append(Edit.of(group.season, group.names.season(group.season.text, dates[0].month)))
    if group.month:
        edits.append(Edit.of(group.month, form.month(group, month_date)))
    if group.year:
        edits.append(Edit.of(group.year, _year_like(group.year.text, dates[-1].year)))
    edits += _months_before(group, dates) if is_month_first else _months_after(group, dates)
    return edits


def _months_after(group: DateGroup, dates: Sequence[date]) -> list[Edit]:
    """Write the month after those days of a list that are not in the last day's month."""
    if group.month is None or len(dates) < 2:
        return []
    before_month = group.value[group.days[-1].ordinal.end : group.month.start]
    form = _NumberFormat.of(group)
    edits = []
    for field, day in zip(group.days, dates, strict=True):
        if (day.year, day.month) != (dates[-1].year, dates[-1].month):
            end = field.ordinal.end
            text = before_month + form.month(group, day)
            if group.year and day.year != dates[-1].year:
                text += group.value[group.month.end : group.year.start]
                text += _year_like(group.year.text, day.year)
            edits.append(Edit(end, end, text))
    return edits


def _months_before(group: DateGroup, dates: Sequence[date]) -> list[Edit]:
    """Write the month before those days of a list that are not in the month of the day before."""
    assert group.month is not None
    after_month = group.value[group.month.end : group.days[0].number.start]
    form = _NumberFormat.of(group)
    edits = []
    for (field, day), (next_field, next_day) in pairwise(zip(group.days, dates, strict=True)):
        if day.year != next_day.year and group.year:
            text = group.value[group.days[-1].ordinal.end : group.year.start]
            text += _year_like(group.year.text, day.year)
            edits.append(Edit(field.ordinal.end, field.ordinal.end, text))
        if day.month != next_day.month:
            start = next_field.number.start
            edits.append(Edit(start, start, form.month(group, next_day) + after_month))
    return edits


def year_after(group: DateGroup, day: date, source: DateGroup) -> Edit:
    """Write the year of a group that had the year of another, which it no longer has."""
    assert source.year is not None
    last = max(
        (field for field in (source.month, source.season) if field is not None),
        key=lambda field: field.end,
    )
    before = max([last.end, *(field.ordinal.end for field in source.days)])
    text = source.value[before : source.year.start] + _year_like(source.year.text, day.year)
    return Edit(group.end, group.end, text)


class _NumberFormat(NamedTuple):
    """Format of the numbers of a date: digits of day and month, and the dashes of 24-APR-2012."""

    width: int
    is_dashed: bool

    @classmethod
    def of(cls, group: DateGroup) -> _NumberFormat:
        numbers = [field.number.text for field in group.days]
        is_dashed = False
        if group.month and group.is_named:
            is_dashed = group.value[: group.month.start].endswith("-")
        elif group.month:
            numbers.append(group.month.text)
        has_two_digits = all(len(number) == 2 for number in numbers)
        # Beside the name of a month, 12 alone does not tell if 3 is written 03.
        is_padded = not group.is_named or is_dashed or any(n[0] == "0" for n in numbers)
        return cls(2 if has_two_digits and is_padded else 1, is_dashed)

    def number(self, number: int) -> str:
        return f"{number:0{self.width}}"

    def month(self, group: DateGroup, day: date) -> str:
        assert group.month is not None
        if not group.is_named:
            return self.number(day.month)
        written = group.month.text
        return group.names.month(written, day.month, is_abbreviated=self.is_dashed)


def _ordinal(written: str, day: int) -> str:
    """Return the ending of an ordinal number: 1st and 2nd, and the French 1er, but 2."""
    if written.casefold() == "er":
        return written if day == 1 else ""
    if written.casefold() not in {"st", "nd", "rd", "th"}:
        return written
    ending = "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return ending.upper() if written.isupper() else ending


def _year_like(written: str, year: int) -> str:
    """Write a year with four digits, two, or two after an apostrophe."""
    digits = written.lstrip("'’")
    return written[: len(written) - len(digits)] + f"{year:04}"[-len(digits) :]

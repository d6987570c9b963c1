"""The shapes in which clinicians write a date.

Month and day names are written out here because `strftime` follows the machine's locale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date
    from random import Random

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SEASONS = ("winter", "spring", "summer", "fall")

_NUMERIC = (
    *("{m:02}/{d:02}/{y}", "{m}/{d}/{y}", "{m}/{d}/{yy}", "{y}-{m:02}-{d:02}"),
    *("{m:02}-{d:02}-{y}", "{d:02}-{MON}-{y}", "{m:02}/{d:02}/{yy}"),
)
_DATED = (
    *("{m:02}/{d:02}/{y}", "{m}/{d}/{yy}", "{y}-{m:02}-{d:02}", "{d:02}-{MON}-{y}"),
    *("{month} {d}, {y}", "{mon} {d}, {y}", "{d} {month} {y}", "{month} {d}{th}, {y}"),
    *("{d} {mon} {y}", "the {d}{th} of {month}, {y}", "the {d}{th} of {month} {y}"),
)
_DAY = (
    *("{m}/{d}", "{m}/{d}", "{m:02}/{d:02}", "{month} {d}", "{mon} {d}", "{d} {month}"),
    *("{month} {d}{th}", "the {d}{th} of {month}", "{weekday}", "{m}/{d}/{yy}", "{month} {d}, {y}"),
)
_MONTH = (
    *("{month} of {y}", "{month} {y}", "{m:02}/{y}", "{mon} {y}", "{m}/{yy}", "{y}", "{y}"),
    *("'{yy}", "the {season} of {y}"),
)
_LETTER = ("{month} {d}, {y}", "{d} {month} {y}", "{mon} {d}, {y}", "{month} {d}{th}, {y}")
STYLES = {
    "numeric": _NUMERIC,
    "letter": _LETTER,
    "dated": _DATED,
    "day": _DAY,
    "month": _MONTH,
    "weekday": ("{weekday}",),
    "year": ("{y}",),
}


def write_date(day: date, style: str, rng: Random) -> str:
    """Write a date in one of the shapes of a style."""
    return shape_date(day, rng.choice(STYLES[style]))


def shape_date(day: date, shape: str) -> str:
    """Write a date in one shape.

    >>> from datetime import date
    >>> shape_date(date(2018, 3, 3), "the {d}{th} of {month}, {y}")
    'the 3rd of March, 2018'
    """
    month = _MONTHS[day.month - 1]
    return shape.format(
        y=day.year,
        yy=f"{day.year % 100:02}",
        m=day.month,
        d=day.day,
        month=month,
        mon=month[:3],
        MON=month[:3].upper(),
        th=_ordinal_ending(day.day),
        weekday=_WEEKDAYS[day.weekday()],
        season=_SEASONS[day.month % 12 // 3],
    )


def _ordinal_ending(number: int) -> str:
    if number in (11, 12, 13):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")

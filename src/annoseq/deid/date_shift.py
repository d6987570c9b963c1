"""Shift of a document's dates by one number of days, drawn from the key."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from annoseq.deid.date_parser import reads_day_first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from random import Random

    from annoseq.deid.dates import DateShifter

_ATTEMPTS = 40


def draw_shift(rng: Random, *, by_weeks: bool = False) -> int:
    """Draw a number of days: one to five years, either way, and never near a whole year.

    So every part of a date changes, also where it is written alone: its year, its month, its
    season, and its weekday. With `by_weeks` it is a number of whole weeks, and weekdays stay.
    """
    while True:
        days = 365 * rng.randint(1, 4) + rng.randint(92, 273)
        if by_weeks:
            days -= days % 7
        if by_weeks or days % 7:
            return rng.choice((-days, days))


class DocumentDateShift:
    """Shift of all dates of a document by one number of days.

    `generator` returns the random generator of an attempt. The days are drawn so that no date
    becomes another of the `originals` (values in lower case); if every draw moves some dates to
    others, as with a month in every row, the draw with the fewest is used. Where the days are
    `shared` with other documents, the first draw is.
    """

    def __init__(
        self,
        shifter: DateShifter,
        dates: Sequence[str],
        originals: set[str],
        *,
        generator: Callable[[int], Random],
        is_shared: bool,
        by_weeks: bool,
    ) -> None:
        self._shifter = shifter
        self._day_first = reads_day_first(dates)
        self._year = self._most_common_year(dates)
        draws = (draw_shift(generator(attempt), by_weeks=by_weeks) for attempt in range(_ATTEMPTS))
        self.days = next(draws) if is_shared else self._choose_days(draws, dates, originals)

    def shift(self, value: str) -> str | None:
        """Shift a date; None if it is not understood."""
        return self._shift(value, self.days)

    def _shift(self, value: str, days: int) -> str | None:
        return self._shifter.shift(value, days, is_day_first=self._day_first, year=self._year)

    def _choose_days(self, draws: Iterable[int], dates: Sequence[str], originals: set[str]) -> int:
        best_days, fewest_clashes = 0, len(dates) + 1
        for days in draws:
            clashes = self._count_clashes(dates, days, originals)
            if clashes < fewest_clashes:
                best_days, fewest_clashes = days, clashes
            if not clashes:
                break
        return best_days

    def _count_clashes(self, dates: Sequence[str], days: int, originals: set[str]) -> int:
        shifted = (self._shift(day, days) for day in dates)
        return sum(day is not None and day.casefold() in originals for day in shifted)

    def _most_common_year(self, dates: Iterable[str]) -> int | None:
        """Return the year of the document's dates, which is that of dates without one."""
        years = Counter(
            year
            for value in dates
            for year in self._shifter.years(value, is_day_first=self._day_first)
        )
        return years.most_common(1)[0][0] if years else None

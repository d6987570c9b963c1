from __future__ import annotations

from datetime import date, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.deid.dates import DateShifter, DateVocabulary, draw_shift, reads_day_first

DAYS = 460
ENGLISH = DateShifter("en", is_day_first=False)
SPANISH = DateShifter("es", is_day_first=True)


@pytest.mark.parametrize(
    ("value", "moved"),
    [
        ("07/21/2023", "10/23/2024"),
        ("21/7/2023", "23/10/2024"),
        ("5/11/2022", "8/14/2023"),
        ("3/2/86", "6/5/87"),
        ("2023-04-25", "2024-07-28"),
        ("20230425", "20240728"),
        ("April 12th, 2023", "July 15th, 2024"),
        ("the 3rd of March, 2018", "the 6th of June, 2019"),
        ("11TH OF JANUARY, 2003", "15TH OF APRIL, 2004"),
        ("24-APR-2012", "28-JUL-2013"),
        ("30-MAY-2015", "01-SEP-2016"),
        ("Sept. 1st, '23", "Dec. 4th, '24"),
        ("November 28", "March 3"),
        ("27th of November", "2nd of March"),
        ("Sep 1999", "Dec 2000"),
        ("3/2013", "6/2014"),
        ("5/19", "8/22"),
        ("1/2", "4/7"),
        ("2012", "2013"),
        ("'93", "'94"),
        ("summer of 2015", "fall of 2016"),
        ("last Friday", "last Wednesday"),
        ("Feb 29", "Jun 3"),
        ("3 mai 2010", "6 août 2011"),
        ("3/4/2010 - 5/4/2010", "6/7/2011 - 8/7/2011"),
        ("4/25/2012 10:45 am", "7/29/2013 10:45 am"),
    ],
)
def test_english_dates_keep_their_format(value: str, moved: str) -> None:
    assert ENGLISH.shift(value, DAYS) == moved


@pytest.mark.parametrize(
    ("value", "moved"),
    [
        ("15/03/2016", "18/06/2017"),
        ("23-10-2016", "26-01-2018"),
        ("marzo de 2013", "junio de 2014"),
        ("Febrero de 2004", "Mayo de 2005"),
        ("26-julio-2004", "29-octubre-2005"),
        ("enero del año 2001", "abril del año 2002"),
        ("3 de mayo del 2010", "6 de agosto del 2011"),
        ("25 de agosto", "28 de noviembre"),
        ("1 ene. 2010", "6 abr. 2011"),
        ("lunes", "sábado"),
        ("verano de 2010", "otoño de 2011"),
        ("May 5, 2016", "Ago 8, 2017"),
    ],
)
def test_spanish_dates_keep_their_format(value: str, moved: str) -> None:
    assert SPANISH.shift(value, DAYS) == moved


@pytest.mark.parametrize(
    "value", ["Easter", "10710/2015", "14/14/2014", "0/10/2017", "39 años", ""]
)
def test_values_that_are_not_dates_are_not_shifted(value: str) -> None:
    assert ENGLISH.shift(value, DAYS) is None
    assert ENGLISH.shift("9999-12-31", DAYS) is None


def test_day_or_month_first_is_inferred_from_the_dates() -> None:
    assert reads_day_first(["3/4/2010", "3/25/2010"]) is False
    assert reads_day_first(["3/4/2010", "2010-25-12"]) is None
    assert SPANISH.shift("3/4/2010", 10, is_day_first=False) == "3/14/2010"


@settings(max_examples=25, deadline=None)
@given(day=st.dates(date(1900, 1, 1), date(2100, 12, 31)), seed=st.integers(0, 999))
def test_every_part_of_a_date_changes_and_distances_stay(day: date, seed: int) -> None:
    days = draw_shift(Random(seed))
    assert 365 < abs(days) < 5 * 366
    other = day + timedelta(days)
    assert ENGLISH.shift(day.isoformat(), days) == other.isoformat()
    month = DateVocabulary("en").months
    name = next(word for word, one in month.items() if one.position + 1 == day.month)
    for value in (str(day.year), name, f"{name} {day.day}", "Monday", "spring", f"'{day:%y}"):
        moved = ENGLISH.shift(value, days)
        assert moved is not None
        assert moved != value


def test_months_are_known_in_several_languages() -> None:
    words = DateVocabulary("es")
    assert words.months["mar"].language == "es"
    assert {words.months[one].position for one in ("märz", "mars", "marzo", "março", "march")} == {
        2
    }
    assert "jui" not in words.months
    assert words.month("JUL", 1, is_abbreviated=False) == "ENE"

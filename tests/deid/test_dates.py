from __future__ import annotations

from datetime import date, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.deid.date_parser import reads_day_first
from annoseq.deid.date_patterns import CalendarNames
from annoseq.deid.date_shift import draw_shift
from annoseq.deid.dates import DateShifter

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
    name = f"{day:%B}"
    for value in (str(day.year), name, f"{name} {day.day}", "Monday", "spring", f"'{day:%y}"):
        moved = ENGLISH.shift(value, days)
        assert moved is not None
        assert moved != value


@pytest.mark.parametrize(
    ("value", "moved"),
    [
        ("märz 2010", "juni 2011"),
        ("3. - 5. Juni 2010", "6. - 8. September 2011"),
        ("1er mars 2010", "4 juin 2011"),
        ("15 juil. 2010", "18 oct. 2011"),
        ("15 déc. 2009", "20 mar. 2011"),
        ("marzo 2010", "junio 2011"),
        ("3 gennaio 2010", "8 aprile 2011"),
        ("3 de março de 2010", "6 de junho de 2011"),
    ],
)
def test_months_are_known_in_several_languages(value: str, moved: str) -> None:
    assert SPANISH.shift(value, DAYS) == moved


def test_an_abbreviation_is_that_of_one_month() -> None:
    assert "jui" not in CalendarNames.of("fr").months
    assert CalendarNames.of("fr").month("Oct.", 6, is_abbreviated=False) == "Juin."
    assert CalendarNames.of("es").month("JUL", 1, is_abbreviated=False) == "ENE"


RANGES = {
    "12-15 March 2010": "15-18 June 2011",
    "12–15 March 2010": "15–18 June 2011",
    "12th-15th of March, 2010": "15th-18th of June, 2011",
    "3-5 June": "6-8 September",
    "May 12-15": "August 15-18",
    "May 12-15, 2010": "August 15-18, 2011",
    "del 3 al 5 de junio": "del 6 al 8 de septiembre",
    "entre el 3 y el 5 de junio de 2010": "entre el 6 y el 8 de septiembre de 2011",
    "du 3 au 5 juin 2010": "du 6 au 8 septembre 2011",
    "dal 3 al 5 giugno 2010": "dal 6 al 8 settembre 2011",
    "de 3 a 5 de junho de 2010": "de 6 a 8 de setembro de 2011",
    "vom 3. bis zum 5. Juni 2010": "vom 6. bis zum 8. September 2011",
    "12, 13 and 15 March": "15, 16 and 18 June",
    "1st, 2nd and 3rd May 2010": "4th, 5th and 6th August 2011",
    "12/3-15/3/2010": "15/6-18/6/2011",
    "12-15/3/2010": "15-18/6/2011",
    "12 al 15/03/2010": "15 al 18/06/2011",
    "12.-15.3.2010": "15.-18.6.2011",
    "3/12-15/2010": "6/15-18/2011",
    "2010-03-12/2010-03-15": "2011-06-15/2011-06-18",
    "12 March-15 April 2010": "15 June-19 July 2011",
    "March 12 - April 3, 2010": "June 15 - July 7, 2011",
    "28 December - 2 January 2010": "2 April - 7 April 2011",
    "Sept 12-Oct 3 2010": "Dec 16 2011-Jan 6 2012",
    "March-June 2010": "June-September 2011",
    "2008-2010": "2009-2011",
    "26-28 February": "1-3 June",
    "28-29 February": "2-3 June",
    "November of the year 2010": "February of the year 2012",
    "winter of 2010": "spring of 2011",
    "12MAR2010": "15JUN2011",
}


@pytest.mark.parametrize("value", RANGES)
def test_both_ends_of_a_range_move_alike(value: str) -> None:
    assert ENGLISH.shift(value, DAYS) == RANGES[value]


@pytest.mark.parametrize(
    ("value", "moved"),
    [
        ("12-15 March 2010", "30 March-2 April 2010"),
        ("12, 13, 14 and 15 March", "30 March, 31 March, 1 and 2 April"),
        ("March 12th-15th, 2010", "March 30th-April 2nd, 2010"),
        ("12-15/3/2010", "30/3-2/4/2010"),
        ("3/12-15/2010", "3/30-4/2/2010"),
        ("del 12 al 15 de marzo de 2010", "del 30 de marzo al 2 de abril de 2010"),
        ("12-15 December 2010", "30 December 2010-2 January 2011"),
        ("12.-15.12.2010", "30.12.2010-02.01.2011"),
        ("December 12-15, 2010", "December 30, 2010-January 2, 2011"),
        ("du 12 au 15 décembre 2010", "du 30 décembre 2010 au 2 janvier 2011"),
    ],
)
def test_a_range_that_comes_to_lie_in_two_months_names_both(value: str, moved: str) -> None:
    assert ENGLISH.shift(value, 18) == moved
    assert ENGLISH.shift(moved, -18) is not None


@pytest.mark.parametrize(
    "value",
    [
        *("April 31", "31 April 2010", "30/02/2010", "02/30/2010", "02/30", "2010-02-29"),
        *("31 June-2 July", "29 February 2009", "20100230", "30-31 February 2010", "31/4-2/5/2010"),
        *("a year ago", "same year", "ago", "Ago", "sat", "sam", "Die", "out", "set", "sex", "dom"),
        *("may", "may be", "it may", "May be", "march", "to march", "march on", "March on", "fall"),
        *("April 32", "Jan 45", "3/32", "32 March", "0 March", "00/00/2010", "Friday the 13th"),
        *("15-12 March", "May 12, 15", "May 12/15", "3-5/2010", "12-3-15-3-2010", "2009/10"),
        *("1.2.10.4", "12/3/2010/4", "2010 and 3 March to April 2010"),
        *("12% March", "3 mars and 5 June", "9" * 5000, "3-" * 3000, "de " * 50_000, "1 " * 9999),
    ],
)
def test_what_is_not_wholly_understood_is_not_shifted(value: str) -> None:
    assert ENGLISH.shift(value, DAYS) is None


def test_a_date_that_would_be_read_otherwise_is_not_shifted() -> None:
    assert ENGLISH.shift("June '53", -1460) == "June '49"
    assert ENGLISH.shift("June 53", -1460) is None


LANGUAGES = {
    "en": ("{d} {m} {y}", "from {d} to {e} {m} {y}", "{d}, {e} {m} {y}", "{d} {m} to {e} {n} {z}"),
    "es": (
        "{d} de {m} de {y}",
        "del {d} al {e} de {m} de {y}",
        "{d} y {e} de {m} del {y}",
        "del {d} de {m} de {y} al {e} de {n} de {z}",
    ),
    "fr": (
        "le {d} {m} {y}",
        "du {d} au {e} {m} {y}",
        "{d} et {e} {m} {y}",
        "{d} {m} au {e} {n} {z}",
    ),
    "it": (
        "il {d} {m} {y}",
        "dal {d} al {e} {m} {y}",
        "{d} e {e} {m} {y}",
        "dal {d} {m} {y} al {e} {n} {z}",
    ),
    "pt": (
        "{d} de {m} de {y}",
        "de {d} a {e} de {m} de {y}",
        "{d} e {e} de {m} de {y}",
        "{d} de {m} a {e} de {n} de {z}",
    ),
    "de": (
        "am {d}. {m} {y}",
        "{d}.-{e}. {m} {y}",
        "{d}. und {e}. {m} {y}",
        "{d}. {m} bis {e}. {n} {z}",
    ),
}
"""A date, a range and a list of days of a month, and a range with two months, in each language."""
NUMERIC = (
    "{d}/{i}/{y}",
    "{d}-{e}/{i}/{y}",
    "{d}/{i}-{e}/{j}/{z}",
    "{d}.{i}.{y} - {e}.{j}.{z}",
)


def written(form: str, start: date, end: date, language: str) -> str:
    months = CalendarNames.of(language).words.months
    return form.format(
        d=start.day,
        e=end.day,
        m=months[start.month - 1],
        n=months[end.month - 1],
        i=start.month,
        j=end.month,
        y=start.year,
        z=end.year,
    )


def is_once(form: str, start: date, end: date) -> bool:
    """Return True if a form writes all that differs between two dates."""
    same_month = "{n}" in form or "{j}" in form or start.month == end.month or "{e}" not in form
    same_year = ("{y}" in form and "{z}" in form) or start.year == end.year or "{e}" not in form
    return same_month and same_year


@settings(max_examples=400, deadline=None)
@given(
    language=st.sampled_from(sorted(LANGUAGES)),
    number=st.integers(0, 7),
    start=st.dates(date(1960, 1, 1), date(2040, 12, 31)),
    length=st.integers(1, 20),
    days=st.integers(-2000, 2000),
)
def test_every_date_in_every_form_moves_by_one_number_of_days(
    language: str, number: int, start: date, length: int, days: int
) -> None:
    form = (*LANGUAGES[language], *NUMERIC)[number]
    end = start + timedelta(length)
    shifter = DateShifter(language, is_day_first=True)
    moved_start, moved_end = start + timedelta(days), end + timedelta(days)
    if not is_once(form, start, end):
        return
    moved = shifter.shift(written(form, start, end, language), days)
    assert moved is not None
    if is_once(form, moved_start, moved_end) and form not in NUMERIC:
        assert moved == written(form, moved_start, moved_end, language)
    assert shifter.shift(moved, 0) == moved
    assert shifter.dates(moved, year=2001) == (
        [moved_start, moved_end] if "{e}" in form else [moved_start]
    )


@settings(max_examples=300, deadline=None)
@given(
    language=st.sampled_from(sorted(LANGUAGES)),
    tokens=st.lists(st.integers(0, 10**6), min_size=1, max_size=7),
    separators=st.lists(st.sampled_from([" ", "-", "/", ", ", ".", ""]), min_size=7, max_size=7),
    days=st.integers(-2000, 2000),
    is_day_first=st.booleans(),
)
def test_what_is_shifted_reads_as_the_shifted_dates(
    language: str, tokens: list[int], separators: list[str], days: int, is_day_first: bool
) -> None:
    words = CalendarNames.of(language).words
    vocabulary = [
        *map(str, range(1, 35)),
        *("2010", "1999", "'93", "98", "05", "29", "02", "st", "th", "º", "10:45"),
        *words.months,
        *(month[:3].capitalize() for month in words.months),
        *(*words.joiners, *words.connectors, *words.context[:5]),
    ]
    value = "".join(
        vocabulary[token % len(vocabulary)] + separator
        for token, separator in zip(tokens, separators, strict=False)
    ).strip()
    shifter = DateShifter(language, is_day_first=is_day_first)
    moved = shifter.shift(value, days)
    # A name alone may move to `march`, which by itself is a word.
    if moved is not None and any(map(str.isdigit, value.replace("10:45", ""))):
        assert len(shifter.dates(moved, year=2001)) == len(shifter.dates(value, year=2001))
        assert shifter.shift(moved, 0) is not None

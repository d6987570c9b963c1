"""Synthetic entities of the sample corpus: people, places, identifiers, written dates."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date
    from random import Random

    from faker import Faker


@cache
def load_word_list(name: str) -> tuple[str, ...]:
    """Read a word list; lines that begin with # are comments."""
    text = (files(__package__) / "lists" / f"{name}.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


@dataclass(frozen=True, slots=True)
class Person:
    """A person in a note."""

    first: str
    middle: str  # one letter
    last: str
    is_male: bool
    username: str
    email: str

    def forms(self) -> dict[str, tuple[str, ...]]:
        """Return the forms of a person in templates: alternatives by name."""
        first, last = self.first, self.last
        full = f"{first} {last}"
        return {
            "full": (full, full, f"{first} {self.middle}. {last}"),
            "filed": (
                *(f"{last}, {first}", f"{last.upper()}, {first.upper()}"),
                *(f"{last}, {first} {self.middle}", f"{last.upper()},{first.upper()}"),
            ),
            "header": (full, full.upper(), f"{last.upper()}, {first.upper()}", f"{last}, {first}"),
            "first": (first,),
            "last": (last,),
            "initials": (first[0] + _initial(last), first[0] + self.middle + _initial(last)),
            "short": (f"{first[0]}. {last}", f"{first[0]}.{self.middle}. {last}"),
            "username": (self.username,),
            "email": (self.email,),
        }


def draw_person(rng: Random, faker: Faker, *, is_male: bool | None = None) -> Person:
    """Draw a person; about a third of them have a name that is also a word."""
    is_male = rng.random() < 0.5 if is_male is None else is_male
    sex = "male" if is_male else "female"
    given = faker.first_name_male() if is_male else faker.first_name_female()
    first = rng.choice(load_word_list(f"word_names_{sex}")) if rng.random() < 0.15 else given
    chance, family = rng.random(), faker.last_name()
    if chance < 0.25:
        family = rng.choice(load_word_list("word_surnames"))
    elif chance < 0.4:
        family = rng.choice(load_word_list("surnames"))
    name, surname = ascii_letters(first), ascii_letters(family)
    return Person(
        first=first,
        middle=rng.choice("ABCDEFGHJKLMNPRSTW"),
        last=family,
        is_male=is_male,
        username=f"{name[0]}{rng.choice('abcdefghjklmnprstw')}{surname[0]}{rng.randint(1, 999)}",
        email=f"{rng.choice((f'{name}.{surname}', f'{name[0]}{surname}'))}"
        f"{rng.choice(('', '', str(rng.randint(2, 89))))}"
        f"@{rng.choice(('example.org', 'example.com', 'mail.example', 'clinic.example'))}",
    )


def ascii_letters(name: str) -> str:
    """Return the letters of a name as in an e-mail address.

    >>> ascii_letters("Åström-O'Hara")
    'astromohara'
    """
    decomposed = unicodedata.normalize("NFKD", name.replace("ø", "o").replace("ı", "i"))
    return "".join(letter for letter in decomposed.lower() if "a" <= letter <= "z")


def _initial(last: str) -> str:
    return next(letter for letter in last if letter.isupper())


_AREAS = [area for area in range(201, 990) if area % 100 != 11]  # 911 is no area
_STREET_ENDINGS = ("Street", "St", "St.", "Avenue", "Ave", "Road", "Rd.", "Lane", "Drive", "Court")


def draw_town(rng: Random, faker: Faker) -> str:
    """Draw a town."""
    return faker.city() if rng.random() < 0.5 else rng.choice(load_word_list("towns"))


def draw_hospital(rng: Random, town: str) -> tuple[str, str]:
    """Draw a hospital: its name and the short form that its staff use."""
    word = rng.choice(load_word_list("hospital_words"))
    saint = f"St. {rng.choice(load_word_list('saints'))}"
    ending = rng.choice(("Hospital", "Medical Center", "Clinic"))
    return rng.choice(
        (
            (f"{saint} {ending}", saint),
            (f"{town} General Hospital", f"{town} General"),
            (f"{town} General", _initials(f"{town} General Hospital")),
            (f"{word} Memorial {ending}", f"{word} Memorial"),
            (f"{word} Regional Medical Center", _initials(f"{word} Regional Medical Center")),
            (f"{town} Community Hospital", f"{town} Community"),
        )
    )


def draw_street(rng: Random, *, is_home: bool) -> str:
    """Draw a street address; a home may have an apartment."""
    name = f"{rng.choice(load_word_list('streets'))} {rng.choice(_STREET_ENDINGS)}"
    home = ("", "", "", f", Apt. {rng.randint(1, 40)}", f" #{rng.randint(1, 9)}{rng.choice('ABC')}")
    return f"{rng.randint(1, 2400)} {name}{rng.choice(home) if is_home else ''}"


def draw_phones(rng: Random) -> tuple[str, ...]:
    """Draw a fictional phone number (555-01xx) in the formats that people use."""
    area, end = rng.choice(_AREAS), f"01{rng.randint(0, 99):02}"
    return (
        *(f"({area}) 555-{end}", f"{area}-555-{end}", f"{area}.555.{end}", f"555-{end}"),
        *(f"+1 {area} 555 {end}", f"1-{area}-555-{end}", f"({area})555-{end}"),
    )


def draw_record_numbers(rng: Random) -> tuple[str, ...]:
    """Draw a medical record number; a hospital uses one or two formats."""
    digits = "".join(rng.choices("0123456789", k=8))
    formats = (
        (digits, f"#{digits}"),
        (digits[:7], digits[:7]),
        (f"{digits[:3]}-{digits[3:5]}-{digits[5:7]}", f"{digits[:3]}{digits[3:5]}{digits[5:7]}"),
        (f"{rng.choice('EMH')}{digits[:6]}", f"{digits[:6]}"),
        (f"{digits[:2]} {digits[2:4]} {digits[4:6]}", f"{digits[:6]}"),
    )
    return tuple(pattern.removeprefix("#") for pattern in rng.choice(formats))


def draw_number(rng: Random) -> str:
    """Draw another identifier: an accession, a job or a policy number."""
    digits = "".join(rng.choices("0123456789", k=7))
    first, second = rng.choices("ABCDFGHKLMNPRSTVWX", k=2)
    return rng.choice(
        (
            *(f"{first}{second}{digits[:3]}/{digits[3:]}", f"{first}{digits[:2]}-{digits[2:]}"),
            *(f"{digits[:2]}-{first}{second}{digits[2:]}", digits, f"{first}{second}-{digits}"),
        )
    )


def _initials(name: str) -> str:
    return "".join(word[0] for word in name.split())


# `strftime` would write the names in the language of the machine.
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
DATE_STYLES = {
    "numeric": _NUMERIC,
    "letter": _LETTER,
    "dated": _DATED,
    "day": _DAY,
    "month": _MONTH,
    "weekday": ("{weekday}",),
    "year": ("{y}",),
}


def write_date(day: date, style: str, rng: Random) -> str:
    """Write a date in one of the formats of a style."""
    return format_date(day, rng.choice(DATE_STYLES[style]))


def format_date(day: date, pattern: str) -> str:
    """Write a date in one format.

    >>> from datetime import date
    >>> format_date(date(2018, 3, 3), "the {d}{th} of {month}, {y}")
    'the 3rd of March, 2018'
    """
    month = _MONTHS[day.month - 1]
    return pattern.format(
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

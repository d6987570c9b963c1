"""Synthetic cases: a patient, relatives, staff, illness and dates that agree with each other.

Every document is about one `Case`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, TypeAlias

from annoseq.sample.entities import (
    DATE_STYLES,
    draw_hospital,
    draw_number,
    draw_person,
    draw_phones,
    draw_record_numbers,
    draw_street,
    draw_town,
    format_date,
    load_word_list,
    write_date,
)

if TYPE_CHECKING:
    from random import Random

    from faker import Faker

SlotValues: TypeAlias = dict[str, tuple[str, ...]]

_FIRST_DAY = date(1997, 1, 6)
_DAYS = 9800  # the last admissions are in 2023
_MALE = {"he": "he", "him": "him", "his": "his", "mr": "Mr.", "sex": "male", "M": "M"}
_FEMALE = {"he": "she", "him": "her", "his": "her", "mr": "Ms.", "sex": "female", "M": "F"}
_MALE_NOUNS = ("boy", "man", "gentleman")
_FEMALE_NOUNS = ("girl", "woman", "lady")
_RELATIVES = (  # greatest age of the patient, women, men
    (17, ("mother", "grandmother", "aunt"), ("father", "grandfather", "uncle")),
    (44, ("mother", "sister", "cousin"), ("father", "brother", "cousin")),
    (101, ("daughter", "sister", "niece"), ("son", "brother", "nephew")),
)
_STAFF = ("doctor", "gp", "surgeon", "resident", "nurse", "consultant")


@dataclass(frozen=True, slots=True)
class Case:
    """Values of templates about one patient; of a value with several forms, one is drawn."""

    rng: Random
    age: int  # whole years
    is_male: bool
    values: SlotValues
    dates: dict[str, date]
    header_format: str  # of the dates in headers, the same throughout a document

    def value(self, name: str, limits: str) -> str:
        """Return a slot's value.

        Raises:
            KeyError: there is no such value.
        """
        if name in ("num", "dec"):
            return _number(limits, self.rng)
        if name == "number":
            return draw_number(self.rng)
        day, _, style = name.partition(".")
        if style == "numeric":
            return format_date(self.dates[day], self.header_format)
        if day in self.dates:
            return write_date(self.dates[day], style, self.rng)
        return self.rng.choice(self.values[name])

    def meets(self, condition: str) -> bool:
        """Return True if the condition of a template is met; an empty one always is."""
        conditions = {
            "": True,
            "man": self.is_male,
            "woman": not self.is_male,
            "working": 20 <= self.age <= 64,
            "toddler": self.age < 3,
            "retired": self.age >= 66,
        }
        return conditions[condition]


def draw_case(
    rng: Random, faker: Faker, *, ages: tuple[int, int], is_planned: bool = False
) -> Case:
    """Draw a case with a patient of an age between two limits.

    `is_planned` excludes emergencies, which nobody refers by letter.
    """
    low, high = ages
    age = rng.randint(low, high)
    if low >= 18 and rng.random() < 0.7:  # few adults in hospital are twenty, or a hundred
        age = (age + rng.randint(low, high)) // 2
    elif high < 18:  # but many children are small
        age = min(age, rng.randint(low, high))
    is_male = rng.random() < 0.5
    dates = _draw_dates(rng, age)
    values = (
        _patient_values(rng, faker, age, is_male)
        | _staff_values(rng, faker)
        | _place_values(rng, faker)
        | _illness_values(rng, age, is_planned)
        | _time_values(dates, age)
    )
    return Case(rng, age, is_male, values, dates, rng.choice(DATE_STYLES["numeric"]))


def _draw_dates(rng: Random, age: int) -> dict[str, date]:
    admit = _FIRST_DAY + timedelta(days=rng.randint(0, _DAYS))
    alive = int(age * 365.25) + rng.randint(40, 355)
    longest = alive - 16 * 365 if age >= 18 else alive - 5
    days = {
        "birth": -alive,
        "prior": -rng.randint(min(35, longest), min(4000, longest)),
        "onset": -rng.randint(2, 6),
        "referral": -rng.randint(7, 25),
        "admit": 0,
    }
    days["surgery"] = rng.randint(0, 2)
    days["today"] = days["surgery"] + rng.randint(1, 4)
    days["discharge"] = days["today"] + rng.randint(1, 3)
    days["typed"] = days["discharge"] + rng.randint(1, 2)
    days["followup"] = days["discharge"] + rng.randint(7, 40)
    dates = {name: admit + timedelta(days=count) for name, count in days.items()}
    while dates["followup"].weekday() > 4:  # clinics are closed at weekends
        dates["followup"] += timedelta(days=1)
    return dates


def _time_values(dates: dict[str, date], age: int) -> SlotValues:
    months = (dates["admit"] - dates["birth"]).days * 12 // 365
    count, unit = (age, "year") if age > 1 else (max(months, 1), "month")
    return {
        "age": (str(count),),
        "years": (str(age),),
        "unit": (unit,),
        "units": (unit if count == 1 else f"{unit}s",),
        "yo": (f"{unit[0]}o",),
        "y_o": (f"{unit[0]}.o.", f"{unit[0]}/o"),
        "pod": (str((dates["today"] - dates["surgery"]).days),),
        "hospital_day": (str((dates["today"] - dates["admit"]).days + 1),),
        "holiday": ("Christmas", "Thanksgiving", "Labor Day", "Easter"),
    }


def _patient_values(rng: Random, faker: Faker, age: int, is_male: bool) -> SlotValues:
    patient = draw_person(rng, faker, is_male=is_male)
    kinship, relative_is_male = _draw_relative(rng, age, is_male)
    relative = draw_person(rng, faker, is_male=relative_is_male)
    words = _MALE if is_male else _FEMALE
    values: SlotValues = {name: (word,) for name, word in words.items()}
    values |= {"He": (words["he"].capitalize(),), "His": (words["his"].capitalize(),)}
    nouns = _MALE_NOUNS if is_male else _FEMALE_NOUNS
    if not is_male and age > 30:
        values["mr"] = (rng.choice(("Ms.", "Mrs.")),)
    values |= {f"patient.{form}": forms for form, forms in patient.forms().items()}
    values |= {f"relative.{form}": forms for form, forms in relative.forms().items()}
    return values | {
        "man": nouns[:1] if age < 18 else nouns[1:],
        "relative": (kinship,),
        "Relative": (kinship.capitalize(),),
        "sibling_age": tuple(str(years) for years in range(2, 16)),
        "profession": (rng.choice(load_word_list("professions")),),
        "kin_profession": load_word_list("professions"),
        "kin_age": tuple(str(years) for years in range(41, 97)),
        "phone": draw_phones(rng),
        "relative_phone": draw_phones(rng),
        "mrn": draw_record_numbers(rng),
        "policy": (draw_number(rng),),
    }


def _draw_relative(rng: Random, age: int, patient_is_male: bool) -> tuple[str, bool]:
    if age >= 28 and rng.random() < 0.35:
        return ("wife", False) if patient_is_male else ("husband", True)
    women, men = next((women, men) for limit, women, men in _RELATIVES if age <= limit)
    is_male = rng.random() < 0.4
    return rng.choice(men if is_male else women), is_male


def _staff_values(rng: Random, faker: Faker) -> SlotValues:
    values: SlotValues = {}
    for role in _STAFF:
        person = draw_person(rng, faker)
        values |= {f"{role}.{form}": forms for form, forms in person.forms().items()}
    return values


def _place_values(rng: Random, faker: Faker) -> SlotValues:
    town, other = draw_town(rng, faker), draw_town(rng, faker)
    name, short = draw_hospital(rng, town)
    elsewhere, _ = draw_hospital(rng, other)
    state = rng.choice((faker.state(), faker.state_abbr(include_territories=False)))
    return {
        "hospital": (name,),
        "hospital.short": (short, name),
        "other_hospital": (elsewhere,),
        "town": (town,),
        "other_town": (other,),
        "state": (state,),
        "zip": (f"{rng.randint(10000, 99899)}",),
        "street": (draw_street(rng, is_home=True),),
        "hospital_street": (draw_street(rng, is_home=False),),
        "country": load_word_list("countries"),
        "company": (faker.company(),),
        "clinic_phone": draw_phones(rng),
        "fax": draw_phones(rng),
        "pager": tuple(str(rng.randint(10000, 39999)) for _ in range(3)),
        "url": (f"www.{rng.choice(load_word_list('hospital_words')).lower()}.example",),
    }


def _illness_values(rng: Random, age: int, is_planned: bool) -> SlotValues:
    group = "child" if age < 18 else "adult"
    names = ("diagnosis", "procedure", "complaint", "specialty", "test")
    conditions = (line.split("; ") for line in load_word_list(f"conditions_{group}"))
    fitting = [
        fields
        for ages, urgency, *fields in conditions
        if _is_within(age, ages) and (urgency == "planned" or not is_planned)
    ]
    condition = rng.choice(fitting)
    values: SlotValues = {name: (value,) for name, value in zip(names, condition, strict=True)}
    values |= {
        name.capitalize(): (values[name][0][0].upper() + values[name][0][1:],)
        for name in ("diagnosis", "procedure", "complaint", "test")
    }
    return values | {"medicine": load_word_list(f"medicines_{group}")}


def _is_within(age: int, limits: str) -> bool:
    low, high = limits.split("-")
    return int(low) <= age <= int(high)


def _number(limits: str, rng: Random) -> str:
    low, high = limits.split("-")
    places = len(low.partition(".")[2])
    scale = 10**places
    value = rng.randint(round(float(low) * scale), round(float(high) * scale))
    return f"{value / scale:.{places}f}"

"""One patient, the people around the patient, and what happened when.

Every document is about one `Case`, so that names, sexes, ages and dates agree within it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, TypeAlias

from annoseq.sample.entities import (
    STYLES,
    draw_hospital,
    draw_number,
    draw_person,
    draw_phones,
    draw_record_numbers,
    draw_street,
    draw_town,
    load_list,
    shape_date,
    write_date,
)

if TYPE_CHECKING:
    from random import Random

    from faker import Faker

Facts: TypeAlias = dict[str, tuple[str, ...]]

_FIRST_DAY = date(1997, 1, 6)
_DAYS = 9800  # the last admissions are in 2023
_MALE = {"he": "he", "him": "him", "his": "his", "mr": "Mr.", "sex": "male", "M": "M"}
_FEMALE = {"he": "she", "him": "her", "his": "her", "mr": "Ms.", "sex": "female", "M": "F"}
_BOYS_AND_MEN = ("boy", "man", "gentleman")
_GIRLS_AND_WOMEN = ("girl", "woman", "lady")
_KIN = (  # up to which age of the patient, women, men
    (17, ("mother", "grandmother", "aunt"), ("father", "grandfather", "uncle")),
    (44, ("mother", "sister", "cousin"), ("father", "brother", "cousin")),
    (101, ("daughter", "sister", "niece"), ("son", "brother", "nephew")),
)
_STAFF = ("doctor", "gp", "surgeon", "resident", "nurse", "consultant")


@dataclass(frozen=True, slots=True)
class Case:
    """Answers what templates ask; a fact with several forms gives one of them at a time."""

    rng: Random
    age: int  # whole years
    is_male: bool
    facts: Facts
    dates: dict[str, date]
    header_shape: str  # of the dates in its headers, which one program prints

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
            return shape_date(self.dates[day], self.header_shape)
        if day in self.dates:
            return write_date(self.dates[day], style, self.rng)
        return self.rng.choice(self.facts[name])

    def holds(self, condition: str) -> bool:
        """Tell whether the condition before a template is met; none is always met."""
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
    """Invent a case with a patient of an age between two limits.

    `is_planned` leaves out emergencies, which nobody refers by letter.
    """
    low, high = ages
    age = rng.randint(low, high)
    if low >= 18 and rng.random() < 0.7:  # few grown-ups in hospital are twenty, or a hundred
        age = (age + rng.randint(low, high)) // 2
    elif high < 18:  # but many children are small
        age = min(age, rng.randint(low, high))
    is_male = rng.random() < 0.5
    dates = _draw_dates(rng, age)
    facts = (
        _about_patient(rng, faker, age, is_male)
        | _about_staff(rng, faker)
        | _about_places(rng, faker)
        | _about_illness(rng, age, is_planned)
        | _about_times(dates, age)
    )
    return Case(rng, age, is_male, facts, dates, rng.choice(STYLES["numeric"]))


def _draw_dates(rng: Random, age: int) -> dict[str, date]:
    admit = _FIRST_DAY + timedelta(days=rng.randint(0, _DAYS))
    alive = int(age * 365.25) + rng.randint(40, 355)
    most = alive - 16 * 365 if age >= 18 else alive - 5
    days = {
        "birth": -alive,
        "prior": -rng.randint(min(35, most), min(4000, most)),
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


def _about_times(dates: dict[str, date], age: int) -> Facts:
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


def _about_patient(rng: Random, faker: Faker, age: int, is_male: bool) -> Facts:
    patient = draw_person(rng, faker, is_male=is_male)
    kin, kin_is_male = _draw_kin(rng, age, is_male)
    relative = draw_person(rng, faker, is_male=kin_is_male)
    words = _MALE if is_male else _FEMALE
    facts: Facts = {name: (word,) for name, word in words.items()}
    facts |= {"He": (words["he"].capitalize(),), "His": (words["his"].capitalize(),)}
    nouns = _BOYS_AND_MEN if is_male else _GIRLS_AND_WOMEN
    if not is_male and age > 30:
        facts["mr"] = (rng.choice(("Ms.", "Mrs.")),)
    facts |= {f"patient.{form}": values for form, values in patient.forms().items()}
    facts |= {f"relative.{form}": values for form, values in relative.forms().items()}
    return facts | {
        "man": nouns[:1] if age < 18 else nouns[1:],
        "relative": (kin,),
        "Relative": (kin.capitalize(),),
        "sibling_age": tuple(str(years) for years in range(2, 16)),
        "profession": (rng.choice(load_list("professions")),),
        "kin_profession": load_list("professions"),
        "kin_age": tuple(str(years) for years in range(41, 97)),
        "phone": draw_phones(rng),
        "relative_phone": draw_phones(rng),
        "mrn": draw_record_numbers(rng),
        "policy": (draw_number(rng),),
    }


def _draw_kin(rng: Random, age: int, patient_is_male: bool) -> tuple[str, bool]:
    if age >= 28 and rng.random() < 0.35:
        return ("wife", False) if patient_is_male else ("husband", True)
    women, men = next((women, men) for limit, women, men in _KIN if age <= limit)
    is_male = rng.random() < 0.4
    return rng.choice(men if is_male else women), is_male


def _about_staff(rng: Random, faker: Faker) -> Facts:
    facts: Facts = {}
    for role in _STAFF:
        person = draw_person(rng, faker)
        facts |= {f"{role}.{form}": values for form, values in person.forms().items()}
    return facts


def _about_places(rng: Random, faker: Faker) -> Facts:
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
        "country": load_list("countries"),
        "company": (faker.company(),),
        "clinic_phone": draw_phones(rng),
        "fax": draw_phones(rng),
        "pager": tuple(str(rng.randint(10000, 39999)) for _ in range(3)),
        "url": (f"www.{rng.choice(load_list('hospital_words')).lower()}.example",),
    }


def _about_illness(rng: Random, age: int, is_planned: bool) -> Facts:
    group = "child" if age < 18 else "adult"
    names = ("diagnosis", "procedure", "complaint", "specialty", "test")
    conditions = (line.split("; ") for line in load_list(f"conditions_{group}"))
    fitting = [
        values
        for ages, urgency, *values in conditions
        if _is_within(age, ages) and (urgency == "planned" or not is_planned)
    ]
    condition = rng.choice(fitting)
    facts: Facts = {name: (value,) for name, value in zip(names, condition, strict=True)}
    facts |= {
        name.capitalize(): (facts[name][0][0].upper() + facts[name][0][1:],)
        for name in ("diagnosis", "procedure", "complaint", "test")
    }
    return facts | {"medicine": load_list(f"medicines_{group}")}


def _is_within(age: int, limits: str) -> bool:
    low, high = limits.split("-")
    return int(low) <= age <= int(high)


def _number(limits: str, rng: Random) -> str:
    low, high = limits.split("-")
    places = len(low.partition(".")[2])
    scale = 10**places
    value = rng.randint(round(float(low) * scale), round(float(high) * scale))
    return f"{value / scale:.{places}f}"

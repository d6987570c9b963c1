"""Invented places, telephone numbers and identifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.pairs.sample.wordlists import load_list

if TYPE_CHECKING:
    from random import Random

    from faker import Faker

_AREAS = [area for area in range(201, 990) if area % 100 != 11]  # 911 is no area
_STREET_ENDINGS = ("Street", "St", "St.", "Avenue", "Ave", "Road", "Rd.", "Lane", "Drive", "Court")


def draw_town(rng: Random, faker: Faker) -> str:
    """Invent a town."""
    return faker.city() if rng.random() < 0.5 else rng.choice(load_list("towns"))


def draw_hospital(rng: Random, town: str) -> tuple[str, str]:
    """Invent a hospital: its name and the short form that its staff use."""
    word = rng.choice(load_list("hospital_words"))
    saint = f"St. {rng.choice(load_list('saints'))}"
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
    """Invent a street address; a home may have an apartment."""
    name = f"{rng.choice(load_list('streets'))} {rng.choice(_STREET_ENDINGS)}"
    home = ("", "", "", f", Apt. {rng.randint(1, 40)}", f" #{rng.randint(1, 9)}{rng.choice('ABC')}")
    return f"{rng.randint(1, 2400)} {name}{rng.choice(home) if is_home else ''}"


def draw_phones(rng: Random) -> tuple[str, ...]:
    """Write one fictional number (555-01xx) in the shapes that people use."""
    area, end = rng.choice(_AREAS), f"01{rng.randint(0, 99):02}"
    return (
        *(f"({area}) 555-{end}", f"{area}-555-{end}", f"{area}.555.{end}", f"555-{end}"),
        *(f"+1 {area} 555 {end}", f"1-{area}-555-{end}", f"({area})555-{end}"),
    )


def draw_record_numbers(rng: Random) -> tuple[str, ...]:
    """Write one medical record number; a hospital keeps to a shape or two."""
    digits = "".join(rng.choices("0123456789", k=8))
    shapes = (
        (digits, f"#{digits}"),
        (digits[:7], digits[:7]),
        (f"{digits[:3]}-{digits[3:5]}-{digits[5:7]}", f"{digits[:3]}{digits[3:5]}{digits[5:7]}"),
        (f"{rng.choice('EMH')}{digits[:6]}", f"{digits[:6]}"),
        (f"{digits[:2]} {digits[2:4]} {digits[4:6]}", f"{digits[:6]}"),
    )
    return tuple(shape.removeprefix("#") for shape in rng.choice(shapes))


def draw_number(rng: Random) -> str:
    """Write some other identifier: an accession, a job or a policy number."""
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

"""Invented people, and the forms that a name takes in notes."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from annoseq.pairs.sample.wordlists import load_list

if TYPE_CHECKING:
    from random import Random

    from faker import Faker


@dataclass(frozen=True, slots=True)
class Person:
    """Someone in a note."""

    first: str
    middle: str  # one letter
    last: str
    is_male: bool
    username: str
    email: str

    def forms(self) -> dict[str, tuple[str, ...]]:
        """Return what templates can ask of a person: alternatives by name."""
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
    """Invent a person; about a third of them have a name that is also a word."""
    is_male = rng.random() < 0.5 if is_male is None else is_male
    sex = "male" if is_male else "female"
    given = faker.first_name_male() if is_male else faker.first_name_female()
    first = rng.choice(load_list(f"word_names_{sex}")) if rng.random() < 0.15 else given
    chance, family = rng.random(), faker.last_name()
    if chance < 0.25:
        family = rng.choice(load_list("word_surnames"))
    elif chance < 0.4:
        family = rng.choice(load_list("surnames"))
    name, surname = plain_letters(first), plain_letters(family)
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


def plain_letters(name: str) -> str:
    """Write a name as an e-mail address would.

    >>> plain_letters("Åström-O'Hara")
    'astromohara'
    """
    decomposed = unicodedata.normalize("NFKD", name.replace("ø", "o").replace("ı", "i"))
    return "".join(letter for letter in decomposed.lower() if "a" <= letter <= "z")


def _initial(last: str) -> str:
    return next(letter for letter in last if letter.isupper())

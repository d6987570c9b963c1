"""First names of women and men, and names that hint at another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from faker import Faker

from annoseq.deid.unicode_words import first_letter, fold, without_accents

if TYPE_CHECKING:
    from collections.abc import Mapping

Gender: TypeAlias = Literal["male", "female"]

_OF_OTHER: Mapping[Gender, frozenset[str]] = {
    "male": frozenset({"maría"}),
    "female": frozenset({"josé"}),
}
"""Names that Faker lists for a gender only as parts of names such as José María."""
_ABBREVIATED: Mapping[Gender, frozenset[str]] = {
    "male": frozenset({"fco"}),
    "female": frozenset({"mª"}),
}
"""Abbreviations of first names: Francisco, María."""


def first_names(faker: Faker, gender: Gender) -> frozenset[str]:
    """Return the first names of a locale, and English ones, in lower case.

    Those of the locale are known without accents, too, which many writers leave out: `rocio`.
    """
    names = _listed_names(faker, gender) - _OF_OTHER[gender] | _ABBREVIATED[gender]
    return names | set(map(without_accents, names)) | _listed_names(Faker("en_US"), gender)


def _listed_names(faker: Faker, gender: Gender) -> frozenset[str]:
    for provider in faker.get_providers():
        if names := getattr(provider, f"first_names_{gender}", None):
            return frozenset(map(fold, names))
    return frozenset()


def is_of_other(gender: Gender, name: str) -> bool:
    """Return True if Faker draws a name for a gender, and it is by itself one of the other."""
    return fold(name) in _OF_OTHER[gender]


def hints_at(name: str, word: str) -> bool:
    """Return True if a name begins with the letter of another word, or is a part of it.

    >>> hints_at("Berto", "Alberto"), hints_at("Hugo", "Alberto")
    (True, False)
    """
    is_part = without_accents(name) in without_accents(word)
    return is_part or first_letter(name) == first_letter(word)

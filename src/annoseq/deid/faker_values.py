"""Surrogate values drawn by Faker: seeded draws in a locale, and names of people."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from faker import Faker
from faker.config import AVAILABLE_LOCALES

from annoseq.deid.word_lists import word_lists
from annoseq.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

WORD = re.compile(r"(?:[^\W\d_][\u0300-\u036f]*)+")
_MAX_INITIALS = 3
"""Capitals without a vowel after the first are initials up to this number: JD, ASB."""
_WHOLE_NAMES = {"Ciudad": "Ciudad Real"}
"""Names of which Faker has only a part."""


class LocaleFaker:
    """Faker in one locale, such as `en_US`.

    Raises:
        OptionError: Faker has no such locale.
    """

    def __init__(self, locale: str) -> None:
        if locale not in AVAILABLE_LOCALES:
            raise OptionError(
                f"--locale {locale}: there are no names of this locale. Use one that Faker has, "
                "such as en_US, en_GB, es_ES, fr_FR or de_DE."
            )
        self.locale = locale
        self.language = locale[:2]
        self._faker = Faker(locale)

    def seeded(self, rng: Random) -> SeededFaker:
        """Seed Faker for one value; draws for an earlier value must be over."""
        self._faker.seed_instance(rng.getrandbits(64))
        return SeededFaker(self._faker, rng)

    @cached_property
    def male_names(self) -> frozenset[str]:
        """First names of men in lower case: those of the locale, and English ones."""
        return self._first_names("first_names_male")

    @cached_property
    def female_names(self) -> frozenset[str]:
        """First names of women in lower case: those of the locale, and English ones."""
        return self._first_names("first_names_female")

    def _first_names(self, attribute: str) -> frozenset[str]:
        return _provider_names(self._faker, attribute) | _provider_names(Faker("en_US"), attribute)


def _provider_names(faker: Faker, attribute: str) -> frozenset[str]:
    for provider in faker.get_providers():
        if names := getattr(provider, attribute, None):
            return frozenset(name.casefold() for name in names)
    return frozenset()


@dataclass(frozen=True, slots=True)
class SeededFaker:
    """Faker and a random generator, both seeded for one value."""

    faker: Faker
    rng: Random

    def fake(self, *providers: str) -> str:
        """Return a value of the first provider that the locale has, or else a surname."""
        for name in providers:
            if provider := getattr(self.faker, name, None):
                value = str(provider())
                return _WHOLE_NAMES.get(value, value)
        return str(self.faker.last_name())


def match_case(original: str, surrogate: str) -> str:
    """Write a surrogate in capitals or in lower case if the original is.

    >>> match_case("AMES", "Stone")
    'STONE'
    """
    if original.isupper() and sum(map(str.isalpha, original)) > 1:
        return surrogate.upper()
    return surrogate.lower() if original.islower() else surrogate


def fake_name(value: str, surrogate: Callable[[str], str]) -> str | None:
    """Replace every word of a name but titles and particles, and keep what is between words.

    `surrogate` returns the surrogate of a word. None if there is no word to replace, or a digit.
    """
    words = WORD.findall(value)
    if all(map(is_title_or_particle, words)) or any(map(str.isdigit, value)):
        return None

    def replace(match: re.Match[str]) -> str:
        return match[0] if is_title_or_particle(match[0]) else surrogate(match[0])

    return WORD.sub(replace, value)


def is_title_or_particle(word: str) -> bool:
    """Return True if a word of a name identifies nobody; a capital by itself is an initial."""
    is_initial = len(word) == 1 and word.isupper()
    return not is_initial and _is_listed(word)


def _is_listed(word: str) -> bool:
    lists = word_lists()
    return word.casefold() in lists.titles or word.casefold() in lists.particles


def is_initials(word: str) -> bool:
    """Return True if a word is an initial, or a few.

    >>> is_initials("J"), is_initials("JDB"), is_initials("ANA"), is_initials("Jo")
    (True, True, False, False)
    """
    return len(word) == 1 or (
        word.isupper() and len(word) <= _MAX_INITIALS and not re.search("[AEIOUY]", word[1:])
    )


def fake_initials(word: str, faker: SeededFaker, known: Mapping[str, str]) -> str:
    """Draw other initials.

    `known` maps the first letters of a document's names to those of their surrogates, so that an
    initial agrees with its name.
    """
    initials = "".join(
        known.get(letter.upper()) or _other_initial(letter, faker) for letter in word
    )
    return initials if word.isupper() else initials.lower()


def fake_name_word(word: str, faker: SeededFaker, locale: LocaleFaker) -> str:
    """Draw a first name of the same gender, or a surname for a word that is no known first name."""
    is_male = word.casefold() in locale.male_names
    is_female = word.casefold() in locale.female_names
    if is_male and is_female:
        is_male = faker.rng.random() < 0.5
    if is_male or is_female:
        name = faker.fake("first_name_male" if is_male else "first_name_female", "first_name")
    else:
        name = faker.fake("last_name")
    return match_case(word, _single_word(name))


def _single_word(name: str) -> str:
    """Return the first word of a name that is no particle."""
    return next((word for word in WORD.findall(name) if not _is_listed(word)), name)


def _other_initial(letter: str, faker: SeededFaker) -> str:
    return faker.rng.choice([other for other in "ABCDEFGHJKLMNPRSTW" if other != letter.upper()])

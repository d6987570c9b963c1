"""What surrogates are made with: Faker in one locale, and the draws for one value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from faker import Faker
from faker.config import AVAILABLE_LOCALES

from annoseq.errors import OptionError

if TYPE_CHECKING:
    from random import Random


class Inventor:
    """Invents in one locale, such as `en_US`.

    Raises:
        OptionError: Faker knows no such locale.
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

    def draw(self, random: Random) -> Invention:
        """Begin the draws for one value."""
        self._faker.seed_instance(random.getrandbits(64))
        return Invention(self._faker, random)

    @cached_property
    def male(self) -> frozenset[str]:
        """First names of men, in lower case."""
        return _names(self._faker, "first_names_male") | _names(Faker("en_US"), "first_names_male")

    @cached_property
    def female(self) -> frozenset[str]:
        """First names of women, in lower case."""
        other = Faker("en_US")
        return _names(self._faker, "first_names_female") | _names(other, "first_names_female")


def _names(faker: Faker, collection: str) -> frozenset[str]:
    for provider in faker.get_providers():
        if names := getattr(provider, collection, None):
            return frozenset(name.casefold() for name in names)
    return frozenset()


_WHOLE = {"Ciudad": "Ciudad Real"}
"""Names of which Faker has a part only."""


@dataclass(frozen=True, slots=True)
class Invention:
    """The draws for one value. Not every locale has all of Faker's words: then others stand in."""

    faker: Faker
    random: Random

    def say(self, *providers: str) -> str:
        """Return a word of the first of Faker's providers that the locale has."""
        for name in providers:
            if method := getattr(self.faker, name, None):
                return _WHOLE.get(said := str(method()), said)
        return str(self.faker.last_name())


def like(value: str, invented: str) -> str:
    """Write what was invented in capitals or small letters, if the value is.

    >>> like("AMES", "Stone")
    'STONE'
    """
    if value.isupper() and sum(map(str.isalpha, value)) > 1:
        return invented.upper()
    return invented.lower() if value.islower() else invented

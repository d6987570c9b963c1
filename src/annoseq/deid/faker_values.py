"""Surrogate values drawn by Faker: the seeded draws, and people's names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from faker import Faker
from faker.config import AVAILABLE_LOCALES

from annoseq.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
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


WORD = re.compile(r"(?:[^\W\d_][\u0300-\u036f]*)+")
_KEPT = re.compile(
    r"""(?ix) dr | dra | doctora? | profesora? | professor | señor | señora | señorita | mr | mrs
    | ms | miss | mx | prof | sr | sra | srta | don | doña | dña | md | phd | rn
    | jr | al | and | bin | d[aeiou] | d[aeo]s | de[lnr] | el | e | i | i[iv] | iii
    | ibn | l[ae] | l[ao]s | ten | ter | van | von | y | u"""
)
"""Titles and particles."""
_INITIALS = 3
"""At most as many capitals without a vowel between them are taken for initials: JD, ASB."""


def invent_name(value: str, surrogate: Callable[[str], str]) -> str | None:
    """Replace every word of a name but titles and particles, and keep what is between them.

    `surrogate` gives that of one word. None where no word is left to replace.
    """
    names = [word[0] for word in WORD.finditer(value) if not is_kept(word[0])]
    if not names or any(map(str.isdigit, value)):
        return None
    return WORD.sub(lambda word: word[0] if is_kept(word[0]) else surrogate(word[0]), value)


def is_kept(word: str) -> bool:
    """Tell whether a word of a name says nothing of who it is."""
    is_initial = len(word) == 1 and word.isupper()
    return not is_initial and _KEPT.fullmatch(word) is not None


def is_initials(word: str) -> bool:
    """Tell whether a word is an initial, or a few.

    >>> is_initials("J"), is_initials("JDB"), is_initials("ANA"), is_initials("Jo")
    (True, True, False, False)
    """
    return len(word) == 1 or (
        word.isupper() and len(word) <= _INITIALS and not re.search("[AEIOUY]", word[1:])
    )


def invent_word(
    word: str,
    invention: Invention,
    inventor: Inventor,
    *,
    initials: Collection[tuple[str, str]] = (),
) -> str:
    """Draw a first name of the same gender, a surname, or initials.

    What is no known first name is a surname. `initials` pairs the first letters of the document's
    names with those of their surrogates, so that an initial goes with its name.
    """
    if is_initials(word):
        known = dict(initials)
        drawn = "".join(
            known.get(letter.upper()) or _other_letter(letter, invention) for letter in word
        )
        return drawn if word.isupper() else drawn.lower()
    folded = word.casefold()
    is_male, is_female = folded in inventor.male, folded in inventor.female
    if is_male or is_female:
        is_male = invention.random.random() < 0.5 if is_male and is_female else is_male
        drawn = invention.say("first_name_male" if is_male else "first_name_female", "first_name")
    else:
        drawn = invention.say("last_name")
    return like(word, _single(drawn))


def _single(name: str) -> str:
    """Return one word of a name: the first that is not a particle."""
    words = [word[0] for word in WORD.finditer(name)]
    return next((word for word in words if not _KEPT.fullmatch(word)), name)


def _other_letter(letter: str, invention: Invention) -> str:
    return invention.random.choice([one for one in "ABCDEFGHJKLMNPRSTW" if one != letter.upper()])

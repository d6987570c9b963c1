"""Surrogate values by Faker in a locale: names, places, organizations, identifiers, addresses."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import normalize

from faker import Faker
from faker.config import AVAILABLE_LOCALES

from annoseq.deid.first_names import first_names, is_of_other
from annoseq.deid.unicode_words import LETTER, WORD, first_letter, fold
from annoseq.deid.word_lists import alternation, word_lists
from annoseq.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    import regex

    from annoseq.deid.first_names import Gender


NAME_LETTERS = "ABCDEFGHJKLMNPRSTW"
"""First letters that many names have."""
_MAX_INITIALS = 3
"""Capitals without a vowel after the first are initials up to this number: JD, ASB."""
_LETTERS_WITH_CASE = 2
"""Letters that tell whether a value is in capitals or in lower case."""
_VOWELS = frozenset(
    "AEIOUY\u00c6\u00d8\u0152"
    "\u0391\u0395\u0397\u0399\u039f\u03a5\u03a9"  # Greek
    "\u0410\u0415\u0418\u041e\u0423\u042b\u042d\u042e\u042f\u0404\u0406"  # Cyrillic
)
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
        return first_names(self._faker, "male")

    @cached_property
    def female_names(self) -> frozenset[str]:
        """First names of women in lower case: those of the locale, and English ones."""
        return first_names(self._faker, "female")


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
    """Write a surrogate in capitals or in lower case if the original is; one letter does not tell.

    >>> match_case("AMES", "Stone"), match_case("114 y 31", "Calle Sol 3")
    ('STONE', 'Calle Sol 3')
    """
    if sum(map(str.isalpha, original)) < _LETTERS_WITH_CASE:
        return surrogate
    if original.isupper():
        return surrogate.upper()
    return surrogate.lower() if original.islower() else surrogate


def fake_name(value: str, surrogate: Callable[[str], str]) -> str | None:
    """Replace every word of a name but titles and particles, and keep what is between words.

    `surrogate` returns the surrogate of a word. None if there is no word to replace, or a digit.
    """
    words = WORD.findall(value)
    if all(map(is_title_or_particle, words)) or any(map(str.isdigit, value)):
        return None

    def replace(match: regex.Match[str]) -> str:
        return match[0] if is_title_or_particle(match[0]) else surrogate(match[0])

    return WORD.sub(replace, value)


def is_title_or_particle(word: str) -> bool:
    """Return True if a word of a name identifies nobody; a capital by itself is an initial."""
    is_initial = len(word) == 1 and word.isupper()
    return not is_initial and _is_listed(word)


def _is_listed(word: str) -> bool:
    lists = word_lists()
    return fold(word) in lists.titles or fold(word) in lists.particles


def is_initials(word: str) -> bool:
    """Return True if a word is an initial, or a few.

    >>> is_initials("J"), is_initials("JDB"), is_initials("ANA"), is_initials("Jo")
    (True, True, False, False)
    >>> is_initials("G\u00dcL"), is_initials("\u041b\u0415\u0412")
    (False, False)
    """
    number = len(LETTER.findall(word))
    if number == 1:
        return len(word) == 1 or word.isupper() or word.islower()  # a syllable of Hindi has no case
    return word.isupper() and number <= _MAX_INITIALS and not _has_vowel(word[1:])


def _has_vowel(letters: str) -> bool:
    """Return True if one of some capitals is a vowel, with or without marks."""
    return any(letter in _VOWELS for letter in normalize("NFD", letters))


def fake_initials(word: str, faker: SeededFaker, known: Mapping[str, str]) -> str:
    """Draw other initials.

    `known` maps the first letters of a document's names to those of their surrogates, so that an
    initial agrees with its name.
    """
    initials = "".join(
        known.get(first_letter(letter)) or _other_initial(letter, faker)
        for letter in LETTER.findall(word)
    )
    return initials if word.isupper() else initials.lower()


def fake_name_word(word: str, faker: SeededFaker, locale: LocaleFaker) -> str:
    """Draw a first name of the same gender, or a surname for a word that is no known first name."""
    is_male = fold(word) in locale.male_names
    is_female = fold(word) in locale.female_names
    if is_male and is_female:
        is_male = faker.rng.random() < 0.5
    if is_male or is_female:
        gender: Gender = "male" if is_male else "female"
        name = faker.fake(f"first_name_{gender}", "first_name")
        while is_of_other(gender, name):
            name = faker.fake(f"first_name_{gender}", "first_name")
    else:
        name = faker.fake("last_name")
    return match_case(word, _single_word(name))


def _single_word(name: str) -> str:
    """Return the first word of a name that is no particle."""
    return next((word for word in WORD.findall(name) if not _is_listed(word)), name)


def _other_initial(letter: str, faker: SeededFaker) -> str:
    return faker.rng.choice([other for other in NAME_LETTERS if other != first_letter(letter)])


_ALPHANUMERIC = re.compile(r"[^\W_]+[ºª]?")
_SMALL_WORD = re.compile(r"(?<!\S)[^\W\d_][^\W\d_A-Z]{3,}(?!\S)")
"""A word of four letters or more, the last of them small, between spaces."""
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_ACRONYM = re.compile(r"[^\W\d_a-z]{2,6}")
_MAX_NAME_LENGTH = 500
"""In characters: a longer value is no name of an institution."""
_DOCUMENTATION_NETWORKS = ("192.0.2", "198.51.100", "203.0.113")  # RFC 5737
_RESERVED_DOMAINS = ("example.com", "example.org", "example.net")  # RFC 2606


def fake_id(value: str, faker: SeededFaker) -> str | None:
    """Draw another digit for each digit and another letter for each letter.

    None if there is no digit: then the value is a word. None, too, if there is a word beside the
    number that is not known to say what kind of number it is: its scrambled letters would stand
    out.
    """
    words = _SMALL_WORD.findall(value)
    is_read = any(fold(word) not in word_lists().id_words for word in words)
    return scramble(value, faker.rng) if _has_digit(value) and not is_read else None


def scramble(value: str, rng: Random) -> str:
    """Draw other letters and digits, but keep words that say what kind of number it is."""
    return _ALPHANUMERIC.sub(lambda match: _scramble_word(match[0], rng), value)


def _scramble_word(word: str, rng: Random) -> str:
    if fold(word) in word_lists().id_words:
        return word
    return "".join(
        _other_character(character, rng, is_first=index == 0)
        for index, character in enumerate(word)
    )


def _other_character(character: str, rng: Random, *, is_first: bool) -> str:
    """Draw a character of the same class; a number without a leading zero gets none."""
    if character.isdigit():
        return rng.choice("123456789" if is_first and character != "0" else string.digits)
    if character.isalpha():
        return rng.choice(string.ascii_uppercase if character.isupper() else string.ascii_lowercase)
    return rng.choice(string.digits) if character.isnumeric() else character


def _has_digit(value: str) -> bool:
    return any(map(str.isdigit, value))


def fake_email(value: str, faker: SeededFaker) -> str | None:
    """Return an address at a reserved domain."""
    address = f"{faker.fake('user_name')}@{faker.rng.choice(_RESERVED_DOMAINS)}"
    return address.upper() if value.isupper() else address


def fake_url(value: str, faker: SeededFaker) -> str | None:
    """Return a site under a reserved domain, without a path, which may hold anything."""
    scheme = re.match(r"[a-z]+://", value, re.IGNORECASE)
    prefix = scheme[0] if scheme else ""
    www = "www." if value[len(prefix) :].lower().startswith("www.") else ""
    word = re.sub(r"[^a-z0-9-]", "", faker.fake("domain_word").lower()) or "site"
    url = f"{prefix}{www}{word}.{faker.rng.choice(_RESERVED_DOMAINS)}"
    return url.upper() if value.isupper() else url


def fake_ip(value: str, faker: SeededFaker) -> str | None:
    """Draw an address of a documentation network; scramble an address that is not IPv4."""
    if _IPV4.fullmatch(value):
        return f"{faker.rng.choice(_DOCUMENTATION_NETWORKS)}.{faker.rng.randint(1, 254)}"
    return scramble(value, faker.rng)


def fake_username(value: str, faker: SeededFaker) -> str | None:
    """Draw other letters and digits."""
    return scramble(value, faker.rng)


def fake_city(value: str, faker: SeededFaker) -> str | None:
    """Draw another town."""
    return match_case(value, faker.fake("city"))


def fake_state(value: str, faker: SeededFaker) -> str | None:
    """Draw another state or province, or the abbreviation of one."""
    if len(value) == 2:
        return match_case(value, faker.fake("state_abbr", "country_code"))
    return match_case(value, faker.fake("state", "administrative_unit", "city"))


def fake_country(value: str, faker: SeededFaker) -> str | None:
    """Draw another country."""
    return match_case(value, faker.fake("country"))


def fake_place(value: str, faker: SeededFaker) -> str | None:
    """Draw another town, code or institution, after what the value looks like."""
    if _has_digit(value) and not any(map(str.islower, value)):
        return fake_id(value, faker)
    if _institution_patterns().anywhere.search(value):
        return fake_hospital(value, faker)
    return fake_city(value, faker)


def fake_street(value: str, faker: SeededFaker) -> str | None:
    """Draw an address, with a house number if the value has one."""
    street = faker.fake("street_address" if _has_digit(value) else "street_name")
    return match_case(value, street.replace("\n", " ").strip())


def fake_hospital(value: str, faker: SeededFaker) -> str | None:
    """Draw another name, and keep the words that say what sort of institution it is.

    None if there are only such words, or too many.
    """
    if len(value) > _MAX_NAME_LENGTH:
        return None
    if _ACRONYM.fullmatch(value):
        return scramble(value, faker.rng)
    patterns = _institution_patterns()
    before, after = patterns.at_start.match(value), patterns.at_end.search(value)
    if before is not None and before.end() == len(value):
        return None
    head = before[0].rstrip() + " " if before else ""
    tail = " " + after[0].strip() if after else ""
    providers = ("city", "last_name") if head or tail else ("city",)
    return head + match_case(value, faker.fake(faker.rng.choice(providers))) + tail


def fake_organization(value: str, faker: SeededFaker) -> str | None:
    """Draw a company, or another institution of the same sort."""
    if _institution_patterns().anywhere.search(value) or _ACRONYM.fullmatch(value):
        return fake_hospital(value, faker)
    return match_case(value, faker.fake("company"))


def fake_profession(value: str, faker: SeededFaker) -> str | None:
    """Draw another profession."""
    job = re.sub(r"\s*\(.*\)", "", faker.fake("job"))
    return match_case(value, job.lower() if value[:1].islower() else job)


class _InstitutionPatterns(NamedTuple):
    """Patterns of the words for institutions: in a name, and with particles at its start or end."""

    anywhere: re.Pattern[str]
    at_start: re.Pattern[str]
    at_end: re.Pattern[str]


@cache
def _institution_patterns() -> _InstitutionPatterns:
    lists = word_lists()
    institution = rf"\b{alternation(lists.institutions)}\b"
    word = rf"\b{alternation([*lists.institutions, *lists.institution_particles])}\b\.?\s*"
    pattern = rf"{institution}\.?\s*(?:{word})*"
    return _InstitutionPatterns(
        re.compile(institution, re.IGNORECASE),
        re.compile(rf"(?:{word})*{pattern}", re.IGNORECASE),
        re.compile(rf"{pattern}$", re.IGNORECASE),
    )

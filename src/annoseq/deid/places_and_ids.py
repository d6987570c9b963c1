"""Surrogates of places, organizations, identifiers and network addresses."""

from __future__ import annotations

import re
import string
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from annoseq.deid.faker_values import match_case
from annoseq.deid.word_lists import alternation, word_lists

if TYPE_CHECKING:
    from random import Random

    from annoseq.deid.faker_values import SeededFaker

_ALPHANUMERIC = re.compile(r"[^\W_]+[ºª]?")
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_ACRONYM = re.compile(r"[^\W\d_a-z]{2,6}")
_MAX_NAME_LENGTH = 500
"""In characters: a longer value is no name of an institution."""
_DOCUMENTATION_NETWORKS = ("192.0.2", "198.51.100", "203.0.113")  # RFC 5737
_RESERVED_DOMAINS = ("example.com", "example.org", "example.net")  # RFC 2606


def fake_id(value: str, faker: SeededFaker) -> str | None:
    """Draw another digit for each digit and another letter for each letter.

    None if there is no digit: then the value is a word.
    """
    return scramble(value, faker.rng) if _has_digit(value) else None


def scramble(value: str, rng: Random) -> str:
    """Draw other letters and digits, but keep words that say what kind of number it is."""
    return _ALPHANUMERIC.sub(lambda match: _scramble_word(match[0], rng), value)


def _scramble_word(word: str, rng: Random) -> str:
    if word.casefold() in word_lists().id_words:
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

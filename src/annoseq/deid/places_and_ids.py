"""Surrogates of places, organizations, identifiers and network addresses."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING

from annoseq.deid.faker_values import like

if TYPE_CHECKING:
    from random import Random

    from annoseq.deid.faker_values import Invention


_WORDS = re.compile(
    r"""(?ix) account | case | claim | code | ext | exp | extension | fax | file | group | history
    | id | identifier | insurance | medical | member | mobile | mrn | nhc | nif | dni | nass | nss
    | no | nº | number | num | número | numero | of | patient | pin | plan | policy | record | ref
    | reg | serial | site | ssn | subscriber | tel | telephone | teléfono | tfno | the | unit
    | visit"""
)
"""Words that stand beside a number and say only what it is."""
_RUN = re.compile(r"[^\W_]+[ºª]?")
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_TEST_NETS = ("192.0.2", "198.51.100", "203.0.113")  # RFC 5737: addresses of nobody
_SAFE = ("example.com", "example.org", "example.net")  # RFC 2606: domains of nobody


def invent_id(value: str, invention: Invention) -> str | None:
    """Draw another digit for each digit and another letter for each letter.

    None if there is no digit: then it is a word, and no number of any sort.
    """
    return scramble(value, invention.random) if any(map(str.isdigit, value)) else None


def scramble(value: str, random: Random) -> str:
    """Draw other letters and digits, but keep the words that stand beside numbers."""
    return _RUN.sub(lambda run: _scrambled(run[0], random), value)


def _scrambled(run: str, random: Random) -> str:
    if _WORDS.fullmatch(run):
        return run
    return "".join(_other(character, random, at=at) for at, character in enumerate(run))


def _other(character: str, random: Random, *, at: int) -> str:
    """Draw a character of the same sort. A number that has no leading zero gets none."""
    if character.isdigit():
        return random.choice("123456789" if at == 0 and character != "0" else string.digits)
    if character.isalpha():
        letters = string.ascii_uppercase if character.isupper() else string.ascii_lowercase
        return random.choice(letters)
    return random.choice(string.digits) if character.isnumeric() else character


def invent_email(value: str, invention: Invention) -> str | None:
    """Make up an address at a domain of nobody."""
    name = invention.say("user_name")
    domain = invention.random.choice(_SAFE)
    return f"{name}@{domain}".upper() if value.isupper() else f"{name}@{domain}"


def invent_url(value: str, invention: Invention) -> str | None:
    """Make up a site under a domain of nobody; a path is dropped, for it may hold anything."""
    scheme = re.match(r"[a-z]+://", value, re.IGNORECASE)
    rest = value[scheme.end() :] if scheme else value
    www = "www." if rest.lower().startswith("www.") else ""
    word = re.sub(r"[^a-z0-9-]", "", invention.say("domain_word").lower()) or "site"
    made = f"{scheme[0] if scheme else ''}{www}{word}.{invention.random.choice(_SAFE)}"
    return made.upper() if value.isupper() else made


def invent_ip(value: str, invention: Invention) -> str | None:
    """Draw an address of a network that is kept for documentation, or another of its pattern."""
    if _IPV4.fullmatch(value):
        return f"{invention.random.choice(_TEST_NETS)}.{invention.random.randint(1, 254)}"
    return scramble(value, invention.random)


def invent_username(value: str, invention: Invention) -> str | None:
    """Draw other letters and digits."""
    return scramble(value, invention.random)


_SORT = r"""(?: hospital(?:ario)? | clinic[ao]? | cl[ií]nic[ao]? | medical | center | centre
    | centro | complejo | complexo | general | university | universidad | universitari[oa]
    | memorial | regional | provincial | nacional | national | community | health(?:care)? | care
    | institute | instituto | facultad | school | department | servicio | ambulatorio | sanatorio
    | residencia | fundaci[oó]n | salud )"""
_WORD = rf"(?: \b (?: {_SORT} | de | del | la | of | the ) \b \.? \s* )"
_INSTITUTION = re.compile(rf"(?ix) \b {_SORT} \b")
_HEAD = re.compile(rf"(?ix) {_WORD}* \b {_SORT} \b \.? \s* {_WORD}*")
_TAIL = re.compile(rf"(?ix) \b {_SORT} \b \.? \s* {_WORD}* $")
_ACRONYM = re.compile(r"[^\W\d_a-z]{2,6}")


def invent_city(value: str, invention: Invention) -> str | None:
    """Name another town."""
    return like(value, invention.say("city"))


def invent_state(value: str, invention: Invention) -> str | None:
    """Name another state or province, or abbreviate one."""
    if len(value) == 2:
        return like(value, invention.say("state_abbr", "country_code"))
    return like(value, invention.say("state", "administrative_unit", "city"))


def invent_country(value: str, invention: Invention) -> str | None:
    """Name another country."""
    return like(value, invention.say("country"))


def invent_place(value: str, invention: Invention) -> str | None:
    """Name another town; a code of digits keeps its pattern, and an institution its sort."""
    if any(map(str.isdigit, value)) and not any(map(str.islower, value)):
        return invent_id(value, invention)
    if _INSTITUTION.search(value):
        return invent_hospital(value, invention)
    return invent_city(value, invention)


def invent_street(value: str, invention: Invention) -> str | None:
    """Make up an address, with a number if there was one."""
    has_number = any(map(str.isdigit, value))
    made = invention.say("street_address") if has_number else invention.say("street_name")
    return like(value, made.replace("\n", " ").strip())


def invent_hospital(value: str, invention: Invention) -> str | None:
    """Keep what sort of institution it is, and give it another name."""
    if _ACRONYM.fullmatch(value):
        return scramble(value, invention.random)
    before, after = _HEAD.match(value), _TAIL.search(value)
    if before is not None and before.end() == len(value):
        return None  # nothing but words for institutions
    head = before[0].rstrip() + " " if before else ""
    tail = " " + after[0].strip() if after else ""
    kinds = ("city", "last_name") if head or tail else ("city",)
    return head + like(value, invention.say(invention.random.choice(kinds))) + tail


def invent_organization(value: str, invention: Invention) -> str | None:
    """Name a company, or another institution of the sort."""
    if _INSTITUTION.search(value) or _ACRONYM.fullmatch(value):
        return invent_hospital(value, invention)
    return like(value, invention.say("company"))


def invent_profession(value: str, invention: Invention) -> str | None:
    """Name another profession."""
    job = re.sub(r"\s*\(.*\)", "", invention.say("job"))
    return like(value, job.lower() if value[:1].islower() else job)

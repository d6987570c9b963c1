"""Surrogates of identifiers, numbers and addresses on the net: other characters, same pattern."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from annoseq.redaction.invention import Invention

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

"""Surrogates of places, institutions and professions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from annoseq.redaction.identifiers import invent_id, scramble
from annoseq.redaction.invention import like

if TYPE_CHECKING:
    from annoseq.redaction.invention import Invention

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

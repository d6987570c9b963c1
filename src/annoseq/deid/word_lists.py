"""Word lists of redaction: titles, institutions, names of months and weekdays, number words."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Iterable


class _Lists(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DateWords(_Lists):
    """Calendar names of a language, and the words between and around the parts of a date.

    Months begin with January, weekdays with Sunday, seasons with winter.
    """

    months: tuple[str, ...]
    weekdays: tuple[str, ...]
    seasons: tuple[str, ...] = ()
    variants: dict[str, str] = {}
    connectors: tuple[str, ...]
    joiners: tuple[str, ...]
    context: tuple[str, ...]
    homographs: frozenset[str] = frozenset()


class NumberWords(_Lists):
    """Number words of a language; tens and units are written with a joiner between them."""

    units: tuple[str, ...]
    tens: tuple[str, ...]
    joiner: str
    variants: dict[str, int]


class AgeUnits(_Lists):
    """Units of ages: words for years, for shorter times, and other words of an age."""

    years: frozenset[str]
    others: frozenset[str]
    context: frozenset[str]


class Regions(_Lists):
    """States of the United States and countries, which are no smaller than a state."""

    states: frozenset[str]
    state_abbreviations: frozenset[str]
    countries: frozenset[str]


class WordLists(_Lists):
    """All lists, in lower case."""

    titles: frozenset[str]
    particles: frozenset[str]
    id_words: frozenset[str]
    institutions: tuple[str, ...]
    institution_particles: tuple[str, ...]
    dates: dict[str, DateWords]
    numbers: dict[str, NumberWords]
    age_units: AgeUnits
    regions: Regions


@cache
def word_lists() -> WordLists:
    """Read the word lists of the package."""
    text = (files(__package__) / "word_lists.toml").read_text(encoding="utf-8")
    return WordLists.model_validate(tomllib.loads(text))


def alternation(words: Iterable[str]) -> str:
    """Return a regular expression that matches any of some words, the longest first.

    >>> alternation(["Jan", "January"])
    '(?:January|Jan)'
    """
    longest_first = sorted(map(re.escape, words), key=len, reverse=True)
    return f"(?:{'|'.join(longest_first)})"

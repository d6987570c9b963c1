"""Surrogate ages: ages above 89 become 90+, others change by up to three years."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from annoseq.deid.word_lists import alternation, word_lists

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

    from annoseq.deid.faker_values import SeededFaker

MAX_AGE = 89
"""Older ages are identifiers by the HIPAA Privacy Rule, 45 CFR 164.514(b)(2)(i)(C)."""
OLDEST = f"{MAX_AGE + 1}+"
"""The one category of all ages above 89."""
_MAX_CHANGE = 3
_MAX_DIGITS = 3
NO_AGE = 10**_MAX_DIGITS
"""Stands for every number of more digits, which is no age."""

_YEAR_SIGNS, _OTHER_SIGNS = frozenset({"a", "y"}), frozenset({"d", "h", "m", "w"})
"""Short forms of units, which elsewhere are other words."""
_YEARS_OLD = re.compile(r"\by\s*(?:/\s*o\b|\.\s*o\b\.?)", re.IGNORECASE)
_NEXT_WORD = re.compile(r"[\s.-]*([^\W\d_]+)")
_WORD_OR_MARK = re.compile(r"[^\W\d_]+|\S")
_PUNCTUATION = frozenset("-.,")


Unit = Literal["years", "other"] | None
"""Unit of a number: years, a shorter one, or none that is told."""


class AgeNumber(NamedTuple):
    """A number of an age, and the unit that follows it; `+` and `over` make it open upwards."""

    number: int
    unit: Unit
    is_open: bool


def parse_age(value: str) -> list[AgeNumber] | None:
    """Return the numbers of an age; None if it has none, or is not wholly understood.

    It is understood if all else are units and words of ages. One number needs no unit; of several
    each has its own, so that `3/4/21` is no age.

    >>> [number[:2] for number in parse_age("92 y 3 mo")]
    [(92, 'years'), (3, 'other')]
    """
    value = _YEARS_OLD.sub("yo", value)
    units = word_lists().age_units
    rest = [part.casefold() for part in _WORD_OR_MARK.findall(_number_pattern().sub(" ", value))]
    if not _PUNCTUATION.union(units.years, units.others, units.context).issuperset(rest):
        return None
    numbers = [
        AgeNumber(_parse(match[0])[0], unit, is_open=match[0].endswith("+") or "over" in rest)
        for match, unit in _numbers_with_units(value)
    ]
    is_clear = len(numbers) == 1 or all(number.unit for number in numbers)
    return numbers if numbers and is_clear else None


def _numbers_with_units(value: str) -> list[tuple[re.Match[str], Unit]]:
    """Return the numbers, with the units that follow them: `47 years`, `47-year-old`, `47 y`.

    Beside years, short forms are units, too: `92 y 3 m`. Alone they are none, as `92M` is a man of
    92 years, and `92H` in Spanish.
    """
    units = word_lists().age_units
    years = units.years | _YEAR_SIGNS
    matches = list(_number_pattern().finditer(value))
    words = [
        following[1].casefold() if (following := _NEXT_WORD.match(value, match.end())) else ""
        for match in matches
    ]
    others = units.others
    if not years.isdisjoint(words):
        others |= _OTHER_SIGNS
    found: list[Unit] = [
        "years" if word in years else "other" if word in others else None for word in words
    ]
    return list(zip(matches, found, strict=True))


def is_over_89(numbers: Sequence[AgeNumber]) -> bool:
    """Return True if an age is above 89 years, or says that it may be: `over 89`.

    >>> is_over_89(parse_age("noventa y un años")), is_over_89(parse_age("100 months"))
    (True, False)
    """
    years = [one for one in numbers if one.unit != "other"]
    return any(one.number > MAX_AGE - one.is_open for one in years)


def fake_age(value: str, faker: SeededFaker) -> str | None:
    """Replace every number of an age, in digits or in English or Spanish words.

    None if there is no number, or one that is no age.
    """
    numbers = _numbers_with_units(value)
    if not numbers or any(len(_digits(match[0])) > _MAX_DIGITS for match, _ in numbers):
        return None
    units = iter(numbers)

    def other(match: re.Match[str]) -> str:
        _, unit = next(units)
        return _other_age(match[0], faker.rng, is_years=unit != "other")

    return _number_pattern().sub(other, value)


def normalize_age(value: str) -> str:
    """Return the numbers of an age in digits, so that `47` and `47 years` are the same age.

    >>> normalize_age("cuarenta y siete años")
    '47'
    """
    return " ".join(str(_parse(match[0])[0]) for match in _number_pattern().finditer(value))


def _other_age(written: str, rng: Random, *, is_years: bool) -> str:
    """Return another number of about the same size, in digits or in the same language."""
    number, language = _parse(written)
    if number > MAX_AGE and (is_years or language):
        return OLDEST
    lowest = max(min(number, 1), number - _MAX_CHANGE)
    highest = min(MAX_AGE if is_years or language else NO_AGE - 1, number + _MAX_CHANGE)
    other = rng.choice([age for age in range(lowest, highest + 1) if age != number])
    if not language:
        digits = _digits(written)
        width = len(digits) if digits.startswith("0") else 1  # 12 becomes 9, and 02 becomes 05
        return f"{other:0{width}}" + written[len(digits) :]
    word = _words(language)[other]
    return word.capitalize() if written[0].isupper() else word


def _parse(written: str) -> tuple[int, str]:
    """Return a number and the language of its word, which is empty for digits."""
    if not written[0].isdigit():
        return _numbers()[written.casefold()]
    digits = _digits(written)
    return int(digits) if len(digits) <= _MAX_DIGITS else NO_AGE, ""


def _digits(written: str) -> str:
    return written.rstrip("+") if written[0].isdigit() else ""


@cache
def _words(language: str) -> Mapping[int, str]:
    """Return the number words of a language, from 0 to 99."""
    numbers = word_lists().numbers[language]
    words = dict(enumerate(numbers.units))
    first = (len(numbers.units) + 9) // 10 * 10
    for index, ten in enumerate(numbers.tens):
        words[first + 10 * index] = ten
        for unit in range(1, 10):
            words[first + 10 * index + unit] = ten + numbers.joiner + numbers.units[unit]
    return words


@cache
def _numbers() -> Mapping[str, tuple[int, str]]:
    """Return the number and the language of every number word."""
    languages = word_lists().numbers
    numbers = {
        word: (number, language)
        for language in languages
        for number, word in _words(language).items()
    }
    numbers |= {word.replace("-", " "): entry for word, entry in numbers.items()}
    # Before a noun, Spanish shortens `uno`: treinta y un años.
    numbers |= {word[:-1]: entry for word, entry in numbers.items() if word.endswith(" y uno")}
    return numbers | {
        word: (number, language)
        for language, words in languages.items()
        for word, number in words.variants.items()
    }


@cache
def _number_pattern() -> re.Pattern[str]:
    return re.compile(rf"\d+\+?|\b{alternation(_numbers())}\b", re.IGNORECASE)

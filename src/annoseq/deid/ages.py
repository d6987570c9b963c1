"""Surrogate ages: ages above 89 become 90+, others change by up to three years."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from annoseq.deid.word_lists import alternation, word_lists

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from annoseq.deid.faker_values import SeededFaker

MAX_AGE = 89
"""Older ages are identifiers by the HIPAA Privacy Rule, 45 CFR 164.514(b)(2)(i)(C)."""
OLDEST = f"{MAX_AGE + 1}+"
"""The one category of all ages above 89."""
_MAX_CHANGE = 3
_MAX_DIGITS = 3
_NO_AGE = 10**_MAX_DIGITS
"""Stands for every number of more digits, which is no age."""


def fake_age(value: str, faker: SeededFaker) -> str | None:
    """Replace every number of an age, in digits or in English or Spanish words.

    None if there is no number, or one that is no age.
    """
    numbers = [match[0] for match in _number_pattern().finditer(value)]
    if not numbers or any(len(_digits(number)) > _MAX_DIGITS for number in numbers):
        return None
    return _number_pattern().sub(lambda match: _other_age(match[0], faker.rng), value)


def is_over_89(value: str) -> bool:
    """Return True if an age has a number above 89.

    >>> is_over_89("noventa y un años")
    True
    """
    return any(number > MAX_AGE for number in age_numbers(value))


def age_numbers(value: str) -> list[int]:
    """Return the numbers of an age, in digits or words; 1000 stands for all of more digits."""
    return [_parse(match[0])[0] for match in _number_pattern().finditer(value)]


def without_numbers(value: str) -> str:
    """Return an age without its numbers: the words around them."""
    return _number_pattern().sub(" ", value)


def normalize_age(value: str) -> str:
    """Return the numbers of an age in digits, so that `47` and `47 years` are the same age.

    >>> normalize_age("cuarenta y siete años")
    '47'
    """
    return " ".join(map(str, age_numbers(value)))


def _other_age(written: str, rng: Random) -> str:
    number, language = _parse(written)
    if number > MAX_AGE:
        return OLDEST
    lowest = max(min(number, 1), number - _MAX_CHANGE)
    highest = min(MAX_AGE, number + _MAX_CHANGE)
    other = rng.choice([age for age in range(lowest, highest + 1) if age != number])
    if not language:
        digits = _digits(written)
        return f"{other:0{len(digits)}}" + written[len(digits) :]
    word = _words(language)[other]
    return word.capitalize() if written[0].isupper() else word


def _parse(written: str) -> tuple[int, str]:
    """Return a number and the language of its word, which is empty for digits."""
    if not written[0].isdigit():
        return _numbers()[written.casefold()]
    digits = _digits(written)
    return int(digits) if len(digits) <= _MAX_DIGITS else _NO_AGE, ""


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

"""Ages: those above 89 become 90+, the others move by a year or a few."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from annoseq.deid.faker_values import Invention

_TOP = 89
_FURTHEST = 3
_UNITS = {
    "en": "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce "
    "quince dieciséis diecisiete dieciocho diecinueve veinte veintiuno veintidós veintitrés "
    "veinticuatro veinticinco veintiséis veintisiete veintiocho veintinueve",
}
_TENS = {
    "en": "twenty thirty forty fifty sixty seventy eighty ninety",
    "es": "treinta cuarenta cincuenta sesenta setenta ochenta noventa",
}
_JOINT = {"en": "-", "es": " y "}


@cache
def _words(language: str) -> Mapping[int, str]:
    """Return the words of a language for 0 to 99."""
    units = _UNITS[language].split()
    words = dict(enumerate(units))
    first = (len(units) + 9) // 10 * 10
    for ten, name in enumerate(_TENS[language].split()):
        words[first + 10 * ten] = name
        for unit in range(1, 10):
            words[first + 10 * ten + unit] = name + _JOINT[language] + units[unit]
    return words


@cache
def _numbers() -> Mapping[str, tuple[int, str]]:
    """Return what each word stands for, and its language."""
    found = {word: (n, language) for language in _UNITS for n, word in _words(language).items()}
    found |= {word.replace("-", " "): entry for word, entry in found.items()}
    found |= {word[:-1]: one for word, one in found.items() if word.endswith(" y uno")}
    return found | {
        **{"un": (1, "es"), "una": (1, "es"), "cien": (100, "es"), "hundred": (100, "en")},
        **{"veintiún": (21, "es"), "dieciseis": (16, "es"), "veintidos": (22, "es")},
        **{"veintitres": (23, "es"), "veintiseis": (26, "es")},
    }


@cache
def _pattern() -> re.Pattern[str]:
    words = "|".join(sorted(map(re.escape, _numbers()), key=len, reverse=True))
    return re.compile(rf"\d+\+?|\b(?:{words})\b", re.IGNORECASE)


def invent_age(value: str, invention: Invention) -> str | None:
    """Replace every number of an age, in digits or in English or Spanish words.

    None where there is no number.
    """
    if not _pattern().search(value):
        return None
    return _pattern().sub(lambda found: _moved(found[0], invention.random), value)


def invent_age_over_89(value: str, invention: Invention) -> str | None:
    """Replace an age above 89, and leave every other as it is, as HIPAA allows."""
    return invent_age(value, invention) if is_over_89(value) else value


def is_over_89(value: str) -> bool:
    """Tell whether an age has a number above 89.

    >>> is_over_89("noventa y un años")
    True
    """
    return any(_read(found[0])[0] > _TOP for found in _pattern().finditer(value))


def numbers_of(value: str) -> str:
    """Return the numbers of an age, in digits: `47` and `47 years` are one age.

    >>> numbers_of("cuarenta y siete años")
    '47'
    """
    return " ".join(str(_read(found[0])[0]) for found in _pattern().finditer(value))


def _read(word: str) -> tuple[int, str]:
    if word[0].isdigit():
        return int(word.rstrip("+")), ""
    return _numbers()[word.casefold()]


def _moved(word: str, random: Random) -> str:
    number, language = _read(word)
    if number > _TOP:
        return f"{_TOP + 1}+"
    least, most = min(number, 1), _TOP
    near = range(max(least, number - _FURTHEST), min(most, number + _FURTHEST) + 1)
    other = random.choice([one for one in near if one != number])
    if not language:
        return f"{other:0{len(word)}}"
    return _words(language)[other].capitalize() if word[0].isupper() else _words(language)[other]

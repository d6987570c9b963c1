"""Months, weekdays and seasons in the languages whose dates are understood."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from annoseq.deid.faker_values import like

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_LOCALES = {"es": "es_ES", "fr": "fr_FR", "it": "it_IT", "pt": "pt_PT", "de": "de_DE"}
"""Where Faker has the words of the other languages; `nl` and others have other first weekdays."""
_SEASONS = {
    "en": ("winter", "spring", "summer", "fall"),
    "es": ("invierno", "primavera", "verano", "otoño"),
}
_OTHERS = {"autumn": "fall", "setiembre": "septiembre"}
_SHORT = 3


class Word(NamedTuple):
    """The `place`-th month, weekday (from Sunday) or season of a language."""

    language: str
    place: int
    is_short: bool


@dataclass(frozen=True)
class DateWords:
    """The words, those of one language first where two languages share one."""

    language: str

    @cached_property
    def months(self) -> Mapping[str, Word]:
        """Months in lower case, also shortened to three letters or more."""
        return self._table([self._names(language)[0] for language in self._languages])

    @cached_property
    def weekdays(self) -> Mapping[str, Word]:
        """Weekdays in lower case, also shortened."""
        return self._table([self._names(language)[1] for language in self._languages])

    @cached_property
    def seasons(self) -> Mapping[str, Word]:
        """Seasons in lower case, from winter."""
        found = {
            name: Word(language, index, is_short=False)
            for language, names in _SEASONS.items()
            for index, name in enumerate(names)
        }
        return found | {new: found[old] for new, old in _OTHERS.items() if old in found}

    @staticmethod
    def pattern(words: Mapping[str, Word]) -> str:
        """Return a regular expression for any of some words."""
        longest = sorted(map(re.escape, words), key=len, reverse=True)
        return rf"\b(?:{'|'.join(longest)})\b\.?"

    def month(self, found: str, month: int, *, is_short: bool) -> str:
        """Write a month (from 1) as `found` is written: short or not, capitals, a full stop."""
        bare = found.rstrip(".")
        word = self.months[bare.casefold()]
        name = self._names(word.language)[0][month - 1]
        short = word.is_short or (is_short and len(bare) == _SHORT)
        return _styled(found, name[:_SHORT] if short else name)

    def weekday(self, found: str, days: int) -> str:
        """Write the weekday that is `days` after `found`."""
        bare = found.rstrip(".")
        word = self.weekdays[bare.casefold()]
        name = self._names(word.language)[1][(word.place + days) % 7]
        return _styled(found, name[: len(bare)] if word.is_short else name)

    def season(self, found: str, month: int) -> str:
        """Write the season of a month (from 1)."""
        word = self.seasons[found.casefold()]
        return _styled(found, _SEASONS[word.language][month % 12 // 3])

    @cached_property
    def _languages(self) -> Sequence[str]:
        return list(dict.fromkeys([self.language, "en", *_LOCALES]))

    @staticmethod
    def _names(language: str) -> tuple[list[str], list[str]]:
        if language not in _LOCALES:
            return list(_MONTHS), list(_WEEKDAYS)
        provider = import_module(f"faker.providers.date_time.{_LOCALES[language]}").Provider
        return list(provider.MONTH_NAMES.values()), list(provider.DAY_NAMES.values())

    def _table(self, lists: Sequence[Sequence[str]]) -> dict[str, Word]:
        found: dict[str, Word] = {}
        for language, names in zip(self._languages, lists, strict=True):
            for text, word in _spellings(language, names):
                found.setdefault(text, word)
        return found | {new: found[old] for new, old in _OTHERS.items() if old in found}


def _spellings(language: str, names: Sequence[str]) -> Iterator[tuple[str, Word]]:
    """List the names, and their beginnings that stand for one of them alone."""
    folded = [name.casefold() for name in names]
    starts = Counter(name[:size] for name in folded for size in range(_SHORT, len(name)))
    for index, name in enumerate(folded):
        yield name, Word(language, index, is_short=False)
        for size in range(_SHORT, min(5, len(name))):
            if starts[name[:size]] == 1:
                yield name[:size], Word(language, index, is_short=True)


def _styled(found: str, name: str) -> str:
    bare = found.rstrip(".")
    name = name.capitalize() if bare[:1].isupper() else name.lower()
    return like(bare, name) + found[len(bare) :]

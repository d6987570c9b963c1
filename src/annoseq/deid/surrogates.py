"""Surrogates: one replacement for each value of a document, none of which reveals a value."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from annoseq.deid.ages import fake_age, normalize_age
from annoseq.deid.date_parser import reads_day_first
from annoseq.deid.dates import DateShifter, draw_shift
from annoseq.deid.faker_values import (
    WORD,
    LocaleFaker,
    fake_city,
    fake_country,
    fake_email,
    fake_hospital,
    fake_id,
    fake_initials,
    fake_ip,
    fake_name,
    fake_name_word,
    fake_organization,
    fake_place,
    fake_profession,
    fake_state,
    fake_street,
    fake_url,
    fake_username,
    is_initials,
    is_title_or_particle,
    match_case,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from annoseq.deid.faker_values import SeededFaker
    from annoseq.deid.keyed_rng import KeyedRng
    from annoseq.deid.phi_types import PhiType
    from annoseq.deid.propagation import PropagatedValues

_FAKE_VALUES: Mapping[PhiType, Callable[[str, SeededFaker], str | None]] = {
    "username": fake_username,
    "email": fake_email,
    "url": fake_url,
    "ip": fake_ip,
    "phone": fake_id,
    "id": fake_id,
    "street": fake_street,
    "city": fake_city,
    "zip": fake_id,
    "state": fake_state,
    "country": fake_country,
    "place": fake_place,
    "hospital": fake_hospital,
    "organization": fake_organization,
    "profession": fake_profession,
    "age": fake_age,
}
"""Types whose values are drawn independently: not names and dates."""
_WITHOUT_SURROGATE: frozenset[PhiType] = frozenset({"other", "unknown", "none"})
_PROPER_NAMES: frozenset[PhiType] = frozenset(
    {"street", "city", "state", "country", "place", "hospital", "organization", "profession"}
)
"""Types that are in capitals only where the original is."""
_ATTEMPTS = 40
_ASCII_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True)
class SurrogateGenerator:
    """Generates the surrogates of any document, in one locale and with one key.

    Dates are shifted by any number of days, or by whole weeks if `shifts_weeks`.
    """

    locale: LocaleFaker
    rng: KeyedRng
    shifts_weeks: bool = False

    @cached_property
    def date_shifter(self) -> DateShifter:
        """Date shifter of the locale; only in the United States the month comes first."""
        is_day_first = self.locale.locale not in {"en_US", "en"}
        return DateShifter(self.locale.language, is_day_first=is_day_first)

    def for_document(
        self, document: str, identifiers: Iterable[tuple[PhiType, str]], values: PropagatedValues
    ) -> DocumentSurrogates:
        """Return the surrogates of a document, given all its identifiers with their types."""
        return DocumentSurrogates(self, document, list(dict.fromkeys(identifiers)), values)


class DocumentSurrogates:
    """Surrogates of one document, drawn when they are first asked for.

    Other values of the document decide a draw only if surrogates are not consistent across
    documents.
    """

    def __init__(
        self,
        generator: SurrogateGenerator,
        document: str,
        identifiers: Sequence[tuple[PhiType, str]],
        values: PropagatedValues,
    ) -> None:
        self._locale, self._rng, self._document = generator.locale, generator.rng, document
        self._values, self._shifts_weeks = values, generator.shifts_weeks
        self._originals = {text.casefold() for _, text in identifiers}
        self._words = {word.casefold() for _, text in identifiers for word in WORD.findall(text)}
        self._surrogates: dict[tuple[PhiType, str], str | None] = {}
        self._used: set[str | None] = set()
        self._name_words: dict[str, str] = {}
        self._used_names: set[str] = set()
        dates = [text for phi_type, text in identifiers if phi_type == "date"]
        self._shifter = generator.date_shifter
        self._day_first = reads_day_first(dates)
        self._year = self._most_common_year(dates)
        self._days = self._choose_days(dates)
        self._initials = self._pair_initials(
            word
            for phi_type, text in identifiers
            if phi_type == "name"
            for word in WORD.findall(text)
        )

    def surrogate(self, phi_type: PhiType, value: str) -> str | None:
        """Return the surrogate of a value, or None if it can only be replaced by its label."""
        if phi_type in _WITHOUT_SURROGATE or not value.strip():
            return None
        key = phi_type, _normalize_space(value)
        if key not in self._surrogates:
            self._surrogates[key] = self._generate(phi_type, value)
            self._used.add(self._surrogates[key])
        return self._restyle(phi_type, value, self._surrogates[key])

    def _restyle(self, phi_type: PhiType, value: str, surrogate: str | None) -> str | None:
        """Write the surrogate of a value with the capitals of another spelling of the value."""
        if surrogate is None or phi_type in {"name", "date"}:
            return self._generate(phi_type, value)  # names and dates follow the value word by word
        if phi_type in _PROPER_NAMES and surrogate.isupper() and not value.isupper():
            surrogate = surrogate.title()
        restyled = match_case(value, surrogate)
        if restyled != surrogate and self._reveals(restyled, value, phi_type):
            return surrogate
        return restyled

    def _generate(self, phi_type: PhiType, value: str) -> str | None:
        match phi_type:
            case "date":
                surrogate = self._shift(value, self._days)
            case "name":
                surrogate = fake_name(value, self._name_word)
            case _:
                return self._draw_value(phi_type, value)
        if surrogate is None or self._reveals(surrogate, value, phi_type):
            return None
        return surrogate

    def _draw_value(self, phi_type: PhiType, value: str) -> str | None:
        """Draw values until one reveals nothing and, in the first half, stands for no other."""
        is_age = phi_type == "age"
        context = normalize_age(value) if is_age else _normalize_space(value)
        for attempt in range(_ATTEMPTS):
            faker = self._faker(phi_type, context, str(attempt))
            surrogate = _FAKE_VALUES[phi_type](value, faker)
            if surrogate is None:
                return None
            may_repeat = is_age or self._rng.is_consistent or attempt > _ATTEMPTS // 2
            is_free = may_repeat or surrogate not in self._used
            if is_free and not self._reveals(surrogate, value, phi_type):
                return surrogate
        return None

    def _name_word(self, word: str) -> str:
        """Return the surrogate of a word of a name."""
        folded = word.casefold()
        if is_initials(word):
            initials = fake_initials(word, self._faker("initial", folded), self._initials)
            is_word = initials.casefold() in self._words - _ASCII_LETTERS
            return initials[::-1] if is_word else initials
        if folded not in self._name_words:
            name = self._draw_name_word(word)
            self._name_words[folded] = name
            self._used_names.add(name.casefold())
        return match_case(word, self._name_words[folded])

    def _draw_name_word(self, word: str) -> str:
        """Draw a name that is not in the document and begins with another letter.

        The last draw is returned if none is: a name that reveals a value is found out where it is
        used.
        """
        folded = word.casefold()
        name = word
        for attempt in range(_ATTEMPTS):
            faker = self._faker("word", folded, str(attempt))
            name = fake_name_word(word.capitalize(), faker, self._locale)
            if self._is_free_name(name.casefold()) and name[:1].casefold() != folded[:1]:
                break
        return name

    def _is_free_name(self, name: str) -> bool:
        if name in self._words:
            return False
        return self._rng.is_consistent or name not in self._used_names

    def _pair_initials(self, words: Iterable[str]) -> dict[str, str]:
        """Map the first letter of each name of the document to that of its surrogate."""
        pairs: dict[str, str] = {}
        for word in words:
            if not is_initials(word) and not is_title_or_particle(word):
                pairs.setdefault(word[0].upper(), self._name_word(word)[0].upper())
        return pairs

    def _choose_days(self, dates: Sequence[str]) -> int:
        """Draw the number of days by which dates move, so that none becomes another date.

        If every draw moves some dates to others, as with a month in every row, the draw with the
        fewest is used, and those dates get their labels.
        """
        best_days = fewest_clashes = -1
        for attempt in range(1 if self._rng.is_consistent else _ATTEMPTS):
            rng = self._rng.generator(self._document, "days", str(attempt))
            days = draw_shift(rng, by_weeks=self._shifts_weeks)
            clashes = self._count_clashes(dates, days)
            if fewest_clashes < 0 or clashes < fewest_clashes:
                best_days, fewest_clashes = days, clashes
            if not clashes:
                break
        return best_days

    def _shift(self, value: str, days: int) -> str | None:
        return self._shifter.shift(value, days, is_day_first=self._day_first, year=self._year)

    def _most_common_year(self, dates: Iterable[str]) -> int | None:
        """Return the year of the document's dates, which is that of dates without one."""
        years = Counter(
            year
            for value in dates
            for year in self._shifter.years(value, is_day_first=self._day_first)
        )
        return years.most_common(1)[0][0] if years else None

    def _count_clashes(self, dates: Sequence[str], days: int) -> int:
        shifted = (self._shift(day, days) for day in dates)
        return sum(day is not None and day.casefold() in self._originals for day in shifted)

    def _faker(self, *context: str) -> SeededFaker:
        return self._locale.seeded(self._rng.generator(self._document, *context))

    def _reveals(self, surrogate: str, value: str, phi_type: PhiType) -> bool:
        """Return True if a surrogate contains its value or any propagated value."""
        if phi_type == "age" and "90+" in surrogate:
            return False  # 90+ is a class of ages, which may contain the age itself
        return value.strip().casefold() in surrogate.casefold() or self._values.occur_in(surrogate)


def _normalize_space(value: str) -> str:
    return " ".join(value.casefold().split())

"""One document's surrogates: the same value has the same one, and none gives a found value away."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from annoseq.deid.ages import invent_age, invent_age_over_89, is_over_89, numbers_of
from annoseq.deid.dates import DateShifter, draw_shift, reads_day_first
from annoseq.deid.faker_values import (
    WORD,
    Inventor,
    invent_name,
    invent_word,
    is_initials,
    is_kept,
    like,
)
from annoseq.deid.places_and_ids import (
    invent_city,
    invent_country,
    invent_email,
    invent_hospital,
    invent_id,
    invent_ip,
    invent_organization,
    invent_place,
    invent_profession,
    invent_state,
    invent_street,
    invent_url,
    invent_username,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from annoseq.deid.faker_values import Invention
    from annoseq.deid.keyed_rng import Secret
    from annoseq.deid.phi_types import Kind
    from annoseq.deid.propagation import Values

_INVENT: Mapping[Kind, Callable[[str, Invention], str | None]] = {
    "username": invent_username,
    "email": invent_email,
    "url": invent_url,
    "ip": invent_ip,
    "id": invent_id,
    "street": invent_street,
    "city": invent_city,
    "state": invent_state,
    "country": invent_country,
    "place": invent_place,
    "hospital": invent_hospital,
    "organization": invent_organization,
    "profession": invent_profession,
    "age": invent_age,
    "age-over-89": invent_age_over_89,
}
"""Names, dates and labels have ways of their own."""
_NAMED: frozenset[Kind] = frozenset(
    {"street", "city", "state", "country", "place", "hospital", "organization", "profession"}
)
"""What is written with a capital letter, or in capitals, but never in capitals by itself."""
_TRIES = 40


@dataclass(frozen=True)
class SurrogateMaker:
    """Makes the surrogates of any document, in one locale and by one secret."""

    inventor: Inventor
    secret: Secret

    @cached_property
    def shifter(self) -> DateShifter:
        """Moves dates as the locale writes them: in the United States, the month comes first."""
        is_day_first = self.inventor.locale not in {"en_US", "en"}
        return DateShifter(self.inventor.language, is_day_first=is_day_first)

    def begin(
        self, document: str, found: Iterable[tuple[Kind, str]], values: Values
    ) -> DocumentSurrogates:
        """Begin a document, all of whose found pieces are known."""
        return DocumentSurrogates(self, document, list(dict.fromkeys(found)), values)


class DocumentSurrogates:
    """The surrogates of one document, drawn as they are asked for."""

    def __init__(
        self,
        maker: SurrogateMaker,
        document: str,
        found: Sequence[tuple[Kind, str]],
        values: Values,
    ) -> None:
        self._maker, self._document, self._values = maker, document, values
        self._is_consistent = maker.secret.is_consistent  # then no other value decides a draw
        self._pieces = {piece.casefold() for _, piece in found}
        self._words = {word[0].casefold() for _, piece in found for word in WORD.finditer(piece)}
        self._made: dict[tuple[Kind, str], str | None] = {}
        self._names: dict[str, str] = {}
        dates = [piece for kind, piece in found if kind == "date"]
        self._day_first = reads_day_first(dates)
        self._shifter = maker.shifter
        self._days = self._choose_days(dates)
        names = [word for kind, piece in found if kind == "name" for word in WORD.findall(piece)]
        self._initials = self._pair_initials(names)

    def replace(self, kind: Kind, value: str) -> str | None:
        """Return the surrogate of a value, or None where only its label can stand for it."""
        if kind == "label" or not value.strip():
            return None
        key = kind, " ".join(value.casefold().split())
        if key not in self._made:
            self._made[key] = self._make(kind, value)
        made = self._made[key]
        return self._restyled(kind, value, made)

    def _restyled(self, kind: Kind, value: str, made: str | None) -> str | None:
        """Write a surrogate that was made for the value in other letters."""
        if made is None or kind in {"name", "date"}:
            return self._make(kind, value)  # these keep to the value word by word
        if kind in _NAMED and made.isupper() and not value.isupper():
            made = made.title()
        styled = like(value, made)
        return styled if styled == made or not self._gives_away(styled, value, kind) else made

    def _make(self, kind: Kind, value: str) -> str | None:
        if kind == "date":
            moved = self._shifter.shift(value, self._days, is_day_first=self._day_first)
            return None if moved is None or self._gives_away(moved, value, kind) else moved
        if kind == "name":
            name = invent_name(value, self._name_word)
            return None if name is None or self._gives_away(name, value, kind) else name
        taken = set() if self._is_consistent else set(self._made.values())
        same = numbers_of(value) if kind.startswith("age") else " ".join(value.casefold().split())
        for attempt in range(_TRIES):
            invention = self._draw(kind, same, str(attempt))
            made = _INVENT[kind](value, invention)
            if made is None:
                return None
            is_free = made not in taken or kind.startswith("age") or attempt > _TRIES // 2
            if is_free and not self._gives_away(made, value, kind):
                return made
        return None

    def _name_word(self, word: str) -> str:
        """Return the surrogate of a word of a name."""
        folded = word.casefold()
        if is_initials(word):
            made = invent_word(
                word,
                self._draw("initial", folded),
                self._maker.inventor,
                initials=self._initials.items(),
            )
            return made if made.casefold() not in self._words - _LETTERS else made[::-1]
        if folded not in self._names:
            self._names[folded] = self._new_word(word)
        return like(word, self._names[folded])

    def _new_word(self, word: str) -> str:
        """Draw a name with another first letter, which is no name of the document."""
        folded = word.casefold()
        taken = set(self._words)
        if not self._is_consistent:
            taken |= {name.casefold() for name in self._names.values()}
        made = word
        for attempt in range(_TRIES):
            invention = self._draw("word", folded, str(attempt))
            made = invent_word(word.capitalize(), invention, self._maker.inventor)
            if made.casefold() not in taken and made[:1].casefold() != folded[:1]:
                break
        return made  # if all are taken, what gives a value away is caught where it is used

    def _pair_initials(self, names: Iterable[str]) -> dict[str, str]:
        """Pair the first letter of each name of the document with that of its surrogate."""
        pairs: dict[str, str] = {}
        for word in names:
            if not is_initials(word) and not is_kept(word):
                pairs.setdefault(word[0].upper(), self._name_word(word)[0].upper())
        return pairs

    def _choose_days(self, dates: Sequence[str]) -> int:
        """Draw how far the dates move, so that none becomes another one of the document.

        Where every draw makes some so, as with a month in every row, those get their labels.
        """
        best = fewest = -1
        for attempt in range(1 if self._is_consistent else _TRIES):
            days = draw_shift(self._maker.secret.random(self._document, "days", str(attempt)))
            moved = (self._shifter.shift(one, days, is_day_first=self._day_first) for one in dates)
            clashes = sum(one is not None and one.casefold() in self._pieces for one in moved)
            if fewest < 0 or clashes < fewest:
                best, fewest = days, clashes
            if not clashes:
                break
        return best

    def _draw(self, *words: str) -> Invention:
        return self._maker.inventor.draw(self._maker.secret.random(self._document, *words))

    def _gives_away(self, made: str, value: str, kind: Kind) -> bool:
        """Tell whether a surrogate holds the value, or any that the document must not hold."""
        if kind == "age-over-89" and not is_over_89(value):
            return False
        if kind.startswith("age") and "90+" in made:
            return False  # a class of ages, which 90 itself is in
        return value.strip().casefold() in made.casefold() or self._values.are_in(made)


_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz")

"""Surrogates: one replacement for each value of a document, none of which reveals a value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal

from annoseq.deid.ages import OLDEST, fake_age, normalize_age
from annoseq.deid.date_shift import DocumentDateShift
from annoseq.deid.dates import DateShifter
from annoseq.deid.faker_values import (
    NAME_LETTERS,
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
from annoseq.deid.first_names import hints_at
from annoseq.deid.unicode_words import LETTER, WORD, compose, first_letter, fold, without_accents
from annoseq.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from annoseq.deid.faker_values import SeededFaker
    from annoseq.deid.keyed_rng import KeyedRng
    from annoseq.deid.phi_types import PhiType
    from annoseq.deid.propagation import PropagatedValues
    from annoseq.deid.redaction import RedactionDocument

SurrogateScope = Literal["document", "patient", "corpus"]
SurrogateStrategy = Literal["consistent", "random"]

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
_LETTER_ATTEMPTS = 150
"""Draws of a name with a given first letter: one in ten to a hundred names has it."""
_ASCII_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True)
class SurrogateGenerator:
    """Generates the surrogates of any document, in one locale and with one key.

    Within the `scope`, a value has one surrogate, and dates move by one number of days: any number,
    or whole weeks if `shifts_weeks`. With the strategy `random`, every occurrence of a value has a
    surrogate of its own; dates still move alike. A document without a name is known by its place
    and its texts: others have its place, such as the first rows of all tables.
    """

    locale: LocaleFaker
    rng: KeyedRng
    scope: SurrogateScope = "document"
    strategy: SurrogateStrategy = "consistent"
    shifts_weeks: bool = False

    @cached_property
    def date_shifter(self) -> DateShifter:
        """Date shifter of the locale; only in the United States the month comes first."""
        is_day_first = self.locale.locale not in {"en_US", "en"}
        return DateShifter(self.locale.language, is_day_first=is_day_first)

    def for_document(
        self,
        document: RedactionDocument,
        identifiers: Iterable[tuple[PhiType, str]],
        values: PropagatedValues,
    ) -> DocumentSurrogates:
        """Return the surrogates of a document, given all its identifiers with their types."""
        return DocumentSurrogates(self, document, list(dict.fromkeys(identifiers)), values)

    def scope_of(self, document: RedactionDocument) -> tuple[str, ...]:
        """Return the context that the draws for a document share with those for others.

        Raises:
            OptionError: its patient is not known.
        """
        match self.scope:
            case "corpus":
                return ("corpus",)
            case "document":
                return ("document", *self.own_context(document))
        if document.patient is None:
            raise OptionError("a document has no patient. Name the column with --patient.")
        return ("patient", document.patient)

    def own_context(self, document: RedactionDocument) -> tuple[str, ...]:
        """Return the context of the draws for a document alone."""
        if document.is_named:
            return (document.id,)
        texts = (part.text for part in document.parts)
        return ("unnamed", self.rng.digest("unnamed", document.id, *texts).hex())


class DocumentSurrogates:
    """Surrogates of one document, drawn when they are first asked for.

    Within a document, two values never become the same one. Where a document shares its surrogates
    with others, a surrogate follows from the key, the scope and the value alone: a value whose
    surrogate would reveal another value of the document has none there.
    """

    def __init__(
        self,
        generator: SurrogateGenerator,
        document: RedactionDocument,
        identifiers: Sequence[tuple[PhiType, str]],
        values: PropagatedValues,
    ) -> None:
        self._generator, self._locale = generator, generator.locale
        self._scope = generator.scope_of(document)
        self._own_context = generator.own_context(document)
        self._is_shared = generator.scope != "document"
        self._values = values
        identifiers = [(phi_type, compose(text)) for phi_type, text in identifiers]
        self._words = {fold(word) for _, text in identifiers for word in WORD.findall(text)}
        self._plain_words = set(map(without_accents, self._words))
        self._surrogates: dict[tuple[PhiType, str], str | None] = {}
        self._used: set[str | None] = set()
        self._name_words: dict[str, str] = {}
        self._used_names: set[str] = set()
        self._dates = DocumentDateShift(
            generator.date_shifter,
            [text for phi_type, text in identifiers if phi_type == "date"],
            {text.casefold() for _, text in identifiers},
            generator=lambda attempt: generator.rng.generator(*self._scope, "days", str(attempt)),
            is_shared=self._is_shared,
            by_weeks=generator.shifts_weeks,
        )
        names = [text for phi_type, text in identifiers if phi_type == "name"]
        self._initials = {} if self._is_shared else self._pair_initials(names)

    def surrogate(self, phi_type: PhiType, value: str, *, place: str = "") -> str | None:
        """Return the surrogate of a value, or None if it can only be replaced by its label.

        `place` tells the occurrences of a value in the document apart.
        """
        value = compose(value)
        if phi_type in _WITHOUT_SURROGATE or not value.strip():
            return None
        if phi_type == "date":
            return self._if_safe(self._dates.shift(value), value, phi_type)
        if self._generator.strategy == "random":
            return self._random_value(phi_type, value, place)
        if phi_type == "name":
            return self._if_safe(fake_name(value, self._name_word), value, phi_type)
        if self._is_shared:
            return self._shared_value(phi_type, value)
        return self._document_value(phi_type, value)

    def _if_safe(self, surrogate: str | None, value: str, phi_type: PhiType) -> str | None:
        if surrogate is None or self._reveals(surrogate, value, phi_type):
            return None
        return surrogate

    def _random_value(self, phi_type: PhiType, value: str, place: str) -> str | None:
        """Draw a surrogate for one occurrence of a value."""
        for attempt in range(_ATTEMPTS):
            faker = self._faker("occurrence", *self._own_context, place, str(attempt))
            surrogate = (
                fake_name(value, partial(self._random_word, faker))
                if phi_type == "name"
                else _FAKE_VALUES[phi_type](value, faker)
            )
            if surrogate is None or not self._reveals(surrogate, value, phi_type):
                return surrogate
        return None

    def _random_word(self, faker: SeededFaker, word: str) -> str:
        if is_initials(word):
            return fake_initials(word, faker, {})
        names = (fake_name_word(word.capitalize(), faker, self._locale) for _ in range(_ATTEMPTS))
        free = (name for name in names if self._is_other_name(name, word))
        return match_case(word, next(free, word))

    def _is_other_name(self, name: str, word: str) -> bool:
        """Return True if a name is none of the document, with or without accents, nor a hint."""
        return without_accents(name) not in self._plain_words and not hints_at(name, word)

    def _shared_value(self, phi_type: PhiType, value: str) -> str | None:
        """Return the surrogate of a value that follows from the key, the scope and the value."""
        key = phi_type, value
        if key not in self._surrogates:
            self._surrogates[key] = self._if_safe(
                self._first_other_value(phi_type, value), value, phi_type
            )
        return self._surrogates[key]

    def _first_other_value(self, phi_type: PhiType, value: str) -> str | None:
        """Return the first draw that does not contain the value itself."""
        for attempt in range(_ATTEMPTS):
            surrogate = self._draw(phi_type, value, attempt)
            if surrogate is None or not _contains(surrogate, value) or OLDEST in surrogate:
                return surrogate
        return None

    def _document_value(self, phi_type: PhiType, value: str) -> str | None:
        """Return the surrogate of a value in this document, with the capitals of this spelling."""
        key = phi_type, _normalize_space(value)
        if key not in self._surrogates:
            self._surrogates[key] = self._draw_value(phi_type, value)
            self._used.add(self._surrogates[key])
        surrogate = self._surrogates[key]
        if surrogate is None:
            return None
        if phi_type in _PROPER_NAMES and surrogate.isupper() and not value.isupper():
            surrogate = surrogate.title()
        restyled = match_case(value, surrogate)
        if restyled != surrogate and self._reveals(restyled, value, phi_type):
            return surrogate
        return restyled

    def _draw_value(self, phi_type: PhiType, value: str) -> str | None:
        """Draw values until one reveals nothing and, in the first half, stands for no other."""
        for attempt in range(_ATTEMPTS):
            surrogate = self._draw(phi_type, value, attempt)
            if surrogate is None:
                return None
            may_repeat = phi_type == "age" or attempt > _ATTEMPTS // 2
            is_free = may_repeat or surrogate not in self._used
            if is_free and not self._reveals(surrogate, value, phi_type):
                return surrogate
        return None

    def _draw(self, phi_type: PhiType, value: str, attempt: int) -> str | None:
        context = normalize_age(value) if phi_type == "age" else _normalize_space(value)
        return _FAKE_VALUES[phi_type](value, self._faker(phi_type, context, str(attempt)))

    def _name_word(self, word: str) -> str:
        """Return the surrogate of a word of a name."""
        folded = fold(word)
        if is_initials(word):
            if self._is_shared:
                initials = "".join(map(self._shared_letter, LETTER.findall(word)))
                return initials if word.isupper() else initials.lower()
            initials = fake_initials(word, self._faker("initial", folded), self._initials)
            is_word = fold(initials) in self._words - _ASCII_LETTERS
            return initials[::-1] if is_word else initials
        if folded not in self._name_words:
            name = self._shared_name(word) if self._is_shared else self._draw_name_word(word)
            self._name_words[folded] = name
            self._used_names.add(fold(name))
        return match_case(word, self._name_words[folded])

    def _shared_letter(self, letter: str) -> str:
        """Return the first letter of the surrogates of all names that begin with a letter.

        So initials agree with names, whichever of them a document has.
        """
        letter = first_letter(letter)
        rng = self._generator.rng.generator(*self._scope, "letter", letter)
        return rng.choice([other for other in NAME_LETTERS if other != letter])

    def _shared_name(self, word: str) -> str:
        """Draw the name that stands for a word in all documents of the scope."""
        faker = self._faker("word", fold(word))
        letter = self._shared_letter(word)
        name = other = ""
        for _ in range(_LETTER_ATTEMPTS):
            name = fake_name_word(word.capitalize(), faker, self._locale)
            is_other = not hints_at(name, word)
            if is_other and (name[:1].upper() == letter or not name[:1].isascii()):
                return name
            other = other or (name if is_other else "")
        return other or name

    def _draw_name_word(self, word: str) -> str:
        """Draw a name that is not in the document and hints at nothing.

        The last draw is returned if none is: a name that reveals a value is found out where it is
        used.
        """
        name = word
        for attempt in range(_ATTEMPTS):
            faker = self._faker("word", fold(word), str(attempt))
            name = fake_name_word(word.capitalize(), faker, self._locale)
            if self._is_other_name(name, word) and fold(name) not in self._used_names:
                break
        return name

    def _pair_initials(self, names: Iterable[str]) -> dict[str, str]:
        """Map the first letter of each name of the document to that of its surrogate."""
        pairs: dict[str, str] = {}
        for word in (word for name in names for word in WORD.findall(name)):
            if not is_initials(word) and not is_title_or_particle(word):
                pairs.setdefault(first_letter(word), self._name_word(word)[0].upper())
        return pairs

    def _faker(self, *context: str) -> SeededFaker:
        return self._locale.seeded(self._generator.rng.generator(*self._scope, *context))

    def _reveals(self, surrogate: str, value: str, phi_type: PhiType) -> bool:
        """Return True if a surrogate contains its value or any propagated value."""
        if phi_type == "age" and OLDEST in surrogate:
            return False  # 90+ is a class of ages, which may contain the age itself
        return _contains(surrogate, value) or self._values.occur_in(surrogate)


def _contains(surrogate: str, value: str) -> bool:
    return _normalize_space(value) in _normalize_space(surrogate)


def _normalize_space(value: str) -> str:
    return " ".join(fold(value).split())

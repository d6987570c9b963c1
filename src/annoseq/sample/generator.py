"""Generator of synthetic clinical notes with typing noise.

Each document is a note of one type about one `Case`, with a header, a body and a signature. The
labels are those of the i2b2 2014 de-identification task. The corpus shows that annoseq works from
end to end; a score on it is no evidence of quality on real notes, because the sentences come from
a few hundred templates.

Noise keeps spans tight and never joins two tokens, so that annotated text stays alignable.
"""

from __future__ import annotations

import re
from random import Random
from typing import TYPE_CHECKING, TypeAlias

from annoseq.data.markup import Span, render
from annoseq.data.pairs import Pair
from annoseq.errors import OptionError
from annoseq.sample.case import draw_case
from annoseq.sample.templates import draw_templates, fill_template, load_document_types

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faker import Faker


AnnotatedText: TypeAlias = tuple[str, list[Span]]

_NOISE_SHARE = 0.12
_LONG_WORD = re.compile(r"[^\W\d_]{5,}")
_SPACE = re.compile(r"(?<=\S) (?=\S)")
_SPACE_AFTER_STOP = re.compile(r"(?<=[a-z][.,;:]) (?=\w)")
_NAMES = ("NAME:DOCTOR", "NAME:PATIENT")


def add_noise(text: str, spans: list[Span], rng: Random) -> AnnotatedText:
    """Apply one edit to about one row in eight."""
    if rng.random() >= _NOISE_SHARE:
        return text, spans
    return rng.choice(NOISE_EDITS)(text, spans, rng)


def drop_letter(text: str, spans: list[Span], rng: Random) -> AnnotatedText:
    """Delete a letter inside a long word."""
    words = list(_LONG_WORD.finditer(text))
    if not words:
        return text, spans
    word = rng.choice(words)
    return _replace(text, spans, rng.randrange(word.start() + 1, word.end() - 1), 1, "")


def swap_letters(text: str, spans: list[Span], rng: Random) -> AnnotatedText:
    """Swap two adjacent letters inside a long word."""
    words = list(_LONG_WORD.finditer(text))
    if not words:
        return text, spans
    word = rng.choice(words)
    place = rng.randrange(word.start() + 1, word.end() - 2)
    return _replace(text, spans, place, 2, text[place : place + 2][::-1])


def double_space(text: str, spans: list[Span], rng: Random) -> AnnotatedText:
    """Double a space."""
    return _replace_match(text, spans, _SPACE, "  ", rng)


def drop_space(text: str, spans: list[Span], rng: Random) -> AnnotatedText:
    """Delete the space after a full stop or a comma."""
    return _replace_match(text, spans, _SPACE_AFTER_STOP, "", rng)


def to_uppercase(text: str, spans: list[Span], rng: Random) -> AnnotatedText:
    """Write the row in upper case."""
    del rng
    return text.upper(), spans


def to_lowercase(text: str, spans: list[Span], rng: Random) -> AnnotatedText:
    """Write the row in lower case."""
    del rng
    return text.lower(), spans


def lower_names(text: str, spans: list[Span], rng: Random) -> AnnotatedText:
    """Write people's names in lower case."""
    del rng
    for span in spans:
        if span.label in _NAMES:
            lowered = text[span.start : span.end].lower()
            text = text[: span.start] + lowered + text[span.end :]
    return text, spans


NOISE_EDITS: tuple[Callable[[str, list[Span], Random], AnnotatedText], ...] = (
    *(drop_letter, swap_letters, double_space, drop_space, to_uppercase, to_lowercase, lower_names),
)


def _replace_match(
    text: str, spans: list[Span], pattern: re.Pattern[str], new: str, rng: Random
) -> AnnotatedText:
    offsets = [match.start() for match in pattern.finditer(text)]
    return _replace(text, spans, rng.choice(offsets), 1, new) if offsets else (text, spans)


def _replace(text: str, spans: list[Span], start: int, length: int, new: str) -> AnnotatedText:
    """Replace `length` characters, which lie within one span or outside of all."""
    end, growth = start + length, len(new) - length
    moved = [
        Span(
            span.start + growth * (span.start >= end),
            span.end + growth * (span.end >= end),
            span.label,
        )
        for span in spans
    ]
    return text[:start] + new + text[end:], moved


def sample_pairs(rows: int, *, seed: int) -> Iterator[Pair]:
    """Generate `rows` pairs of synthetic clinical text, the same for the same seed.

    A longer corpus begins with the rows of a shorter one. `start` counts from the start of
    the document, whose rows are joined by line ends; the last document may be cut short.
    Neither the machine, the Python version nor today's date changes the rows; another version
    of Faker may, because most names come from it.

    Raises:
        OptionError: `rows` or `seed` is negative.
    """
    for name, value in (("rows", rows), ("seed", seed)):
        if value < 0:
            raise OptionError(f"{name} is {value}. Give a whole number, 0 or more.")
    return _pairs(rows, seed)


def _pairs(rows: int, seed: int) -> Iterator[Pair]:
    from faker import Faker

    faker = Faker("en_US")
    faker.seed_instance(seed)
    rng = Random(seed)
    row = number = 0
    while row < rows:
        number += 1
        start = 0
        for text, spans in _document(rng, faker)[: rows - row]:
            row += 1
            yield Pair(text, render(text, spans), row, f"sample-{number:05}", start)
            start += len(text) + 1


def _document(rng: Random, faker: Faker) -> list[tuple[str, list[Span]]]:
    document_type = rng.choice(load_document_types())
    case = draw_case(rng, faker, ages=document_type.ages, is_planned=document_type.is_planned)
    templates = draw_templates(document_type, case, rng)
    return [add_noise(*fill_template(template, case, rng), rng) for template in templates]

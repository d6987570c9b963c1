"""Generator of synthetic clinical notes with typing noise.

An edit keeps spans tight and never makes two tokens one, so annotated text stays alignable.

Each document is about one patient: header, body and signature of a note of one kind, filled
from one `Case` and lightly damaged by `noise`. The labels are those of the i2b2 2014
de-identification task. The corpus shows that annoseq works from end to end; a score on it
is no evidence of quality on real notes, because the sentences come from a few hundred templates.
"""

from __future__ import annotations

import re
from random import Random
from typing import TYPE_CHECKING, TypeAlias

from annoseq.data.markup import Span, render
from annoseq.data.pairs import Pair
from annoseq.errors import OptionError
from annoseq.sample.case import draw_case
from annoseq.sample.templates import document_lines, fill, load_kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faker import Faker


Marked: TypeAlias = tuple[str, list[Span]]

_SHARE = 0.12
_LONG_WORD = re.compile(r"[^\W\d_]{5,}")
_SPACE = re.compile(r"(?<=\S) (?=\S)")
_SPACE_AFTER_STOP = re.compile(r"(?<=[a-z][.,;:]) (?=\w)")
_NAMES = ("NAME:DOCTOR", "NAME:PATIENT")


def add_noise(text: str, spans: list[Span], rng: Random) -> Marked:
    """Damage about one row in eight, each in one way."""
    if rng.random() >= _SHARE:
        return text, spans
    return rng.choice(EDITS)(text, spans, rng)


def drop_letter(text: str, spans: list[Span], rng: Random) -> Marked:
    """Leave out a letter inside a long word."""
    words = list(_LONG_WORD.finditer(text))
    if not words:
        return text, spans
    word = rng.choice(words)
    return _replace(text, spans, rng.randrange(word.start() + 1, word.end() - 1), 1, "")


def swap_letters(text: str, spans: list[Span], rng: Random) -> Marked:
    """Exchange two neighbours inside a long word."""
    words = list(_LONG_WORD.finditer(text))
    if not words:
        return text, spans
    word = rng.choice(words)
    place = rng.randrange(word.start() + 1, word.end() - 2)
    return _replace(text, spans, place, 2, text[place : place + 2][::-1])


def double_space(text: str, spans: list[Span], rng: Random) -> Marked:
    """Hit the space bar twice."""
    return _edit_one(text, spans, _SPACE, "  ", rng)


def drop_space(text: str, spans: list[Span], rng: Random) -> Marked:
    """Leave out the space after a full stop or a comma."""
    return _edit_one(text, spans, _SPACE_AFTER_STOP, "", rng)


def shout(text: str, spans: list[Span], rng: Random) -> Marked:
    """Write the whole row in capitals."""
    del rng
    return text.upper(), spans


def mumble(text: str, spans: list[Span], rng: Random) -> Marked:
    """Write the whole row in small letters."""
    del rng
    return text.lower(), spans


def lower_names(text: str, spans: list[Span], rng: Random) -> Marked:
    """Write people's names in small letters."""
    del rng
    for span in spans:
        if span.label in _NAMES:
            lowered = text[span.start : span.end].lower()
            text = text[: span.start] + lowered + text[span.end :]
    return text, spans


EDITS: tuple[Callable[[str, list[Span], Random], Marked], ...] = (
    *(drop_letter, swap_letters, double_space, drop_space, shout, mumble, lower_names),
)


def _edit_one(
    text: str, spans: list[Span], pattern: re.Pattern[str], new: str, rng: Random
) -> Marked:
    places = [found.start() for found in pattern.finditer(text)]
    return _replace(text, spans, rng.choice(places), 1, new) if places else (text, spans)


def _replace(text: str, spans: list[Span], start: int, length: int, new: str) -> Marked:
    """Put `new` for `length` characters, which lie within one span or outside of all."""
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
    """Write `rows` pairs of invented clinical text, the same for the same seed.

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
    kind = rng.choice(load_kinds())
    case = draw_case(rng, faker, ages=kind.ages, is_planned=kind.is_planned)
    lines = document_lines(kind, case, rng)
    return [add_noise(*fill(line, case, rng), rng) for line in lines]

"""The typing errors and habits of real notes, on a small share of rows.

An edit keeps spans tight and never makes two tokens one, so annotated text stays alignable.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from annoseq.pairs.markup import Span

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

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

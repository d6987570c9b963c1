"""Texts without their words: what a report may show outside the hospital."""

from __future__ import annotations

import string
import unicodedata

_KEPT = frozenset(string.punctuation)


def shape(text: str) -> str:
    """Write A for capitals, a for other letters, 0 for digits; keep spaces and ASCII punctuation.

    Every character becomes one, so that offsets stay. What is none of these becomes a question
    mark. The lengths of words remain, and punctuation: it is a shape, not a proof of anonymity.

    >>> shape("Dr. Ames, 31yo")
    'Aa. Aaaa, 00aa'
    """
    return "".join(map(_shape, text))


def _shape(character: str) -> str:
    if character.isspace():
        return " "
    if character in _KEPT:
        return character
    kind = unicodedata.category(character)
    if kind in {"Lu", "Lt"}:
        return "A"
    if kind[0] in "LM":
        return "a"
    return "0" if kind[0] == "N" else "?"

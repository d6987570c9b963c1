"""The template language: one template, read and filled.

`templates/SYNTAX.md` describes the language. A template knows nothing of where values come
from: it asks a `Facts` for them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from annoseq.pairs.markup import Span

if TYPE_CHECKING:
    from random import Random

_SLOT = (
    r"<(?:(?P<label>[A-Z]+(?::[A-Z]+)?) )?(?P<value>[A-Za-z]\w*(?:\.\w+)?)"
    r"(?: (?P<range>[\d.]+-[\d.]+))?>"
)
_PART = re.compile(_SLOT + r"|(?P<article>\b[Aa])\(n\)|\{(?P<choice>[^{}]*)\}")
_CONDITION = re.compile(r"\((?P<condition>[a-z]+)\) ")
_VOWEL = re.compile(r"(?!uni|use|eu|one)[aeiou]|8|(?:11|18)(?!\d)", re.IGNORECASE)


class Facts(Protocol):
    """What a template asks while it is filled."""

    def value(self, name: str, limits: str) -> str:
        """Return the value of a slot, `limits` being its range or empty."""
        ...

    def holds(self, condition: str) -> bool:
        """Tell whether the condition before a template is met."""
        ...


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for a value; without a label it is ordinary text."""

    label: str
    value: str
    limits: str


@dataclass(frozen=True, slots=True)
class Article:
    """`a` or `an`, as what follows demands."""

    letter: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several wordings."""

    options: tuple[tuple[Part, ...], ...]


Part: TypeAlias = str | Slot | Article | Choice


@dataclass(frozen=True, slots=True)
class Template:
    """One row to be."""

    text: str
    condition: str
    parts: tuple[Part, ...]


def parse_template(text: str, where: str) -> Template:
    """Read one template.

    Raises:
        ValueError: a slot or a choice is not in the language.
    """
    condition = _CONDITION.match(text)
    body = text[condition.end() :] if condition else text
    return Template(text, condition["condition"] if condition else "", _parts(body, where))


def _parts(text: str, where: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    cursor = 0
    for found in _PART.finditer(text):
        parts.append(text[cursor : found.start()])
        cursor = found.end()
        if found["value"]:
            parts.append(Slot(found["label"] or "", found["value"], found["range"] or ""))
        elif found["article"]:
            parts.append(Article(found["article"]))
        else:
            options = found["choice"].split("|")
            parts.append(Choice(tuple(_parts(option, where) for option in options)))
    parts.append(text[cursor:])
    left = "".join(part for part in parts if isinstance(part, str))
    if stray := re.search(r"<(?! )|[{}]|(?<! )>", left):
        raise ValueError(f"{where} has a stray {stray[0]!r}. Write it as SYNTAX.md says.")
    return tuple(part for part in parts if part != "")


def fill(template: Template, facts: Facts, rng: Random) -> tuple[str, list[Span]]:
    """Return the template's text with its values, and the spans of its labelled slots.

    A value that begins with `the` leaves it outside the span: the day in "the 14th of March"
    is "14th of March".
    """
    pieces = list(_pieces(template.parts, facts, rng))
    text = ""
    spans: list[Span] = []
    for index, (drawn, label) in enumerate(pieces):
        # An abbreviation at the end of a sentence has one full stop: "b.i.d."
        piece = drawn.removeprefix(".") if text.endswith(".") else drawn
        if label == "a(n)":
            follows = "".join(later for later, _ in pieces[index + 1 :]).lstrip()
            text += piece + ("n" if _VOWEL.match(follows) else "")
            continue
        if label:
            bare = piece.removeprefix("the ")
            start = len(text) + len(piece) - len(bare)
            spans.append(Span(start, start + len(bare), label))
        text += piece
    return text, spans


def _pieces(parts: tuple[Part, ...], facts: Facts, rng: Random) -> list[tuple[str, str]]:
    pieces: list[tuple[str, str]] = []
    for part in parts:
        match part:
            case str():
                pieces.append((part, ""))
            case Article():
                pieces.append((part.letter, "a(n)"))
            case Slot():
                pieces.append((facts.value(part.value, part.limits), part.label))
            case Choice():
                pieces += _pieces(rng.choice(part.options), facts, rng)
    return pieces

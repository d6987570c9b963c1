"""Note templates: the template language, and the document types made of templates.

`templates/SYNTAX.md` describes the language. A template knows nothing of where values come
from: it asks a `Facts` for them.

`templates/SYNTAX.md` describes the files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Protocol, TypeAlias

from annoseq.data.markup import Span

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable
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


_AGES = re.compile(r"@ages (\d+)-(\d+)")
_SECTION = re.compile(
    r"\[(?P<name>[a-z ]+?)(?: (?P<few>\d+)-(?P<many>\d+))?(?P<pools>(?: \+\w+ \d+-\d+)*)\]"
)
_POOL = re.compile(r"\+(\w+) (\d+)-(\d+)")


@dataclass(frozen=True, slots=True)
class Line:
    """Templates that can stand in for each other."""

    wordings: tuple[Template, ...]
    is_optional: bool


@dataclass(frozen=True, slots=True)
class Section:
    """Lines in order, `few` to `many` of them (all when `many` is 0), and draws from pools."""

    name: str
    few: int
    many: int
    pools: tuple[tuple[str, int, int], ...]
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of document."""

    name: str
    ages: tuple[int, int]
    is_planned: bool
    sections: tuple[Section, ...]


@cache
def load_kinds() -> tuple[Kind, ...]:
    """Read every kind of document, in the order of their names."""
    return tuple(parse_kind(name, text) for name, text in _read("templates"))


@cache
def load_pools() -> dict[str, tuple[Line, ...]]:
    """Read the pools of lines that several kinds share."""
    return {
        name: tuple(line for section in parse_kind(name, text).sections for line in section.lines)
        for name, text in _read("templates/shared")
    }


def _read(folder: str) -> list[tuple[str, str]]:
    def named(file: Traversable) -> str:
        return file.name

    found = sorted((files(__package__) / folder).iterdir(), key=named)
    texts = (file for file in found if file.name.endswith(".txt"))
    return [(file.name.removesuffix(".txt"), file.read_text(encoding="utf-8")) for file in texts]


def parse_kind(name: str, text: str) -> Kind:
    """Read one template file.

    Raises:
        ValueError: a line is not in the language; the message names it.
    """
    ages = (0, 101)
    is_planned = False
    sections: list[Section] = []
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{name}.txt: line {number}"
        if not line or line.startswith("#"):
            continue
        if found := _AGES.fullmatch(line):
            ages = (int(found[1]), int(found[2]))
        elif line == "@planned":
            is_planned = True
        elif found := _SECTION.fullmatch(line):
            pools = [
                (pool, int(few), int(many)) for pool, few, many in _POOL.findall(found["pools"])
            ]
            few, many = int(found["few"] or 0), int(found["many"] or 0)
            sections.append(Section(found["name"], few, many, tuple(pools), []))
        elif not sections:
            raise ValueError(f"{where} stands before the first [section]. Put it below one.")
        else:
            _add_line(sections[-1].lines, line, where)
    return Kind(name, ages, is_planned, tuple(sections))


def _add_line(lines: list[Line], line: str, where: str) -> None:
    if not line.startswith("| "):
        lines.append(Line((parse_template(line.removeprefix("? "), where),), line.startswith("? ")))
    elif not lines:
        raise ValueError(f"{where} is another wording of nothing. Put it below a template.")
    else:
        wordings = (*lines[-1].wordings, parse_template(line.removeprefix("| "), where))
        lines[-1] = Line(wordings, lines[-1].is_optional)


def document_lines(kind: Kind, facts: Facts, rng: Random) -> list[Template]:
    """Choose the templates of one document; a pool's line comes at most once in it."""
    chosen: list[Template] = []
    used: set[str] = set()
    for section in kind.sections:
        own = [
            index
            for index, line in enumerate(section.lines)
            if not line.is_optional or rng.random() < 0.5
        ]
        if section.many:
            own = sorted(rng.sample(own, min(len(own), rng.randint(section.few, section.many))))
        lines = [section.lines[index] for index in own]
        for pool, few, many in section.pools:
            fresh = [line for line in load_pools()[pool] if line.wordings[0].text not in used]
            for line in rng.sample(fresh, min(len(fresh), rng.randint(few, many))):
                used.add(line.wordings[0].text)
                lines.insert(rng.randint(min(2, len(lines)), len(lines)), line)
        for line in lines:
            fitting = [each for each in line.wordings if facts.holds(each.condition)]
            chosen += [rng.choice(fitting)] if fitting else []
    return chosen

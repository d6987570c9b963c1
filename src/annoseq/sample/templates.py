"""Note templates: the template language, and the document types that are made of templates.

`templates/SYNTAX.md` describes the language.
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
_PART = re.compile(_SLOT + r"|(?P<article>\b[Aa])\(n\)|\{(?P<alternatives>[^{}]*)\}")
_STRAY = re.compile(r"<(?! )|[{}]|(?<! )>")
_CONDITION = re.compile(r"\((?P<condition>[a-z]+)\) ")
_VOWEL_SOUND = re.compile(r"(?!uni|use|eu|one)[aeiou]|8|(?:11|18)(?!\d)", re.IGNORECASE)
_AGES = re.compile(r"@ages (\d+)-(\d+)")
_SECTION = re.compile(
    r"\[(?P<name>[a-z ]+?)(?: (?P<least>\d+)-(?P<most>\d+))?(?P<pools>(?: \+\w+ \d+-\d+)*)\]"
)
_POOL = re.compile(r"\+(\w+) (\d+)-(\d+)")


class TemplateContext(Protocol):
    """Source of the values and conditions of templates."""

    def value(self, name: str, limits: str) -> str:
        """Return the value of a slot; `limits` is its range, or empty."""
        ...

    def meets(self, condition: str) -> bool:
        """Return True if the condition of a template is met."""
        ...


@dataclass(frozen=True, slots=True)
class Slot:
    """Placeholder of a value; one without a label is not annotated."""

    label: str
    value: str
    limits: str


@dataclass(frozen=True, slots=True)
class Article:
    """Placeholder of `a` or `an`, to agree with the next word."""

    letter: str


@dataclass(frozen=True, slots=True)
class Alternatives:
    """Wordings of which one is drawn."""

    options: tuple[tuple[TemplatePart, ...], ...]


TemplatePart: TypeAlias = str | Slot | Article | Alternatives


@dataclass(frozen=True, slots=True)
class NoteTemplate:
    """Template of a row; `text` is its source, `condition` is empty if it always fits."""

    text: str
    condition: str
    parts: tuple[TemplatePart, ...]


def parse_template(text: str, where: str) -> NoteTemplate:
    """Parse a template, whose place in its file error messages call `where`.

    Raises:
        ValueError: the template has a syntax error.
    """
    condition = _CONDITION.match(text)
    body = text[condition.end() :] if condition else text
    parts = _parse_parts(body, where)
    return NoteTemplate(text, condition["condition"] if condition else "", parts)


def _parse_parts(text: str, where: str) -> tuple[TemplatePart, ...]:
    parts: list[TemplatePart] = []
    cursor = 0
    for match in _PART.finditer(text):
        parts.append(text[cursor : match.start()])
        cursor = match.end()
        if match["value"]:
            parts.append(Slot(match["label"] or "", match["value"], match["range"] or ""))
        elif match["article"]:
            parts.append(Article(match["article"]))
        else:
            options = match["alternatives"].split("|")
            parts.append(Alternatives(tuple(_parse_parts(option, where) for option in options)))
    parts.append(text[cursor:])
    literals = "".join(part for part in parts if isinstance(part, str))
    if stray := _STRAY.search(literals):
        raise ValueError(f"{where} has a stray {stray[0]!r}. Write it as SYNTAX.md says.")
    return tuple(part for part in parts if part != "")


def fill_template(
    template: NoteTemplate, context: TemplateContext, rng: Random
) -> tuple[str, list[Span]]:
    """Return the text of a template with its values, and the spans of its labelled slots.

    The article of a value stays outside its span: of "the 14th of March", the span is
    "14th of March".
    """
    pieces = _draw_pieces(template.parts, context, rng)
    text = ""
    spans: list[Span] = []
    for index, (part, value) in enumerate(pieces):
        # An abbreviation at the end of a sentence has one full stop: "b.i.d."
        piece = value.removeprefix(".") if text.endswith(".") else value
        if isinstance(part, Article):
            following = "".join(value for _, value in pieces[index + 1 :]).lstrip()
            piece += "n" if _VOWEL_SOUND.match(following) else ""
        elif isinstance(part, Slot) and part.label:
            bare = piece.removeprefix("the ")
            start = len(text) + len(piece) - len(bare)
            spans.append(Span(start, start + len(bare), part.label))
        text += piece
    return text, spans


def _draw_pieces(
    parts: tuple[TemplatePart, ...], context: TemplateContext, rng: Random
) -> list[tuple[str | Slot | Article, str]]:
    """Draw alternatives and values; return the parts with their texts."""
    pieces: list[tuple[str | Slot | Article, str]] = []
    for part in parts:
        match part:
            case str():
                pieces.append((part, part))
            case Article():
                pieces.append((part, part.letter))
            case Slot():
                pieces.append((part, context.value(part.value, part.limits)))
            case Alternatives():
                pieces += _draw_pieces(rng.choice(part.options), context, rng)
    return pieces


@dataclass(frozen=True, slots=True)
class TemplateLine:
    """A row of a section: templates of which one that fits is drawn."""

    templates: tuple[NoteTemplate, ...]
    is_optional: bool


@dataclass(frozen=True, slots=True)
class TemplateSection:
    """Lines in order, `least` to `most` of them (all if `most` is 0), and lines from pools.

    `pools` are names of pools with the least and the greatest number of lines drawn from each.
    """

    name: str
    least: int
    most: int
    pools: tuple[tuple[str, int, int], ...]
    lines: list[TemplateLine]


@dataclass(frozen=True, slots=True)
class DocumentType:
    """A type of note, with the ages of its patients; `is_planned` excludes emergencies."""

    name: str
    ages: tuple[int, int]
    is_planned: bool
    sections: tuple[TemplateSection, ...]


@cache
def load_document_types() -> tuple[DocumentType, ...]:
    """Read all document types, in the order of their names."""
    return tuple(parse_document_type(name, text) for name, text in _read_templates("templates"))


@cache
def load_pools() -> dict[str, tuple[TemplateLine, ...]]:
    """Read the pools of lines that several document types share."""
    pools = {}
    for name, text in _read_templates("templates/shared"):
        sections = parse_document_type(name, text).sections
        pools[name] = tuple(line for section in sections for line in section.lines)
    return pools


def _read_templates(folder: str) -> list[tuple[str, str]]:
    """Return the names and texts of the template files in a folder, in the order of names."""

    def name_of(file: Traversable) -> str:
        return file.name

    entries = sorted((files(__package__) / folder).iterdir(), key=name_of)
    text_files = (file for file in entries if file.name.endswith(".txt"))
    return [
        (file.name.removesuffix(".txt"), file.read_text(encoding="utf-8")) for file in text_files
    ]


def parse_document_type(name: str, text: str) -> DocumentType:
    """Parse a template file.

    Raises:
        ValueError: a line has a syntax error; the message names the line.
    """
    ages = (0, 101)
    is_planned = False
    sections: list[TemplateSection] = []
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{name}.txt: line {number}"
        if not line or line.startswith("#"):
            continue
        if match := _AGES.fullmatch(line):
            ages = (int(match[1]), int(match[2]))
        elif line == "@planned":
            is_planned = True
        elif match := _SECTION.fullmatch(line):
            sections.append(_parse_section(match))
        elif not sections:
            raise ValueError(f"{where} stands before the first [section]. Put it below one.")
        else:
            _add_line(sections[-1].lines, line, where)
    return DocumentType(name, ages, is_planned, tuple(sections))


def _parse_section(match: re.Match[str]) -> TemplateSection:
    pools = tuple(
        (name, int(least), int(most)) for name, least, most in _POOL.findall(match["pools"])
    )
    return TemplateSection(
        match["name"], int(match["least"] or 0), int(match["most"] or 0), pools, []
    )


def _add_line(lines: list[TemplateLine], line: str, where: str) -> None:
    if not line.startswith("| "):
        template = parse_template(line.removeprefix("? "), where)
        lines.append(TemplateLine((template,), line.startswith("? ")))
    elif not lines:
        raise ValueError(f"{where} is another wording of nothing. Put it below a template.")
    else:
        templates = (*lines[-1].templates, parse_template(line.removeprefix("| "), where))
        lines[-1] = TemplateLine(templates, lines[-1].is_optional)


def draw_templates(
    document_type: DocumentType, context: TemplateContext, rng: Random
) -> list[NoteTemplate]:
    """Draw the templates of a document; a line of a pool occurs at most once in it."""
    templates: list[NoteTemplate] = []
    used: set[str] = set()
    for section in document_type.sections:
        for line in _draw_lines(section, used, rng):
            fitting = [each for each in line.templates if context.meets(each.condition)]
            templates += [rng.choice(fitting)] if fitting else []
    return templates


def _draw_lines(section: TemplateSection, used: set[str], rng: Random) -> list[TemplateLine]:
    """Draw the lines of a section, and add those from pools to the `used` ones."""
    indices = [
        index
        for index, line in enumerate(section.lines)
        if not line.is_optional or rng.random() < 0.5
    ]
    if section.most:
        count = min(len(indices), rng.randint(section.least, section.most))
        indices = sorted(rng.sample(indices, count))
    lines = [section.lines[index] for index in indices]
    for pool, least, most in section.pools:
        unused = [line for line in load_pools()[pool] if line.templates[0].text not in used]
        for line in rng.sample(unused, min(len(unused), rng.randint(least, most))):
            used.add(line.templates[0].text)
            lines.insert(rng.randint(min(2, len(lines)), len(lines)), line)
    return lines

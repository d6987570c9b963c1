r"""Inline markup to character spans, and back.

An annotated text is the original text plus tags: `{{LABEL}}` opens a span and
`{{/LABEL}}` closes the innermost open one. Text that looks like a tag is told from
a tag by a backslash after its braces: the original `{{X}}` is written `{{\X}}` in
annotated text, `{{\X}}` is written `{{\\X}}`, and so on. Because the escape lies
inside the braces, nothing that stands before or after a tag can change what it means.
`docs/reference/markup.md` is the grammar for users.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from annoseq.errors import MarkupError, display_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LABEL_PATTERN = r"[^\s\x1c-\x1f{}\\/][^\s\x1c-\x1f{}\\]*"
"""A label: no white space, braces or backslash, and no slash in front. Read by `re` and by the
pre-tokenizer's regular expressions alike (U+001C to U+001F are white space to `re` only)."""

_LABEL = re.compile(LABEL_PATTERN)
_TAG = re.compile(r"\{\{(?P<close>/?)(?P<label>" + LABEL_PATTERN + r")\}\}")
_TAG_LIKE = re.compile(r"\{\{(?P<escape>\\*)(?P<tag>/?" + LABEL_PATTERN + r")\}\}")


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A labelled piece of the original text: `text[start:end]`, end excluded."""

    start: int
    end: int
    label: str
    score: float | None = field(default=None, compare=False, repr=False)
    """Probability given by a model, if any."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag of an annotated text, at character `at` of it."""

    label: str
    closes: bool
    at: int

    def __str__(self) -> str:
        return closing(self.label) if self.closes else opening(self.label)


def _shown(label: str, *, closes: bool) -> str:
    """Return a tag for a message."""
    name = display_name(label, kind="label")
    return closing(name) if closes else opening(name)


def trim_range(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the range `text[start:end]` without white space at its edges.

    A range of white space alone is returned as it is.

    >>> trim_range("Dr. Ames ", 3, 9)
    (4, 8)
    """
    covered = text[start:end]
    trimmed_start = start + len(covered) - len(covered.lstrip())
    trimmed_end = start + len(covered.rstrip())
    return (trimmed_start, trimmed_end) if trimmed_start < trimmed_end else (start, end)


def tighten(text: str, span: Span) -> Span:
    """Return a span without white space at its edges; one of white space alone is kept as it is.

    >>> tighten("Dr. Ames ", Span(3, 9, "NAME"))
    Span(start=4, end=8, label='NAME')
    """
    start, end = trim_range(text, span.start, span.end)
    return Span(start, end, span.label, span.score)


def opening(label: str) -> str:
    """Return the tag that opens a span."""
    return "{{" + label + "}}"


def closing(label: str) -> str:
    """Return the tag that closes a span."""
    return "{{/" + label + "}}"


def is_label(text: str) -> bool:
    """Return True if `text` is valid in a tag."""
    return _LABEL.fullmatch(text) is not None


def has_tag_like(text: str) -> bool:
    """Return True if an original text holds something that its annotated text must escape."""
    return _TAG_LIKE.search(text) is not None


def escape(text: str) -> str:
    r"""Escape original text so that nothing in it reads as a tag.

    >>> print(escape("Dear {{NAME}}"))
    Dear {{\NAME}}
    """
    if "{{" not in text:  # nearly always, and seven times as fast
        return text
    return _TAG_LIKE.sub(r"{{\\\g<escape>\g<tag>}}", text)


def unescape(text: str) -> str:
    r"""Undo `escape`.

    >>> unescape(r"Dear {{\NAME}}")
    'Dear {{NAME}}'
    """
    return _TAG_LIKE.sub(lambda match: "{{" + match["escape"][1:] + match["tag"] + "}}", text)


def has_tag(text: str) -> bool:
    """Return True if a text holds a tag.

    >>> has_tag("{{NAME}}Ames"), has_tag(r"Dear {{\\NAME}}")
    (True, False)
    """
    return _TAG.search(text) is not None


def strip_tags(annotated: str) -> str:
    """Remove every tag, well nested or not, and undo the escapes.

    >>> strip_tags("Dr. {{NAME}}Ames{{/NAME}}:")
    'Dr. Ames:'
    """
    return "".join(unescape(piece) for piece in scan(annotated) if isinstance(piece, str))


def scan(annotated: str) -> Iterator[str | Tag]:
    """Split annotated text into tags and the (still escaped) text between them.

    >>> [str(piece) for piece in scan("{{A}}x{{/A}}")]
    ['{{A}}', 'x', '{{/A}}']
    """
    cursor = 0
    for match in _TAG.finditer(annotated):
        if match.start() > cursor:
            yield annotated[cursor : match.start()]
        yield Tag(match["label"], bool(match["close"]), match.start())
        cursor = match.end()
    if cursor < len(annotated):
        yield annotated[cursor:]


def parse(annotated: str) -> tuple[str, list[Span]]:
    """Split annotated text into the original text and its spans, in opening order.

    Offsets count Unicode code points of the returned text, so `text[span.start:span.end]`
    is always the marked piece. Nested tags are kept; crossing tags are an error, because
    no tree can hold them.

    >>> parse("Dr. {{NAME}}Ames{{/NAME}}:")
    ('Dr. Ames:', [Span(start=4, end=8, label='NAME')])

    Raises:
        MarkupError: a tag closes what is not open, is left open, or encloses nothing.
    """
    pieces: list[str] = []
    stack = TagStack()
    length = 0
    for piece in scan(annotated):
        if isinstance(piece, Tag):
            stack.push_or_pop(piece, length)
        else:
            pieces.append(unescape(piece))
            length += len(pieces[-1])
    return "".join(pieces), stack.spans()


def render(text: str, spans: Iterable[Span]) -> str:
    """Render a text with its spans as annotated text: the inverse of `parse`.

    Spans that cover the same piece are nested in the order given, the first outside.

    >>> render("Dr. Ames:", [Span(4, 8, "NAME")])
    'Dr. {{NAME}}Ames{{/NAME}}:'

    Raises:
        MarkupError: a span is empty, lies outside the text, crosses another, or has a
            label that cannot stand in a tag.
    """
    spans = sorted(spans, key=_opening_order)
    if not spans:
        return escape(text)
    opened: list[Span] = []
    for span in spans:
        while opened and opened[-1].end <= span.start:
            opened.pop()
        _check(span, length=len(text), inside=opened[-1] if opened else None)
        opened.append(span)
    return insert_tags(text, spans, open_tag=opening, close_tag=closing, escape_text=escape)


def insert_tags(
    text: str,
    spans: Iterable[Span],
    *,
    open_tag: Callable[[str], str],
    close_tag: Callable[[str], str],
    escape_text: Callable[[str], str],
) -> str:
    """Insert tags around the well-nested spans of a text, in any syntax.

    Tags are made of labels. Of spans that cover the same piece, the first one is outside.
    """
    pieces: list[str] = []
    opened: list[Span] = []
    cursor = 0

    def copy_until(end: int) -> None:
        nonlocal cursor
        pieces.append(escape_text(text[cursor:end]))
        cursor = end

    def close_until(offset: int) -> None:
        while opened and opened[-1].end <= offset:
            span = opened.pop()
            copy_until(span.end)
            pieces.append(close_tag(span.label))

    for span in sorted(spans, key=_opening_order):
        close_until(span.start)
        copy_until(span.start)
        pieces.append(open_tag(span.label))
        opened.append(span)
    close_until(len(text))
    copy_until(len(text))
    return "".join(pieces)


def _opening_order(span: Span) -> tuple[int, int]:
    return span.start, -span.end


def _check(span: Span, *, length: int, inside: Span | None) -> None:
    if not is_label(span.label):
        raise MarkupError(
            f"a span has the label {span.label!r}, which cannot stand in a tag",
            at=span.start,
            hint="Use a label without white space, braces and backslashes.",
        )
    if not 0 <= span.start < span.end <= length:
        raise MarkupError(
            f"a {span.label} span from {span.start} to {span.end} is empty or outside the text",
            at=span.start,
            hint=f"Use 0 <= start < end <= {length}.",
        )
    if inside is not None and span.end > inside.end:
        raise MarkupError(
            f"a {span.label} span from {span.start} to {span.end} crosses a {inside.label} span "
            f"from {inside.start} to {inside.end}",
            at=span.start,
            hint="Let one span lie inside the other, or let them be apart.",
        )


class TagStack:
    """Stack of open tags; collects the spans of well-nested tags."""

    def __init__(self) -> None:
        self._opened: list[tuple[int, int, Tag]] = []  # order of opening, start, tag
        self._spans: list[tuple[int, Span]] = []  # order of opening, span
        self._count = 0

    def push_or_pop(self, tag: Tag, place: int) -> None:
        """Open or close a span at `place`, a character of the original text.

        Raises:
            MarkupError: the tag closes what is not open, or encloses nothing.
        """
        if not tag.closes:
            self._opened.append((self._count, place, tag))
            self._count += 1
            return
        if not self._opened or self._opened[-1][2].label != tag.label:
            label = self._opened[-1][2].label if self._opened else None
            expected = "no closing tag" if label is None else _shown(label, closes=True)
            raise MarkupError(
                f"found {_shown(tag.label, closes=True)} where {expected} was expected",
                at=tag.at,
                hint="Close tags in the reverse of the order they were opened.",
            )
        order, start, _ = self._opened.pop()
        if start >= place:
            raise MarkupError(
                f"{_shown(tag.label, closes=False)} and {_shown(tag.label, closes=True)} "
                "enclose nothing",
                at=tag.at,
                hint="Remove both tags, or move them around a piece of text.",
            )
        self._spans.append((order, Span(start, place, tag.label)))

    def spans(self) -> list[Span]:
        """Return the spans in opening order.

        Raises:
            MarkupError: a tag was never closed.
        """
        if self._opened:
            tag = self._opened[-1][2]
            raise MarkupError(
                f"{_shown(tag.label, closes=False)} is never closed",
                at=tag.at,
                hint=f"Add {_shown(tag.label, closes=True)}.",
            )
        return [span for _, span in sorted(self._spans)]

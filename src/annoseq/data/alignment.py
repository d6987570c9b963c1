"""Alignment of an annotated text with its original text, tolerant of added white space.

On request also of different white space, Unicode form, quotes and dashes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from annoseq.data.markup import Span, Tag, TagStack, escape, parse, render, scan, unescape
from annoseq.data.normalization import normalize
from annoseq.errors import MismatchError


@dataclass(frozen=True, slots=True)
class Alignment:
    """The spans of a pair; `is_padded` if the markup added white space around its tags."""

    spans: list[Span]
    is_padded: bool


def align(text: str, annotated: str) -> Alignment:
    """Return the spans of `text` that `annotated` marks.

    White space beside a tag that the original does not have is accepted, and the spans are
    then tight around their text.

    >>> align("Dr. Ames:", "Dr. {{NAME}} Ames {{/NAME}} :")
    Alignment(spans=[Span(start=4, end=8, label='NAME')], is_padded=True)

    Raises:
        MarkupError: the tags are not well nested.
        MismatchError: the annotated text without its tags is another text.
    """
    stripped, spans = parse(annotated)
    if stripped == text:
        return Alignment(spans, is_padded=False)
    return Alignment(_align_padded(text, annotated), is_padded=True)


def align_normalized(text: str, annotated: str) -> list[Span]:
    r"""Return the spans of `text` that `annotated` marks, where both are the same once normalized.

    Offsets are those of `text` as it is.

    >>> align_normalized("Dr.\u00a0Ames ", "Dr. {{NAME}}Ames{{/NAME}}")
    [Span(start=4, end=8, label='NAME')]

    Raises:
        MarkupError: the tags are not well nested.
        MismatchError: the texts differ in more than that.
    """
    try:
        return align(text, annotated).spans
    except MismatchError as error:
        original = normalize(text)
        try:
            spans = align(original.text, _normalize_between_tags(annotated)).spans
        except MismatchError:
            raise error from None  # its places are those of the texts as they are
    mapped = [Span(*original.original_range(span.start, span.end), span.label) for span in spans]
    render(text, mapped)  # raises if spans that part a character cross in the original
    return mapped


def _normalize_between_tags(annotated: str) -> str:
    """Normalize the text around tags; white space at both sides of a tag stays."""
    pieces: list[str] = []
    for piece in scan(annotated):
        if isinstance(piece, Tag):
            pieces.append(str(piece))
            continue
        text = unescape(piece)
        core = normalize(text).text
        before = " " * text[:1].isspace()
        after = " " * (text[-1:].isspace() and bool(core))
        pieces.append(f"{before}{escape(core)}{after}")
    return "".join(pieces).strip()


def _align_padded(text: str, annotated: str) -> list[Span]:
    """Align both texts; the original may have less white space beside tags.

    The annotated text is a row of gaps, each a run of tags and the white space in and around
    it, with text in between that must be the original's own.
    """
    stack = TagStack()
    place = consumed = 0  # characters of the original, of the annotated text without its tags
    for core, gap, tags in _cores_and_gaps(annotated):
        if not text.startswith(core, place):
            other = text[place : place + len(core)]
            common = len(os.path.commonprefix([core, other]))  # noqa: RUF071 - characters are meant
            raise MismatchError(at=place + common, at_annotated=consumed + common)
        place += len(core)
        consumed += len(core)
        before = place
        while place < len(text) and text[place].isspace() and tags:
            place += 1
        if not _is_subsequence(text[before:place], gap):
            raise MismatchError(at=before, at_annotated=consumed)
        consumed += len(gap)
        for tag in tags:
            stack.push_or_pop(tag, before if tag.closes else place)
    if place < len(text):
        raise MismatchError(at=place, at_annotated=consumed)
    return stack.spans()


def _cores_and_gaps(annotated: str) -> list[tuple[str, str, list[Tag]]]:
    """Split into (text, the white space of the gap after it, the tags of that gap)."""
    segments: list[tuple[str, str, list[Tag]]] = [("", "", [])]
    pieces = list(scan(annotated))
    for index, piece in enumerate(pieces):
        core, gap, tags = segments[-1]
        if isinstance(piece, Tag):
            tags.append(piece)
            continue
        text = unescape(piece)
        after_tag, before_tag = index > 0, index + 1 < len(pieces)
        middle = text.lstrip() if after_tag else text
        lead = text[: len(text) - len(middle)]
        inner = middle.rstrip() if before_tag else middle
        trail = middle[len(inner) :]
        segments[-1] = (core, gap + lead, tags)
        if inner:
            segments.append((inner, trail, []))
        elif trail:
            segments[-1] = (core, gap + lead + trail, tags)
    return segments


def _is_subsequence(short: str, long: str) -> bool:
    remaining = iter(long)
    return all(character in remaining for character in short)

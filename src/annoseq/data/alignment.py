"""Alignment of an annotated text with its original text, tolerant of added white space.

On request also of different white space, Unicode form, quotes and dashes: texts are compared in a
normalized form whose offsets map back, so that no character of the original changes.
"""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from annoseq.data.markup import Span, Tag, TagStack, escape, parse, render, scan, unescape
from annoseq.errors import MismatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_PUNCTUATION = str.maketrans(
    dict.fromkeys("‘’‚‛′`´", "'") | dict.fromkeys("“”„‟″«»", '"') | dict.fromkeys("‐‑‒–—―−", "-")
)
_INVISIBLE = frozenset("\u00ad\u200b\u2060\ufeff")
"""Soft hyphen, zero-width space, word joiner and byte order mark."""
_WITHOUT = str.maketrans(dict.fromkeys(_INVISIBLE, ""))


class NormalizedText(NamedTuple):
    """A normalized text; character `i` of it stands for `original[starts[i]:ends[i]]`."""

    text: str
    starts: list[int]
    ends: list[int]

    def original_range(self, start: int, end: int) -> tuple[int, int]:
        """Return the range of the original that a range of the normalized text stands for."""
        return self.starts[start], self.ends[end - 1]


class _Character(NamedTuple):
    text: str
    start: int
    end: int


def normalize(text: str) -> NormalizedText:
    r"""Normalize a text: NFKD, straight quotes, hyphens for dashes, one space for white space.

    White space at both ends and invisible characters are removed.

    >>> normalize("\u201cAmes\u201d\u00a0\r\n").text
    '"Ames"'
    """
    characters: list[_Character] = []
    for character in _decomposed_characters(text):
        if not character.text.isspace():
            characters.append(character)
        elif characters and characters[-1].text == " ":
            characters[-1] = characters[-1]._replace(end=character.end)
        else:
            characters.append(character._replace(text=" "))
    first = int(bool(characters) and characters[0].text == " ")
    if len(characters) > first and characters[-1].text == " ":
        characters.pop()
    kept = characters[first:]
    return NormalizedText(
        "".join(character.text for character in kept),
        [character.start for character in kept],
        [character.end for character in kept],
    )


def _decomposed_characters(text: str) -> Iterator[_Character]:
    """Yield the characters that the visible ones decompose into, with their places."""
    run: list[_Character] = []  # combining characters, which NFKD puts in their canonical order
    for at, character in enumerate(text):
        if character in _INVISIBLE:
            continue
        for part in _decompose_character(character):
            if unicodedata.combining(part):
                run.append(_Character(part, at, at + 1))
                continue
            if run:
                yield from sorted(run, key=_combining_class)
                run.clear()
            yield _Character(part, at, at + 1)
    yield from sorted(run, key=_combining_class)


def _combining_class(character: _Character) -> int:
    return unicodedata.combining(character.text)


def _decompose_character(character: str) -> str:
    if character.isascii():  # most of most texts
        return "'" if character == "`" else character
    return _decompose(character)


def _decompose(text: str) -> str:
    # Quotes first: the compatibility decomposition of an acute accent is a space with an accent.
    plain = unicodedata.normalize("NFD", text).translate(_PUNCTUATION)
    return unicodedata.normalize("NFKD", plain).translate(_PUNCTUATION)


def describe_only_difference(first: str, second: str) -> str | None:
    r"""Name the normalization under which two different texts are the same, if there is one.

    >>> describe_only_difference("Dr.\u00a0Ames", "Dr. Ames")
    'only white space differs'
    """
    if first == second:
        return None
    for name, normal_form in _NORMAL_FORMS.items():
        if normal_form(first) == normal_form(second):
            return name
    # White space, form and quotes may differ at once.
    if _compact(first) == _compact(second):
        return "only white space, Unicode form, quotes and dashes differ"
    return None


def _compact(text: str) -> str:
    """Return the normalized text without white space, faster than `normalize`."""
    return unicodedata.normalize("NFKD", _remove_space(_decompose(text).translate(_WITHOUT)))


def _remove_space(text: str) -> str:
    return "".join(text.split())


_NORMAL_FORMS: dict[str, Callable[[str], object]] = {
    "only line ends differ": str.splitlines,
    "only white space differs": _remove_space,
    "only the Unicode normalisation (NFC, NFD) differs": lambda text: unicodedata.normalize(
        "NFC", text
    ),
    "only quotes and dashes differ": lambda text: text.translate(_PUNCTUATION),
    "only look-alike characters (Unicode NFKC) differ": lambda text: unicodedata.normalize(
        "NFKC", text
    ),
    "only upper and lower case differ": str.casefold,
}


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

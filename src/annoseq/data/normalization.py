r"""Normalization of white space, Unicode form, quotes and dashes, with offsets into the original.

It serves comparison only: spans that are found in a normalized text are mapped back, so that no
character of the original changes.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, NamedTuple

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

"""Words of any script, and the one form that all spellings of a word have in common.

A letter and its combining marks belong together: they may be one character or several. Two words
are the same if they differ only in case and in Unicode form (NFC and NFD): definition D145 of the
Unicode Standard, canonical caseless matching. Marks that most writers leave out do not count, nor
do characters that are not displayed, such as the soft hyphen. The i of Turkish, with a dot or
without, is an i: texts in capitals do not tell which. Typographic hyphens and apostrophes are
those of ASCII.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from unicodedata import combining, normalize

import regex

if TYPE_CHECKING:
    from collections.abc import Sequence

IGNORABLE = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    r"\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Characters of the property Default_Ignorable_Code_Point, as in a set of a regular expression."""
_OPTIONAL_MARKS = (
    r"\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"  # Hebrew points and accents
    r"\u064b-\u0652\u0670"  # Arabic short vowels
)
_ZERO_WIDTH_SPACE = "\u200b"
_TYPOGRAPHIC = "\u2010\u2011\u2019"  # two hyphens and an apostrophe
# Of these sets, `re` is twice as fast as `regex`.
_OPTIONAL = re.compile(f"[{IGNORABLE}{_OPTIONAL_MARKS}]+")
_REWRITTEN = re.compile(f"[{IGNORABLE}{_OPTIONAL_MARKS}{_TYPOGRAPHIC}]")
_WRITTEN_AS = str.maketrans(_ZERO_WIDTH_SPACE + _TYPOGRAPHIC, " --'")
_NOT_DISPLAYED = re.compile(f"[{IGNORABLE}](?<!{_ZERO_WIDTH_SPACE})")
_DOTTED_I = re.compile("i\u0307+")
# In `regex`, a property is tested in half the time of a set of its characters.
_LETTER = r"[^\W\d_\p{M}\p{Default_Ignorable_Code_Point}]"
_LETTERS = r"[^\W\d_\p{Join_Control}]"
_JOINT = rf"[\p{{Default_Ignorable_Code_Point}}--{_ZERO_WIDTH_SPACE}]+"
"""Characters within a word or a number (UAX #29, WB4)."""
_WORD = rf"{_LETTER}{_LETTERS}*(?:{_JOINT}{_LETTERS}+)*"
LETTER = regex.compile(rf"{_LETTER}\p{{M}}*", regex.VERSION1)
"""A letter, with its marks."""
WORD = regex.compile(_WORD, regex.VERSION1)
"""A run of letters, each with its marks: to `regex`, marks are word characters."""
TOKEN = regex.compile(
    # As in `re`, the separators U+001C to U+001F are white space.
    rf"{_WORD}|\d+(?:{_JOINT}\d+)*|[^\w\s\x1c-\x1f\p{{Default_Ignorable_Code_Point}}]\p{{M}}*|"
    rf"[\p{{M}}--[{IGNORABLE}{_OPTIONAL_MARKS}]]\p{{M}}*|_",
    regex.VERSION1,
)
"""A word, a run of digits, or a single symbol with its marks."""


def compose(text: str) -> str:
    """Compose letters with their marks, and drop what does not count; case stays.

    Files of some systems have decomposed letters.

    >>> compose("Jose\u0301")
    'José'
    """
    return text if text.isascii() else normalize("NFC", _DOTTED_I.sub("i", _decompose(text)))


def fold(text: str) -> str:
    """Return the form that a text has in common with its other cases and Unicode forms.

    Texts are decomposed first, since a folded letter may be out of the order of marks, and composed
    last, since folding decomposes some letters.

    >>> fold("JOSE\u0301"), fold("Αγλα\u0390α") == fold("ΑΓΛΑ\u03aa\u0301Α")
    ('josé', True)
    >>> fold("\u0130smail"), fold("Gar\u00adcia")
    ('ismail', 'garcia')
    """
    if text.isascii():
        return text.lower()
    folded = _decompose(text).casefold().replace("\u0131", "i")
    if "\u0307" in folded:
        folded = _DOTTED_I.sub("i", folded)
    return normalize("NFC", folded)


def without_accents(text: str) -> str:
    """Return the folded form of a text without the accents that many writers leave out.

    >>> without_accents("ROCÍO")
    'rocio'
    """
    return "".join(one for one in normalize("NFD", fold(text)) if not combining(one))


def first_letter(word: str) -> str:
    """Return the first letter of a word, in capitals: the same for all its forms.

    >>> first_letter("ames"), first_letter("e\u0301mile")
    ('A', 'É')
    """
    return fold(word)[:1].upper()


def displayed_places(text: str) -> Sequence[int]:
    """Return the offsets of the characters that are displayed, white space among them.

    >>> list(displayed_places("a\u00adb\u200bc"))
    [0, 2, 3, 4]
    """
    if not _NOT_DISPLAYED.search(text):
        return range(len(text))
    return [place for place, letter in enumerate(text) if not _NOT_DISPLAYED.match(letter)]


def _decompose(text: str) -> str:
    """Decompose letters, and drop what does not count, also marks within a presentation form."""
    decomposed = normalize("NFD", text)
    if not _REWRITTEN.search(decomposed):
        return decomposed
    return normalize("NFD", _OPTIONAL.sub("", decomposed.translate(_WRITTEN_AS)))

"""Words of any script, and the one form that all spellings of a word have in common.

A letter and its combining marks belong together: they may be one character or several. Two words
are the same if they differ only in case and in Unicode form (NFC and NFD): definition D145 of the
Unicode Standard, canonical caseless matching. Marks that most writers leave out do not count.
"""

from __future__ import annotations

import re
from unicodedata import normalize

import regex

_OPTIONAL_MARKS = (
    r"\u034f\ufe00-\ufe0f\U000e0100-\U000e01ef"  # joiner of graphemes, variation selectors
    r"\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"  # Hebrew points and accents
    r"\u064b-\u0652\u0670"  # Arabic short vowels
)
_OPTIONAL = re.compile(f"[{_OPTIONAL_MARKS}]+")  # twice as fast as `regex` here
LETTER = regex.compile(r"[^\W\d_\p{M}\p{Join_Control}]\p{M}*")
"""A letter, with its marks."""
_WORD = r"[^\W\d_\p{M}\p{Join_Control}][^\W\d_\p{Join_Control}]*"
WORD = regex.compile(_WORD)
"""A run of letters, each with its marks: to `regex`, marks are word characters."""
TOKEN = regex.compile(
    # As in `re`, the separators U+001C to U+001F are white space.
    rf"{_WORD}|\d+|[^\w\s\x1c-\x1f]\p{{M}}*|[\p{{M}}--[{_OPTIONAL_MARKS}]]\p{{M}}*|[_\p{{Join_Control}}]",
    regex.VERSION1,
)
"""A word, a run of digits, or a single symbol with its marks."""


def compose(text: str) -> str:
    """Compose letters with their marks, and drop optional marks; case stays.

    Files of some systems have decomposed letters.

    >>> compose("Jose\u0301")
    'José'
    """
    return text if text.isascii() else normalize("NFC", _decompose(text))


def fold(text: str) -> str:
    """Return the form that a text has in common with its other cases and Unicode forms.

    Texts are decomposed first, since a folded letter may be out of the order of marks, and composed
    last, since folding decomposes some letters.

    >>> fold("JOSE\u0301"), fold("Αγλα\u0390α") == fold("ΑΓΛΑ\u03aa\u0301Α")
    ('josé', True)
    """
    if text.isascii():
        return text.lower()
    return normalize("NFC", _decompose(text).casefold())


def first_letter(word: str) -> str:
    """Return the first letter of a word, in capitals: the same for all its forms.

    >>> first_letter("ames"), first_letter("e\u0301mile")
    ('A', 'É')
    """
    return fold(word)[:1].upper()


def _decompose(text: str) -> str:
    """Decompose letters, and drop optional marks, also those within a presentation form."""
    decomposed = normalize("NFD", text)
    if _OPTIONAL.search(decomposed):
        return normalize("NFD", _OPTIONAL.sub("", decomposed))
    return decomposed

"""Short pieces of a text around a place, with everything invisible in them escaped."""

from __future__ import annotations

import os
import unicodedata

_BEFORE = 15
_AFTER = 25


def visible(text: str) -> str:
    r"""Escape what a terminal would not show, or would act upon.

    >>> print(visible("a\u00a0b\n"))
    a\xa0b\n
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def first_difference(one: str, other: str) -> int:
    """Return the first character at which two texts differ.

    >>> first_difference("Dr. Ames", "Dr. Aims")
    5
    """
    return len(os.path.commonprefix([one, other]))  # noqa: RUF071 - characters are meant


def around(text: str, at: int) -> str:
    """Quote the text around character `at`.

    >>> around("To: Dr. Ames, St. Mary Hospital", 18)
    "'... Dr. Ames, St. Mary Hospital'"
    """
    start, end = max(0, at - _BEFORE), at + _AFTER
    lead, trail = "..." if start else "", "..." if end < len(text) else ""
    return f"'{lead}{visible(text[start:end])}{trail}'"


def marked(text: str, start: int, end: int) -> str:
    """Quote the text around a piece of it, and the piece in brackets.

    >>> marked("Mr. Ames was seen", 4, 6)
    "'Mr. [Am]es was seen'"
    """
    piece = text[start:end]
    if len(piece) > _BEFORE + _AFTER:  # its edges are what matters
        piece = f"{piece[:_BEFORE]}...{piece[-_BEFORE:]}"
    before = "..." * (start > _BEFORE) + text[max(0, start - _BEFORE) : start]
    after = text[end : end + _BEFORE] + "..." * (end + _BEFORE < len(text))
    return f"'{visible(before)}[{visible(piece)}]{visible(after)}'"


def parting(original: str, annotated: str, *, at: int, at_annotated: int) -> str:
    """Say what two texts have where they part; `annotated` is without its tags.

    >>> parting("Dr. Ames", "Dr. Aims", at=5, at_annotated=5)
    "at character 5: after 'Dr. A' the original has 'mes', the annotated text has 'ims'"
    """
    start = max(0, at - _BEFORE)
    lead = "'..." if start else "'"
    where = f"after {lead}{visible(original[start:at])}'" if at else "at the start"
    reason = _only_difference(original, annotated)
    return (
        f"at character {at}: {where} the original {_continuation(original, at)}, "
        f"the annotated text {_continuation(annotated, at_annotated)}"
    ) + (f"; {reason}" if reason else "")


def _continuation(text: str, at: int) -> str:
    if at >= len(text):
        return "ends"
    rest = visible(text[at : at + _AFTER]) + ("..." if at + _AFTER < len(text) else "")
    # Letters of two scripts can look the same.
    code = "" if text[at].isascii() else f" (U+{ord(text[at]):04X})"
    return f"has '{rest}'{code}"


def _only_difference(one: str, other: str) -> str | None:
    """Name what would make both texts the same."""
    if one.splitlines() == other.splitlines():
        return "only line ends differ"
    if "".join(one.split()) == "".join(other.split()):
        return "only white space differs"
    if unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other):
        return "only the Unicode normalisation (NFC, NFD) differs"
    if unicodedata.normalize("NFKC", one) == unicodedata.normalize("NFKC", other):
        return "only look-alike characters (Unicode NFKC) differ"
    if one.casefold() == other.casefold():
        return "only upper and lower case differ"
    return None

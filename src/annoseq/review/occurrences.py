"""Occurrences of a string in the texts of a project, token by token.

Tokens are those of `annoseq.deid.propagation`: runs of letters, runs of digits and single symbols.
A string occurs where its tokens follow each other, as they are written, with any white space
between them; so `Ames` does not occur in `Amesbury`. Texts are searched for the characters first,
and tokens are made of what stands around a hit alone, up to the next white space.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from annoseq.deid.propagation import PropagatedValue, PropagatedValues

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WHITE_SPACE = re.compile(r"\s")


class StringOccurrences:
    """Search for a string, given by its tokens."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._value = PropagatedValues([PropagatedValue(tuple(tokens), "", is_exact=True)])
        self._characters = re.compile(r"\s*".join(map(re.escape, tokens)))

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield start and end of each occurrence, in order; they may overlap.

        >>> list(StringOccurrences(["Ames"]).find("Ames, Amesbury, Ames"))
        [(0, 4), (16, 20)]
        """
        hit = self._characters.search(text)
        while hit is not None:
            first = _start_of_word(text, hit.start())
            after = _WHITE_SPACE.search(text, hit.end())
            piece = text[first : len(text) if after is None else after.start()]
            for place in self._value.find(piece):
                if first + place.start == hit.start():
                    yield first + place.start, first + place.end
            hit = self._characters.search(text, hit.start() + 1)


def _start_of_word(text: str, place: int) -> int:
    """Return the place after the last white space before a place."""
    while place and not text[place - 1].isspace():
        place -= 1
    return place

"""Pre-tokenization of many texts at once, in numpy: the same tokens as `pretokenizer` finds.

A regular expression takes 5 microseconds for a token, half of them to make the token an object. The
rule of `pretokenizer` depends on the classes of neighbouring characters only, so all boundaries of
a batch of texts are found with some comparisons of arrays. The classes of characters are asked of
the regular expressions' own library, so that both follow the same version of Unicode.

Shapes: C characters of all texts and of a separator after each, T tokens of all texts.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

from annoseq.tokenization.pretokenizer import WHITE_SPACE
from annoseq.tokenization.vocabulary import Tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SEPARATOR = "\n"
_LETTER, _MARK, _NUMBER, _OTHER, _SPACE, _WHITE = range(1, 7)
"""Classes of characters; `_SPACE` is the space that a token may begin with, 0 not yet known."""
_PATTERNS = {_LETTER: r"\p{L}", _MARK: r"\p{M}", _NUMBER: r"\p{N}", _WHITE: rf"[{WHITE_SPACE}]"}


class CutTexts(NamedTuple):
    """Tokens of texts: all tokens (T,) in order, and where each begins and ends in its text.

    `offsets` (T, 2) are characters. Text i has the tokens from `bounds[i]` to `bounds[i + 1]`.
    """

    tokens: list[str]
    offsets: NDArray[np.int64]
    bounds: list[int]

    def of_text(self, index: int) -> Tokens:
        """Return the tokens of one text."""
        places = slice(self.bounds[index], self.bounds[index + 1])
        return Tokens(self.tokens[places], list(map(tuple, self.offsets[places].tolist())))


class BatchPreTokenizer:
    """Pre-tokenizer of many texts; `joins_digits` makes a run of digits one token."""

    def __init__(self, *, joins_digits: bool) -> None:
        self.joins_digits = joins_digits
        self._classes = np.zeros(0x110000, np.uint8)  # memory is taken for what is used of it
        self._classes[ord(" ")] = _SPACE
        self._patterns = {
            number: Split(Regex(pattern), behavior="removed")
            for number, pattern in _PATTERNS.items()
        }

    def cut(self, texts: Sequence[str]) -> CutTexts:
        """Return the tokens of texts; those of a text, joined, are the text."""
        joined = _SEPARATOR.join([*texts, ""])
        edges = [0, *accumulate(len(text) + 1 for text in texts)]
        codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
        starts = np.flatnonzero(self._begins(self._classify(codes)))
        ends = np.append(starts[1:], len(codes))
        first = np.searchsorted(starts, edges)  # the first token of each text
        is_token = np.ones(len(starts), np.bool_)
        is_token[first[1:] - 1] = False  # the separators
        starts, ends = starts[is_token], ends[is_token]
        bounds = first - np.arange(len(edges))
        places = zip(starts.tolist(), ends.tolist(), strict=True)
        tokens = [joined[start:end] for start, end in places]
        shift = np.repeat(edges[:-1], np.diff(bounds))
        return CutTexts(tokens, np.stack([starts - shift, ends - shift], 1), bounds.tolist())

    def _classify(self, codes: NDArray[np.uint32]) -> NDArray[np.uint8]:
        """Return the class (C,) of each character."""
        classes = self._classes[codes]
        if not classes.all():
            for code in np.unique(codes[classes == 0]).tolist():
                self._classes[code] = self._class_of(chr(code))
            classes = self._classes[codes]
        return classes

    def _class_of(self, character: str) -> int:
        found = (
            number
            for number, pattern in self._patterns.items()
            if not pattern.pre_tokenize_str(character)
        )
        return next(found, _OTHER)

    def _begins(self, classes: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return a mask (C,) of the characters that begin a token."""
        before = np.concatenate([np.array([_WHITE], np.uint8), classes[:-1]])
        is_visible = classes < _SPACE
        goes_on: NDArray[np.bool_] = (classes == _LETTER) & (before == _LETTER)
        if self.joins_digits:
            goes_on |= (classes == _NUMBER) & (before == _NUMBER)
        is_mark = classes == _MARK
        if is_mark.any():
            takes_marks = before < _SPACE
            if self.joins_digits:
                takes_marks &= before != _NUMBER
            goes_on |= is_mark & takes_marks
            # A letter after the marks of a letter goes on with the word.
            places = np.maximum.accumulate(np.where(is_mark, 0, np.arange(len(classes))))
            goes_on |= (classes == _LETTER) & (before == _MARK) & _follows(classes[places], _LETTER)
        goes_on |= is_visible & (before == _SPACE)
        return ~goes_on


def _follows(bases: NDArray[np.uint8], class_: int) -> NDArray[np.bool_]:
    """Return a mask (C,) of the characters after one whose base has a class."""
    return np.concatenate([np.zeros(1, np.bool_), bases[:-1] == class_])

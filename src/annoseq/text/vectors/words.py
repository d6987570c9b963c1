"""From tokens to the words that a file of vectors is asked for."""

from __future__ import annotations

from annoseq.text.segmentation import is_tag
from annoseq.text.spelling import BYTES, SPACED, UNSPACED
from annoseq.text.vocabulary import SPECIALS

_NO_WORDS = frozenset((*SPECIALS, *BYTES))


def word_of(token: str) -> str | None:
    """Return the word that a token stands for, or None: white space, tags and symbols have none.

    A token carries the space before it, or the mark of a piece, which no file of vectors has. The
    case is kept. A piece of a word is looked up as if it were a word.

    >>> word_of(" Ames"), word_of("."), word_of(" "), word_of("{{NAME}}"), word_of("<pad>")
    ('Ames', '.', None, None, None)
    """
    word = token[1:] if token.startswith((SPACED, UNSPACED)) else token
    if not word or word.isspace() or word in _NO_WORDS or is_tag(word):
        return None
    return word

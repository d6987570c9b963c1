"""Surrogates of people's names, word by word: each word of a document has one surrogate."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from annoseq.redaction.invention import like

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from annoseq.redaction.invention import Invention, Inventor

WORD = re.compile(r"(?:[^\W\d_][\u0300-\u036f]*)+")
_KEPT = re.compile(
    r"""(?ix) dr | dra | doctora? | profesora? | professor | señor | señora | señorita | mr | mrs
    | ms | miss | mx | prof | sr | sra | srta | don | doña | dña | md | phd | rn
    | jr | al | and | bin | d[aeiou] | d[aeo]s | de[lnr] | el | e | i | i[iv] | iii
    | ibn | l[ae] | l[ao]s | ten | ter | van | von | y | u"""
)
"""Titles and particles."""
_INITIALS = 3
"""At most as many capitals without a vowel between them are taken for initials: JD, ASB."""


def invent_name(value: str, surrogate: Callable[[str], str]) -> str | None:
    """Replace every word of a name but titles and particles, and keep what is between them.

    `surrogate` gives that of one word. None where no word is left to replace.
    """
    names = [word[0] for word in WORD.finditer(value) if not is_kept(word[0])]
    if not names or any(map(str.isdigit, value)):
        return None
    return WORD.sub(lambda word: word[0] if is_kept(word[0]) else surrogate(word[0]), value)


def is_kept(word: str) -> bool:
    """Tell whether a word of a name says nothing of who it is."""
    is_initial = len(word) == 1 and word.isupper()
    return not is_initial and _KEPT.fullmatch(word) is not None


def is_initials(word: str) -> bool:
    """Tell whether a word is an initial, or a few.

    >>> is_initials("J"), is_initials("JDB"), is_initials("ANA"), is_initials("Jo")
    (True, True, False, False)
    """
    return len(word) == 1 or (
        word.isupper() and len(word) <= _INITIALS and not re.search("[AEIOUY]", word[1:])
    )


def invent_word(
    word: str,
    invention: Invention,
    inventor: Inventor,
    *,
    initials: Collection[tuple[str, str]] = (),
) -> str:
    """Draw a first name of the same gender, a surname, or initials.

    What is no known first name is a surname. `initials` pairs the first letters of the document's
    names with those of their surrogates, so that an initial goes with its name.
    """
    if is_initials(word):
        known = dict(initials)
        drawn = "".join(
            known.get(letter.upper()) or _other_letter(letter, invention) for letter in word
        )
        return drawn if word.isupper() else drawn.lower()
    folded = word.casefold()
    is_male, is_female = folded in inventor.male, folded in inventor.female
    if is_male or is_female:
        is_male = invention.random.random() < 0.5 if is_male and is_female else is_male
        drawn = invention.say("first_name_male" if is_male else "first_name_female", "first_name")
    else:
        drawn = invention.say("last_name")
    return like(word, _single(drawn))


def _single(name: str) -> str:
    """Return one word of a name: the first that is not a particle."""
    words = [word[0] for word in WORD.finditer(name)]
    return next((word for word in words if not _KEPT.fullmatch(word)), name)


def _other_letter(letter: str, invention: Invention) -> str:
    return invention.random.choice([one for one in "ABCDEFGHJKLMNPRSTW" if one != letter.upper()])

r"""Pre-tokenizer: the rule that splits a text into words, the same for source and target.

A token is a run of letters, a single digit, a single punctuation mark or other symbol, each
with its combining marks and with the one space before it; any other white space is a token
of its own. The tokens of a text, joined, are the text. Anything coarser, such as
`\w+|[^\w\s]+`, splits spans that people annotate: the 31 of `31yo`.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from tokenizers import Regex
from tokenizers.pre_tokenizers import PreTokenizer, Split

from annoseq.data.markup import LABEL_PATTERN, Span, tighten

if TYPE_CHECKING:
    from collections.abc import Iterable

# To Python, the separators U+001C to U+001F are white space; to the `tokenizers` library not.
WHITE_SPACE = r"\s\x1c-\x1f"
"""White space, within the brackets of a regular expression."""
_TOKEN = rf" ?\p{{L}}[\p{{L}}\p{{M}}]*| ?[^{WHITE_SPACE}\p{{L}}]\p{{M}}*|[{WHITE_SPACE}]"
_DIGITS = r" ?\p{N}+"
_TAG = r" ?\{\{/?" + LABEL_PATTERN + r"\}\}"
_WHOLE_TAG = re.compile(_TAG)


def build_pretokenizer(*, keeps_tags: bool = False, joins_digits: bool = False) -> PreTokenizer:
    """Return the pre-tokenizer, of the `tokenizers` library.

    `keeps_tags` makes an inline tag one token, `joins_digits` a run of digits.
    """
    pattern = f"{_DIGITS}|{_TOKEN}" if joins_digits else _TOKEN
    pattern = f"{_TAG}|{pattern}" if keeps_tags else pattern
    return Split(Regex(pattern), behavior="isolated")


def is_tag(token: str) -> bool:
    """Return True if a token is an inline tag, with or without a space before it."""
    return _WHOLE_TAG.fullmatch(token) is not None


@cache
def _default_pre_tokenizer() -> PreTokenizer:
    return build_pretokenizer()  # building it takes three times as long as cutting a row with it


def token_offsets(text: str) -> list[tuple[int, int]]:
    """Return the start and end of each token of the default pre-tokenizer."""
    return [place for _, place in _default_pre_tokenizer().pre_tokenize_str(text)]


def core_start(text: str, start: int, end: int) -> int:
    """Return the start of the token `text[start:end]` without the space before it."""
    return start + (end - start > 1 and text[start] == " ")


def find_misaligned_spans(text: str, spans: Iterable[Span]) -> list[Span]:
    """Return the spans that begin or end within a token: tags between tokens cannot mark them.

    White space at a span's edge counts as outside of it.

    >>> find_misaligned_spans("Ames, 31y", [Span(0, 2, "NAME"), Span(6, 8, "AGE")])
    [Span(start=0, end=2, label='NAME')]
    """
    offsets = token_offsets(text)
    starts = {core_start(text, start, end) for start, end in offsets}
    ends = {end for _, end in offsets}
    return [span for span in spans if not _fits(text, span, starts, ends)]


def is_blank_span(text: str, span: Span) -> bool:
    """Return True for a span of white space alone, which no tags between words can mark."""
    return text[span.start : span.end].isspace()


def _fits(text: str, span: Span, starts: set[int], ends: set[int]) -> bool:
    tight = tighten(text, span)
    return not is_blank_span(text, span) and tight.start in starts and tight.end in ends

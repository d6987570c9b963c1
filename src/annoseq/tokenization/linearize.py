"""Linearisation: spans aligned to tokens, and targets of source tokens with tags between them.

The annotated string itself is never tokenized, so that a tag is always one token.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, NamedTuple

from annoseq.data.markup import closing, escape, opening
from annoseq.tokenization.pretokenizer import core_start, is_blank_span, is_tag, token_offsets

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from annoseq.data.markup import Span


class AlignedSpan(NamedTuple):
    """The tokens `first` to `last` (excluded) of a span, and its label."""

    first: int
    last: int
    label: str


class TokenizedPair(NamedTuple):
    """Tokens of a source and of its target.

    `misaligned` counts the spans that do not end between words, `dropped` and `blank` those of them
    that are left out, as in `TokenAlignment`. `aligned_spans` are the tokens of the others, in
    opening order.
    """

    source: list[str]
    target: list[str]
    misaligned: int = 0
    dropped: int = 0
    aligned_spans: Sequence[AlignedSpan] = ()
    blank: int = 0


class TokenAlignment(NamedTuple):
    """Tokens of spans, in opening order.

    `misaligned` counts the spans that end within a token, or are of white space alone. `dropped`
    are those whose token is another's, `blank` those of white space alone.
    """

    spans: list[AlignedSpan]
    misaligned: int
    dropped: list[Span]
    blank: list[Span]


def align_to_tokens(
    text: str, offsets: Sequence[tuple[int, int]], spans: Iterable[Span]
) -> TokenAlignment:
    """Align spans, in opening order, to the tokens of a text.

    A span that ends within a token is misaligned, and widened to all of it. A token is of the first
    span that has a part of it, and of the spans within that or around it: a span beside it begins
    after the token, and is dropped if it has no other. So spans nest in tokens only where they do
    in the text.
    """
    cores = [core_start(text, start, end) for start, end in offsets]
    ends = [end for _, end in offsets]
    is_blank = [text[start:end].isspace() for start, end in offsets]
    aligned: list[AlignedSpan] = []
    kept: list[Span] = []  # those aligned
    dropped: list[Span] = []
    blank: list[Span] = []
    misaligned = 0
    for span in spans:
        if is_blank_span(text, span):
            misaligned += 1
            blank.append(span)
            continue
        first, last = bisect_right(ends, span.start), bisect_left(cores, span.end)
        while first < last and is_blank[first]:
            first += 1
        while first < last and is_blank[last - 1]:
            last -= 1
        fits = first < last and cores[first] >= span.start and ends[last - 1] <= span.end
        misaligned += not fits
        for earlier, its in zip(kept, aligned, strict=True):
            is_beside = earlier.end <= span.start or its.last < last
            if is_beside and its.first <= first < its.last:
                first = its.last
        while first < last and is_blank[first]:
            first += 1
        if first < last:
            aligned.append(AlignedSpan(first, last, span.label))
            kept.append(span)
        else:
            dropped.append(span)
    return TokenAlignment(aligned, misaligned, dropped, blank)


def find_dropped_spans(text: str, spans: Iterable[Span]) -> list[Span]:
    """Return the spans of words of which another span has a part, by the default pre-tokenizer.

    >>> from annoseq.data.markup import Span
    >>> find_dropped_spans("AmesBOB", [Span(0, 4, "DOCTOR"), Span(4, 7, "PATIENT")])
    [Span(start=4, end=7, label='PATIENT')]
    """
    return align_to_tokens(text, token_offsets(text), spans).dropped


def linearize(tokens: Sequence[str], aligned_spans: Iterable[AlignedSpan]) -> list[str]:
    """Return the tokens with the tags of spans (in opening order) between them.

    >>> linearize(["Dr", ".", " Ames", ":"], [AlignedSpan(2, 3, "NAME")])
    ['Dr', '.', '{{NAME}}', ' Ames', '{{/NAME}}', ':']
    """
    before: dict[int, list[str]] = {}
    after: dict[int, list[str]] = {}
    for first, last, label in aligned_spans:
        before.setdefault(first, []).append(opening(label))
        after.setdefault(last - 1, []).insert(0, closing(label))
    return [
        piece
        for place, token in enumerate(tokens)
        for piece in (*before.get(place, ()), token, *after.get(place, ()))
    ]


def delinearize(tokens: Iterable[str], *, tags: Collection[str]) -> str:
    """Join tokens, some of them `tags`, to annotated text, well nested or not.

    The space that a token carries goes before the tags that open in front of it.

    >>> delinearize(["Dr", ".", "{{X}}", " Ames", "{{/X}}"], tags=["{{X}}", "{{/X}}"])
    'Dr. {{X}}Ames{{/X}}'
    """
    pieces: list[str] = []
    text = waiting = ""  # text since the last tag; opening tags whose token is still to come
    for token in tokens:
        if token in tags and not token.startswith("{{/"):
            waiting += token
        elif token in tags:
            pieces += [escape(text), waiting, token]
            text = waiting = ""
        elif waiting:
            space = " " if token.startswith(" ") and len(token) > 1 else ""
            pieces += [escape(text + space), waiting]
            text, waiting = token[len(space) :], ""
        else:
            text += token
    return "".join([*pieces, escape(text), waiting])


def move_spaces(words: Sequence[str], *, back: bool = False) -> list[str]:
    """Move the space before opening tags to the word after them, or `back`.

    A word is then the same token with and without tags before it. The move is lossless: a space
    that follows the tags goes before them.

    >>> move_spaces(["Dr", ".", " {{X}}", "Ames", "{{/X}}"])
    ['Dr', '.', '{{X}}', ' Ames', '{{/X}}']
    >>> move_spaces(["Dr", ".", "{{X}}", " Ames", "{{/X}}"], back=True)
    ['Dr', '.', ' {{X}}', 'Ames', '{{/X}}']
    """
    moved = list(words)
    first = 0  # of the opening tags in front of a word
    for place, word in enumerate(words):
        if _opens(word):
            continue
        if first < place and not (word.isspace() or is_tag(word)):
            run = words[first : place + 1]
            spaced = [token.startswith(" ") for token in run]
            spaced = [spaced[-1], *spaced[:-1]] if back else [*spaced[1:], spaced[0]]
            moved[first : place + 1] = [
                " " * has_space + token.removeprefix(" ")
                for has_space, token in zip(spaced, run, strict=True)
            ]
        first = place + 1
    return moved


def _opens(word: str) -> bool:
    return is_tag(word) and not word.lstrip().startswith("{{/")

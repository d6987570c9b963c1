"""Coverage spans: tokens above a coverage score, joined to the likeliest spans.

A token's coverage score is the probability that it lies in any span, whatever its edges and label:
that is what counts where identifiers are hidden. A threshold on it marks single tokens, which are
joined here over white space and the punctuation within an identifier, such as that of `12-03-1980`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from annoseq.data.markup import Span
from annoseq.evaluation.deid_metrics import is_identifying

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_JOINER = re.compile(r"[^\S\r\n]*([-‐‑–/.:@_'’+&#])?[^\S\r\n]*")
"""Text between two parts of an identifier: white space, with one joining character or none."""


def score_coverage(text: str, best: Iterable[Span], tokens: Iterable[Span]) -> list[Span]:
    """Return the scored parts of a text in its order; none overlaps another.

    They are the outermost spans of `best` with a score of 1, the `tokens` outside of them with
    theirs, and joining characters: one that lies between two parts of a label has at least the
    score of the less likely part. Other punctuation identifies nobody and has at most that score:
    it is marked between two marked parts only.
    """
    outermost = _outermost(best)
    kept = set(outermost)
    parts = sorted([*outermost, *_outside(tokens, outermost)], key=lambda part: part.start)
    loose = {part.start: part for part in parts if part not in kept and _is_loose(text, part)}
    solid = [part for part in parts if part.start not in loose]
    scored = {part.start: part for part in parts if is_identifying(text[part.start : part.end])}
    scored |= {part.start: part for part in solid}
    for part, following in pairwise(solid):
        score = min(_score(part), _score(following))
        gap = _JOINER.fullmatch(text, part.end, following.start)
        is_inside = part.label == following.label and not kept.issuperset((part, following))
        if gap is not None and gap[1] is not None and is_inside:
            own = scored.get(gap.start(1))
            joined = score if own is None else max(score, _score(own))
            scored[gap.start(1)] = Span(*gap.span(1), part.label, joined)
        elif not is_identifying(text[part.end : following.start]):
            for place in range(part.end, following.start):
                if (own := loose.get(place)) is not None:
                    scored[place] = replace(own, score=min(_score(own), score))
    return sorted(scored.values(), key=lambda part: part.start)


def spans_above(
    text: str, best: Sequence[Span], parts: Iterable[Span], threshold: float
) -> list[Span]:
    """Return the spans of `best` and the parts with a score of at least `threshold`, joined.

    Parts next to an outermost span with their label extend it; others become spans, with the
    highest score of their parts. The result is in opening order, and well nested if `best` is.
    """
    outermost = {span.start: span for span in _outermost(best)}
    runs = _join(text, (part for part in parts if _score(part) >= threshold), outermost)
    extended = {span: span for span in best}
    spans = []
    for members in runs:
        start, end = members[0].start, members[-1].end
        owner = next((part for part in members if outermost.get(part.start) == part), None)
        if owner is None:
            spans.append(Span(start, end, members[0].label, max(map(_score, members))))
        else:
            extended[owner] = replace(extended[owner], start=start, end=end)
    spans += [extended[span] for span in best]
    return sorted(spans, key=lambda span: (span.start, -span.end))


def _join(text: str, parts: Iterable[Span], outermost: dict[int, Span]) -> list[list[Span]]:
    """Group neighbours of one label, with at most one outermost span in each group."""
    runs: list[list[Span]] = []
    has_owner = False
    for part in parts:
        is_owner = outermost.get(part.start) == part
        last = runs[-1][-1] if runs else None
        if (
            last is not None
            and last.label == part.label
            and not (has_owner and is_owner)
            and _is_blank(text[last.end : part.start])
        ):
            runs[-1].append(part)
            has_owner = has_owner or is_owner
        else:
            runs.append([part])
            has_owner = is_owner
    return runs


def _outermost(spans: Iterable[Span]) -> list[Span]:
    """Return the spans that lie in no other, in order, with a score of 1."""
    outermost: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if not outermost or span.start >= outermost[-1].end:
            outermost.append(replace(span, score=1.0))
    return outermost


def _outside(tokens: Iterable[Span], spans: Sequence[Span]) -> list[Span]:
    """Return the tokens that overlap none of the spans, which are in order."""
    outside, index = [], 0
    for token in sorted(tokens):
        while index < len(spans) and spans[index].end <= token.start:
            index += 1
        if index == len(spans) or token.end <= spans[index].start:
            outside.append(token)
    return outside


def _score(part: Span) -> float:
    return 1.0 if part.score is None else part.score


def _is_loose(text: str, part: Span) -> bool:
    """Return True for punctuation, and for any character that joins parts of an identifier."""
    match = _JOINER.fullmatch(text, part.start, part.end)
    is_joiner = part.end - part.start == 1 and match is not None and match[1] is not None
    return is_joiner or not is_identifying(text[part.start : part.end])


def _is_blank(gap: str) -> bool:
    match = _JOINER.fullmatch(gap)
    return match is not None and match[1] is None

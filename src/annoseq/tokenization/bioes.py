"""BIOES tags of tokens: encoding of spans, level by level, and decoding.

Tags are begin, inside, end and single (BIOES), numbered in blocks: 0 is outside, then come the
begin tags of all labels, the inside, the end, and the single ones. Level 1 has the spans that lie
in no other; each further level has those that lie within a span of the level above.

Shapes: B rows, T tokens, D levels, K tags, N spans.
"""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from annoseq.data.markup import Span, tighten

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from annoseq.tokenization.linearize import AlignedSpan


class TokenSpan(NamedTuple):
    """Tokens `first` to `last` (excluded), the number of the label, and the log-probability."""

    first: int
    last: int
    label: int
    score: float


class ScoredTokenSpans(NamedTuple):
    """The spans of a row in opening order, and the log-probability of all of them together."""

    spans: list[TokenSpan]
    score: float


_BEGIN, _INSIDE, _END, _SINGLE = range(4)


def bioes_name(tag: int, labels: Sequence[str]) -> str:
    """Return the name of a tag.

    >>> [bioes_name(tag, ["A", "B"]) for tag in (0, 1, 8)]
    ['O', 'B-A', 'S-B']
    """
    if not tag:
        return "O"
    block, label = divmod(tag - 1, len(labels))
    return f"{'BIES'[block]}-{labels[label]}"


def spans_to_bioes(
    aligned_spans: Sequence[AlignedSpan],
    *,
    tokens: int,
    levels: int,
    labels: Mapping[str, int],
    self_nested: Collection[str] = (),
) -> list[tuple[int, ...]]:
    """Encode spans (in opening order) as the BIOES tags of each token, one for each level.

    A span is left out that lies deeper than there are levels, has another label, or lies in one
    with its own label, unless that is `self_nested`: a tagger cannot find it.

    >>> from annoseq.tokenization.linearize import AlignedSpan
    >>> spans = [AlignedSpan(0, 2, "X"), AlignedSpan(1, 2, "Y")]
    >>> spans_to_bioes(spans, tokens=3, levels=2, labels={"X": 0, "Y": 1})
    [(1, 0), (5, 8), (0, 0)]
    """
    table = [[0] * levels for _ in range(tokens)]
    opened: list[AlignedSpan] = []
    for span in aligned_spans:
        while opened and opened[-1].last <= span.first:
            opened.pop()
        is_twice = bool(opened) and opened[-1].label == span.label not in self_nested
        if span.label not in labels or is_twice:
            continue  # those within it take its level
        opened.append(span)
        level = len(opened) - 1
        if level < levels:
            for place in range(span.first, span.last):
                kind = _kind(place, span)
                table[place][level] = 1 + kind * len(labels) + labels[span.label]
    return [tuple(row) for row in table]


def _kind(place: int, span: AlignedSpan) -> int:
    if span.last - span.first == 1:
        return _SINGLE
    if place == span.first:
        return _BEGIN
    return _END if place == span.last - 1 else _INSIDE


def bioes_to_token_spans(tags: NDArray[np.int64], *, labels: int) -> NDArray[np.int64]:
    """Decode tags (B, T) to spans (N, 4): row, first and last token, label; by row and position.

    The tags must be those of whole spans, as a CRF finds them: then the n-th that begins is the
    n-th that ends.
    """
    labels = max(labels, 1)  # a model may have been trained on rows without a span
    kinds = np.where(tags > 0, (tags - 1) // labels, -1)
    row, first = np.nonzero((kinds == _BEGIN) | (kinds == _SINGLE))
    _, last = np.nonzero((kinds == _END) | (kinds == _SINGLE))
    label = (tags[row, first] - 1) % labels
    return np.stack([row, first, last, label], 1)


def tag_blocks(labels: int) -> tuple[slice, slice, slice, slice, slice]:
    """Return the slices of the outside, begin, inside, end and single tags."""
    edges = [0, *(1 + labels * block for block in range(5))]
    outside, begin, inside, end, single = map(slice, edges, edges[1:])
    return outside, begin, inside, end, single


def group_by_row(
    spans: Sequence[Sequence[int]], log_probs: Sequence[float], row_log_probs: Sequence[float]
) -> list[ScoredTokenSpans]:
    """Return the spans (row, first and last token, label) of each row, in opening order.

    `log_probs` are those of the spans, `row_log_probs` those of the rows.
    """
    rows: list[list[TokenSpan]] = [[] for _ in row_log_probs]
    for (row, first, last, label), log_prob in zip(spans, log_probs, strict=True):
        rows[row].append(TokenSpan(first, last + 1, label, log_prob))
    for row_spans in rows:
        row_spans.sort(key=lambda span: (span.first, -span.last))
    return list(map(ScoredTokenSpans, rows, row_log_probs))


def token_spans_to_text(
    text: str,
    offsets: Sequence[tuple[int, int]] | NDArray[np.int64],
    spans: Sequence[TokenSpan],
    *,
    labels: Sequence[str],
) -> list[Span]:
    """Convert token spans to spans of the text, in the same order, with probabilities.

    White space at the edges of a span is left out, and so is a span of nothing else.
    """
    text_spans = []
    for first, last, label, score in spans:
        start, end = int(offsets[first][0]), int(offsets[last - 1][1])
        span = tighten(text, Span(start, end, labels[label], exp(score)))
        if not text[span.start : span.end].isspace():
            text_spans.append(span)
    return text_spans

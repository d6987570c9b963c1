"""Span marginals of a CRF: all spans, and all tokens in any span, above a probability threshold.

The marginal probability of a span is the sum over all tag sequences that contain it, so no n-best
list is needed. It is at most the probability that the span begins at its first token, that it ends
at its last, and that it is open at every token in between. Tokens where one of these is below the
threshold are excluded first, which leaves few pairs of a begin and an end to score.

Shapes: B rows, T tokens, L labels, K = 4 L + 1 tags, N spans, M begins.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from annoseq.tokenization.bioes import tag_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

_PAIRS_PER_CHUNK = 1 << 18
"""Pairs of a begin and an end in memory at a time, about 40 MB of them."""


def likely_spans(
    marginals: NDArray[Any],
    log_probs_of: Callable[[NDArray[np.int64]], NDArray[Any]],
    *,
    floor: float,
    longest: int,
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the spans (N, 4) with a probability of at least `floor`, and its logarithm (N,).

    A span is row, first token, last token and label. `marginals` (B, T, K) are those of the tags,
    `log_probs_of` returns the log-probabilities (N,) of spans (N, 4). Spans of more than `longest`
    tokens are excluded, which bounds the number of spans for each begin.
    """
    labels = marginals.shape[2] // 4
    _, begins, insides, ends, singles = (marginals[..., block] for block in tag_blocks(labels))
    row, place, label = np.nonzero(singles >= floor)
    spans, log_probs = [], []
    for candidates in (
        np.stack([row, place, place, label], 1),
        *_multi_token_spans(begins, insides, ends, floor, longest),
    ):
        candidate_log_probs = log_probs_of(candidates)
        is_likely = np.exp(candidate_log_probs) >= floor
        spans.append(candidates[is_likely])
        log_probs.append(candidate_log_probs[is_likely])
    return np.concatenate(spans), np.concatenate(log_probs)


def covered_tokens(
    covered: NDArray[Any], by_label: NDArray[Any], *, floor: float
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the tokens (N, 4) in any span with at least `floor`, and the log-probability (N,).

    `covered` (B, T) are the probabilities that a token lies in any span, `by_label` (B, T, L) those
    for each label, or numbers in the same order. A token is row, token, token and likeliest label.
    """
    row, token = np.nonzero(covered >= floor)
    if not by_label.shape[2]:
        row, token = row[:0], token[:0]
        return np.stack([row, token, token, row], 1), covered[row, token]
    label = by_label[row, token].argmax(1)
    log_probs = np.log(covered[row, token].clip(max=1.0))
    return np.stack([row, token, token, label], 1), log_probs


def _multi_token_spans(
    begins: NDArray[Any], insides: NDArray[Any], ends: NDArray[Any], floor: float, longest: int
) -> Iterator[NDArray[np.int64]]:
    """Yield the candidate spans (N, 4) of several tokens, in chunks."""
    _, width, labels = begins.shape
    # Each row and label is a line of T places, and all lines are concatenated.
    opened, inside, closed = (
        marginals.transpose(0, 2, 1).reshape(-1) >= floor for marginals in (begins, insides, ends)
    )
    first, last = np.flatnonzero(opened), np.flatnonzero(closed)  # (M,), ...
    if not len(first) or not len(last):
        return
    # A span extends past its second token only while it may be inside, and stays in its line.
    stops = np.where(inside, len(inside), np.arange(len(inside)))
    stop = np.minimum.accumulate(stops[::-1])[::-1]  # the next place that is not inside
    farthest = np.minimum(stop[(first + 1).clip(max=len(inside) - 1)], first + longest - 1)
    farthest = np.minimum(farthest, (first // width + 1) * width - 1)
    low = np.searchsorted(last, first, side="right")
    counts = (np.searchsorted(last, farthest, side="right") - low).clip(min=0)
    for chunk in _chunks(counts):
        index = np.repeat(np.arange(len(counts[chunk])), counts[chunk])
        before = counts[chunk].cumsum() - counts[chunk]
        end = last[low[chunk][index] + np.arange(len(index)) - before[index]]
        begin = first[chunk][index]
        line = begin // width
        yield np.stack([line // labels, begin % width, end % width, line % labels], 1)


def _chunks(counts: NDArray[np.int64]) -> list[slice]:
    """Split begins into chunks of about `_PAIRS_PER_CHUNK` pairs."""
    chunk = counts.cumsum() // _PAIRS_PER_CHUNK
    edges = [0, *(np.flatnonzero(np.diff(chunk)) + 1).tolist(), len(counts)]
    return [slice(*edge) for edge in pairwise(edges)]

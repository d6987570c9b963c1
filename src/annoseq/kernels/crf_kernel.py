"""Forward-backward and Viterbi of a CRF over BIOES tags, row by row, in compiled code.

The same numbers as `annoseq.models.forward_backward` and `annoseq.models.crf_decoder`, without
arrays of a batch in between. Between two spans only their labels matter, so that a step takes
(L + 1)^2 products instead of (4 L + 1)^2.

Shapes: B rows, T tokens, L labels, K = 4 L + 1 tags (outside, and the begin, inside, end and single
tags of all labels), N spans.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from annoseq.kernels.compilation import compiled, exp, inlined, reduction

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

_MAX_SCORE, _MIN_EMISSION = np.float32(1e4), np.float32(-60)
_MAX_MESSAGE, _MIN_PRODUCT = np.float32(1e30), np.float32(1e-30)
_LEAST, _IMPOSSIBLE = 1e-38, -1e4
_ZERO, _ONE, _LOWEST = np.float32(0), np.float32(1), np.float32(-np.inf)


class CrfWeights(NamedTuple):
    """Scores between spans (L + 1, L + 1) and within spans (4, L), and their exponentials.

    `moves_back` is `moves` transposed.
    """

    between: Array
    within: Array
    moves: Array
    moves_back: Array
    inner_moves: Array

    @classmethod
    def of(cls, between: Array, within: Array) -> CrfWeights:
        """Prepare finite transition scores."""
        moves, inner_moves = np.exp(between), np.exp(within)
        weights = (between, within, moves, moves.T, inner_moves)
        return cls(*(np.ascontiguousarray(array, np.float32) for array in weights))


class Decoded(NamedTuple):
    """The likeliest spans (N, 4) with log-probabilities (N,), log-probabilities of rows (B,).

    `messages` (3, B, T, K) are the forward and backward messages and the scaled emissions of
    `annoseq.models.forward_backward`, if they were asked for.
    """

    spans: NDArray[np.int64]
    log_probs: NDArray[np.float64]
    row_log_probs: NDArray[np.float64]
    log_partition: NDArray[np.float64]
    messages: Array


def decode_rows(
    scores: Array, lengths: NDArray[np.int64], weights: CrfWeights, *, keeps_messages: bool
) -> Decoded:
    """Decode rows of scores (B, T, K), NaN or infinite ones too."""
    rows, width, tags = scores.shape
    most = int(lengths.sum())
    decoded = Decoded(
        np.empty((most, 4), np.int64),
        np.empty(most),
        np.zeros(rows),
        np.zeros(rows),
        np.zeros((3, rows if keeps_messages else 1, width, tags), np.float32),
    )
    count = _decode(np.ascontiguousarray(scores), lengths, *weights, *decoded)
    return decoded._replace(spans=decoded.spans[:count], log_probs=decoded.log_probs[:count])


@reduction
def _highest(values: Any) -> Any:
    highest = values[0]
    for value in values:
        highest = max(highest, value)
    return highest


@reduction
def _sum(values: Any) -> Any:
    total = _ZERO
    for value in values:
        total += value
    return total


@reduction
def _product(left: Any, right: Any) -> Any:
    total = _ZERO
    for place in range(left.shape[0]):
        total += left[place] * right[place]
    return total


@inlined
def _finite(score: Any) -> Any:
    """Replace NaN by 0, and clip a score."""
    score = score if score == score else _ZERO  # noqa: PLR0124
    score = min(score, _MAX_SCORE)
    return max(score, -_MAX_SCORE)


@inlined
def _exponentials(scores: Any, emissions: Any) -> Any:
    """Set the exponentials of scores (K,) relative to the highest, which is returned."""
    for tag in range(scores.shape[0]):
        emissions[tag] = _finite(scores[tag])
    highest = _highest(emissions)
    for tag in range(scores.shape[0]):
        emissions[tag] = exp(max(emissions[tag] - highest, _MIN_EMISSION))
    return highest


@inlined
def _scale(values: Any, factor: Any) -> None:
    for place in range(values.shape[0]):
        values[place] *= factor


@inlined
def _step_ahead(before: Any, moves: Any, inner: Any, opened: Any, reached: Any) -> None:
    """Set what reaches each tag (K,) from the forward message `before` (K,)."""
    labels = inner.shape[1]
    begin, inside = before[1 : 1 + labels], before[1 + labels : 1 + 2 * labels]
    end, single = before[1 + 2 * labels : 1 + 3 * labels], before[1 + 3 * labels :]
    for place in range(labels + 1):
        opened[place] = before[0] * moves[0, place]
    for label in range(labels):
        ended, row = end[label] + single[label], moves[label + 1]
        for place in range(labels + 1):
            opened[place] += ended * row[place]
    reached[0] = opened[0]
    begins, insides = reached[1 : 1 + labels], reached[1 + labels : 1 + 2 * labels]
    ends, singles = reached[1 + 2 * labels : 1 + 3 * labels], reached[1 + 3 * labels :]
    after = opened[1:]
    for label in range(labels):
        begins[label] = after[label]
        singles[label] = after[label]
    for label in range(labels):
        insides[label] = begin[label] * inner[0, label] + inside[label] * inner[2, label]
        ends[label] = begin[label] * inner[1, label] + inside[label] * inner[3, label]


@inlined
def _step_back(after: Any, moves_back: Any, inner: Any, closed: Any, reached: Any) -> None:
    """Set what reaches each tag (K,) from the backward message `after` (K,) times emissions."""
    labels = inner.shape[1]
    begin, inside = after[1 : 1 + labels], after[1 + labels : 1 + 2 * labels]
    end, single = after[1 + 2 * labels : 1 + 3 * labels], after[1 + 3 * labels :]
    for place in range(labels + 1):
        closed[place] = after[0] * moves_back[0, place]
    for label in range(labels):
        opened, row = begin[label] + single[label], moves_back[label + 1]
        for place in range(labels + 1):
            closed[place] += opened * row[place]
    reached[0] = closed[0]
    begins, insides = reached[1 : 1 + labels], reached[1 + labels : 1 + 2 * labels]
    ends, singles = reached[1 + 2 * labels : 1 + 3 * labels], reached[1 + 3 * labels :]
    before = closed[1:]
    for label in range(labels):
        ends[label] = before[label]
        singles[label] = before[label]
    for label in range(labels):
        begins[label] = inner[0, label] * inside[label] + inner[1, label] * end[label]
        insides[label] = inner[2, label] * inside[label] + inner[3, label] * end[label]


@inlined
def _pass_row(
    scores: Any,
    moves: Any,
    moves_back: Any,
    inner: Any,
    forward: Any,
    backward: Any,
    emissions: Any,
    buffer: Any,
    message: Any,
) -> Any:
    """Set the messages of a row of scores (T, K), and return its log-partition."""
    tokens, tags = scores.shape
    labels = inner.shape[1]
    log_partition = 0.0
    message[:] = _ZERO
    message[0] = _ONE
    for token in range(tokens):
        highest = _exponentials(scores[token], emissions[token])
        _step_ahead(message, moves, inner, buffer, forward[token])
        for tag in range(tags):
            message[tag] = forward[token, tag] * emissions[token, tag]
        scale = _sum(message)
        _scale(message, _ONE / scale)
        _scale(emissions[token], _ONE / scale)
        forward[token] = message
        log_partition += log(scale) + highest
    ending = backward[tokens - 1]
    ending[:] = _ONE
    ending[1 : 1 + 2 * labels] = _ZERO
    log_partition += log(_product(forward[tokens - 1], ending))
    for token in range(tokens - 1, -1, -1):
        for tag in range(tags):
            message[tag] = backward[token, tag] * emissions[token, tag]
        factor = _ONE / max(_product(forward[token], backward[token]), _MIN_PRODUCT)
        for tag in range(tags):
            backward[token, tag] = min(backward[token, tag] * factor, _MAX_MESSAGE)
        if token:
            _scale(message, _ONE / _sum(message))
            _step_back(message, moves_back, inner, buffer, backward[token - 1])
    return log_partition


@inlined
def _search(scores: Any, between: Any, within: Any, reached: Any, best: Any) -> None:
    """Set the scores (T, K) of the best paths to each tag of each token of a row."""
    labels = within.shape[1]
    for token in range(scores.shape[0]):
        score, here = scores[token], reached[token]
        begins, insides = here[1 : 1 + labels], here[1 + labels : 1 + 2 * labels]
        ends, singles = here[1 + 2 * labels : 1 + 3 * labels], here[1 + 3 * labels :]
        if not token:
            best[:] = between[0]
            insides[:] = _LOWEST
            ends[:] = _LOWEST
        else:
            before = reached[token - 1]
            begin, inside = before[1 : 1 + labels], before[1 + labels : 1 + 2 * labels]
            end, single = before[1 + 2 * labels : 1 + 3 * labels], before[1 + 3 * labels :]
            for place in range(labels + 1):
                best[place] = before[0] + between[0, place]
            for label in range(labels):
                ended, row = max(end[label], single[label]), between[label + 1]
                for place in range(labels + 1):
                    best[place] = max(best[place], ended + row[place])
            for label in range(labels):
                insides[label] = max(
                    begin[label] + within[0, label], inside[label] + within[2, label]
                )
                ends[label] = max(begin[label] + within[1, label], inside[label] + within[3, label])
        here[0] = best[0]
        opened = best[1:]
        for label in range(labels):
            begins[label] = opened[label]
            singles[label] = opened[label]
        for tag in range(score.shape[0]):
            here[tag] += _finite(score[tag])


@inlined
def _predecessor(tag: Any, before: Any, between: Any, within: Any) -> Any:
    """Return the tag before on the best path to `tag`, whose scores (K,) are `before`."""
    labels = within.shape[1]
    block, label = (tag - 1) // labels if tag else 0, (tag - 1) % labels if tag else -1
    if tag and block in (1, 2):  # inside, end
        begun = before[1 + label] + within[block - 1, label]
        went_on = before[1 + labels + label] + within[block + 1, label]
        return 1 + label if begun >= went_on else 1 + labels + label
    best, highest = 0, before[0] + between[0, label + 1]
    for ended in range(1 + 2 * labels, 1 + 4 * labels):
        score = before[ended] + between[(ended - 1) % labels + 1, label + 1]
        if score > highest:
            best, highest = ended, score
    return best


@inlined
def _trace_back(reached: Any, between: Any, within: Any, tags: Any) -> None:
    """Set the tags (T,) of the best path, whose last is one that a row may end with."""
    labels, last = within.shape[1], reached.shape[0] - 1
    best = 0
    for ended in range(1 + 2 * labels, 1 + 4 * labels):
        if reached[last, ended] > reached[last, best]:
            best = ended
    tags[last] = best
    for token in range(last, 0, -1):
        tags[token - 1] = _predecessor(tags[token], reached[token - 1], between, within)


@inlined
def _score_path(scores: Any, tags: Any, between: Any, within: Any) -> Any:
    """Return the score of a path of tags (T,)."""
    labels = within.shape[1]
    total = 0.0
    ended = 0  # outside, or the number of the label of the span before
    for token in range(tags.shape[0]):
        tag = tags[token]
        total += _finite(scores[token, tag])
        block, label = (tag - 1) // labels if tag else 0, (tag - 1) % labels if tag else -1
        if tag and block in (1, 2):
            goes_on = tags[token - 1] > labels
            total += within[block - 1 + 2 * goes_on, label]
        else:
            total += between[ended, label + 1]
        ended = label + 1
    return total


@inlined
def _log(value: Any) -> Any:
    return log(max(float(value), _LEAST))


@inlined
def _bounded(log_prob: Any) -> Any:
    """Return a log-probability of at most 0, and a low one for NaN."""
    return max(min(log_prob, 0.0), _IMPOSSIBLE) if log_prob == log_prob else _IMPOSSIBLE  # noqa: PLR0124


@inlined
def _span_log_prob(
    first: Any, last: Any, label: Any, forward: Any, backward: Any, emissions: Any, within: Any
) -> Any:
    """Return the log-probability of a span of tokens `first` to `last` (included)."""
    labels = within.shape[1]
    begin, inside = 1 + label, 1 + labels + label
    end, single = inside + labels, inside + 2 * labels
    if first == last:
        return _bounded(_log(forward[first, single]) + _log(backward[first, single]))
    through = float(within[1, label])
    if last - first > 1:
        through = float(within[0, label]) + within[3, label]
        through += within[2, label] * (last - first - 2)
        for token in range(first + 1, last):
            through += _log(emissions[token, inside])
    outer = _log(forward[first, begin]) + _log(emissions[last, end]) + _log(backward[last, end])
    return _bounded(outer + through)


@compiled(
    "int64(float32[:, :, ::1], int64[::1], float32[:, ::1], float32[:, ::1], float32[:, ::1],"
    " float32[:, ::1], float32[:, ::1], int64[:, ::1], float64[::1], float64[::1], float64[::1],"
    " float32[:, :, :, ::1])"
)
def _decode(
    scores: Array,
    lengths: NDArray[np.int64],
    between: Array,
    within: Array,
    moves: Array,
    moves_back: Array,
    inner: Array,
    spans: NDArray[np.int64],
    log_probs: NDArray[np.float64],
    row_log_probs: NDArray[np.float64],
    log_partition: NDArray[np.float64],
    messages: Array,
) -> int:
    """Set the likeliest spans and all else, and return the number of spans."""
    _, width, tags = scores.shape
    labels = within.shape[1]
    buffer, message = np.empty(labels + 1, np.float32), np.empty(tags, np.float32)
    paths = np.empty((width, tags), np.float32)
    path = np.empty(width, np.int64)
    count = 0
    for row in range(scores.shape[0]):
        tokens = lengths[row]
        if not tokens:
            continue
        row_scores = scores[row, :tokens]
        place = min(row, messages.shape[1] - 1)
        forward, backward = messages[0, place, :tokens], messages[1, place, :tokens]
        emissions, reached = messages[2, place, :tokens], paths[:tokens]
        log_partition[row] = _pass_row(
            row_scores, moves, moves_back, inner, forward, backward, emissions, buffer, message
        )
        _search(row_scores, between, within, reached, buffer)
        _trace_back(reached, between, within, path[:tokens])
        score = _score_path(row_scores, path[:tokens], between, within)
        row_log_probs[row] = _bounded(score - log_partition[row])
        first = 0
        for token in range(tokens):
            tag = path[token]
            block, label = (tag - 1) // labels if tag else -1, (tag - 1) % labels if tag else 0
            if block in (0, 3):
                first = token
            if block in (2, 3):
                spans[count, 0], spans[count, 1] = row, first
                spans[count, 2], spans[count, 3] = token, label
                log_probs[count] = _span_log_prob(
                    first, token, label, forward, backward, emissions, within
                )
                count += 1
    return count

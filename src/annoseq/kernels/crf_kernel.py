"""Forward-backward and Viterbi of a CRF over BIOES tags, row by row, in compiled code.

The same numbers as `annoseq.models.forward_backward` and `annoseq.models.crf_decoder`, without
arrays of a batch in between. Between two spans only their labels matter, so that a step takes
(L + 1)^2 products instead of (4 L + 1)^2.

Within the kernel the tags of a token are four blocks of P numbers: begin, inside, end and single.
Label l has column l + 1, and the outside tag is column 0 of the single tags: it ends and opens like
them. P is a multiple of 32, so that all is done in whole vectors; what is no tag has probability 0.

Shapes: B rows, T tokens, L labels, K = 4 L + 1 tags, P columns, N spans.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from annoseq.kernels.compilation import (
    PANEL,
    add_row_product,
    compiled,
    exp,
    inlined,
    raise_to_row_sums,
    reduction,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

_MAX_SCORE, _MIN_EMISSION = np.float32(1e4), np.float32(-60)
_MAX_MESSAGE, _MIN_PRODUCT = np.float32(1e30), np.float32(1e-30)
_ZERO, _ONE, _NO_TAG = np.float32(0), np.float32(1), np.float32(-1e30)
_LEAST, _IMPOSSIBLE = 1e-38, -1e4


class CrfWeights(NamedTuple):
    """Scores between spans (P, P) and within spans (4, P), and their exponentials.

    `panels` are the scores between spans in panels (P, 32) of columns one after the other, `moves`
    their exponentials, and `moves_back` those of the transposed scores. `is_tag` (4 P,) is 1 for
    columns of tags, and 0 for others.
    """

    between: Array
    within: Array
    panels: Array
    moves: Array
    moves_back: Array
    inner_moves: Array
    is_tag: Array

    @classmethod
    def of(cls, between: Array, within: Array) -> CrfWeights:
        """Prepare finite transition scores (L + 1, L + 1) and (4, L)."""
        size = len(between)
        columns = -(-size // PANEL) * PANEL
        padding = ((0, columns - size), (0, columns - size))
        inner = ((0, 0), (1, columns - size))
        moves = np.pad(np.exp(between), padding)
        is_tag = np.zeros((4, columns), np.float32)
        is_tag[:, 1:size] = is_tag[3, 0] = 1
        scores = np.pad(between, padding, constant_values=_NO_TAG)
        arrays = (
            scores,
            np.pad(within, inner, constant_values=_NO_TAG),
            _panels(scores),
            _panels(moves),
            _panels(moves.T),
            np.pad(np.exp(within), inner),
            is_tag.ravel(),
        )
        return cls(*(np.ascontiguousarray(array, np.float32) for array in arrays))


def _panels(matrix: Array) -> Array:
    """Return the columns of a matrix (P, P) in panels (P, 32), one after the other."""
    return matrix.reshape(len(matrix), -1, PANEL).swapaxes(0, 1).reshape(-1)


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
    most, rows = int(lengths.sum()), len(scores)
    decoded = Decoded(
        np.empty((most, 4), np.int64),
        np.empty(most),
        np.zeros(rows),
        np.zeros(rows),
        np.zeros((3, *(scores.shape if keeps_messages else (0, 0, 0))), np.float32),
    )
    count = _decode(np.ascontiguousarray(scores), lengths, *weights, *decoded)
    return decoded._replace(spans=decoded.spans[:count], log_probs=decoded.log_probs[:count])


@reduction
def _sum(values: Any) -> Any:
    total = _ZERO
    for place in range(values.shape[0]):  # an iterator would not be vectorized
        total += values[place]
    return total


@reduction
def _product(left: Any, right: Any) -> Any:
    total = _ZERO
    for place in range(left.shape[0]):
        total += left[place] * right[place]
    return total


@inlined
def _multiply(left: Any, right: Any, product: Any) -> None:
    for place in range(left.shape[0]):
        product[place] = left[place] * right[place]


@inlined
def _scale(values: Any, factor: Any) -> None:
    for place in range(values.shape[0]):
        values[place] *= factor


@inlined
def _finite(score: Any) -> Any:
    """Replace NaN by 0, and clip a score."""
    score = score if score == score else _ZERO  # noqa: PLR0124
    score = min(score, _MAX_SCORE)
    return max(score, -_MAX_SCORE)


@inlined
def _arrange(scores: Any, columns: Any, arranged: Any) -> None:
    """Set finite scores (4 P,) from those of all tags (K,)."""
    labels = (scores.shape[0] - 1) // 4
    arranged[:] = _NO_TAG
    arranged[3 * columns] = _finite(scores[0])
    for block in range(4):
        source = scores[1 + block * labels : 1 + (block + 1) * labels]
        target = arranged[block * columns + 1 : block * columns + 1 + labels]
        for label in range(labels):
            target[label] = _finite(source[label])


@inlined
def _restore(arranged: Any, columns: Any, values: Any) -> None:
    """Set the values of all tags (K,) from arranged ones (4 P,)."""
    labels = (values.shape[0] - 1) // 4
    values[0] = arranged[3 * columns]
    for block in range(4):
        source = arranged[block * columns + 1 : block * columns + 1 + labels]
        values[1 + block * labels : 1 + (block + 1) * labels] = source


@inlined
def _highest(scores: Any, buffer: Any) -> Any:
    """Return the highest score (4 P,); `buffer` (P,) takes that of each column."""
    columns = buffer.shape[0]
    one, two = scores[:columns], scores[columns : 2 * columns]
    three, four = scores[2 * columns : 3 * columns], scores[3 * columns :]
    for column in range(columns):
        buffer[column] = max(max(one[column], two[column]), max(three[column], four[column]))
    highest = buffer[0]
    for column in range(columns):
        highest = max(highest, buffer[column])
    return highest


@inlined
def _exponentials(scores: Any, is_tag: Any, buffer: Any, emissions: Any) -> Any:
    """Set the exponentials of scores (4 P,) relative to the highest, which is returned."""
    highest = _highest(scores, buffer)
    for place in range(scores.shape[0]):
        emissions[place] = exp(max(scores[place] - highest, _MIN_EMISSION)) * is_tag[place]
    return highest


@inlined
def _blend(one: Any, share: Any, other: Any, other_share: Any, sums: Any) -> None:
    for place in range(sums.shape[0]):
        sums[place] = one[place] * share[place] + other[place] * other_share[place]


@inlined
def _step_ahead(
    before: Any, panels: Any, inner: Any, ended: Any, opened: Any, reached: Any
) -> None:
    """Set what reaches each tag (4 P,) from the forward message `before` (4 P,)."""
    columns = ended.shape[0]
    begin, inside = before[:columns], before[columns : 2 * columns]
    end, single = before[2 * columns : 3 * columns], before[3 * columns :]
    for column in range(columns):
        ended[column] = end[column] + single[column]
    opened[:] = _ZERO
    for first in range(0, columns, PANEL):
        add_row_product(ended, 0, 0, panels, first * columns, columns, opened, first, 0)
    reached[:columns] = opened
    _blend(begin, inner[0], inside, inner[2], reached[columns : 2 * columns])
    _blend(begin, inner[1], inside, inner[3], reached[2 * columns : 3 * columns])
    reached[3 * columns :] = opened


@inlined
def _step_back(after: Any, panels: Any, inner: Any, opened: Any, ended: Any, reached: Any) -> None:
    """Set what reaches each tag (4 P,) from the backward message `after` (4 P,)."""
    columns = ended.shape[0]
    begin, inside = after[:columns], after[columns : 2 * columns]
    end, single = after[2 * columns : 3 * columns], after[3 * columns :]
    for column in range(columns):
        opened[column] = begin[column] + single[column]
    ended[:] = _ZERO
    for first in range(0, columns, PANEL):
        add_row_product(opened, 0, 0, panels, first * columns, columns, ended, first, 0)
    _blend(inside, inner[0], end, inner[1], reached[:columns])
    _blend(inside, inner[2], end, inner[3], reached[columns : 2 * columns])
    reached[2 * columns : 3 * columns] = ended
    reached[3 * columns :] = ended


@inlined
def _pass_row(
    scores: Any,
    moves: Any,
    moves_back: Any,
    inner: Any,
    is_tag: Any,
    forward: Any,
    backward: Any,
    emissions: Any,
    buffers: Any,
) -> Any:
    """Set the messages (T, 4 P) of a row of scores (T, 4 P), and return its log-partition."""
    tokens, columns = scores.shape[0], inner.shape[1]
    message, one, other = buffers[0], buffers[1, :columns], buffers[2, :columns]
    log_partition = 0.0
    message[:] = _ZERO
    message[3 * columns] = _ONE
    for token in range(tokens):
        highest = _exponentials(scores[token], is_tag, one, emissions[token])
        _step_ahead(message, moves, inner, one, other, forward[token])
        _multiply(forward[token], emissions[token], message)
        scale = _sum(message)
        _scale(message, _ONE / scale)
        _scale(emissions[token], _ONE / scale)
        forward[token] = message
        log_partition += log(scale) + highest
    ending = backward[tokens - 1]
    ending[: 2 * columns] = _ZERO
    ending[2 * columns :] = is_tag[2 * columns :]
    log_partition += log(_product(forward[tokens - 1], ending))
    for token in range(tokens - 1, -1, -1):
        reached = backward[token]
        _multiply(reached, emissions[token], message)
        factor = _ONE / max(_product(forward[token], reached), _MIN_PRODUCT)
        for place in range(reached.shape[0]):
            reached[place] = min(reached[place] * factor, _MAX_MESSAGE)
        if token:
            _scale(message, _ONE / _sum(message))
            _step_back(message, moves_back, inner, one, other, backward[token - 1])
    return log_partition


@inlined
def _blend_best(one: Any, score: Any, other: Any, other_score: Any, best: Any) -> None:
    for place in range(best.shape[0]):
        best[place] = max(one[place] + score[place], other[place] + other_score[place])


@inlined
def _search_step(before: Any, panels: Any, within: Any, ended: Any, opened: Any, best: Any) -> None:
    """Set the scores (4 P,) of the best paths that reach each tag, from those `before`."""
    columns = ended.shape[0]
    begin, inside = before[:columns], before[columns : 2 * columns]
    end, single = before[2 * columns : 3 * columns], before[3 * columns :]
    for column in range(columns):
        ended[column] = max(end[column], single[column])
    opened[:] = _NO_TAG
    for first in range(0, columns, PANEL):
        raise_to_row_sums(ended, 0, 0, panels, first * columns, columns, opened, first, 0)
    best[:columns] = opened
    _blend_best(begin, within[0], inside, within[2], best[columns : 2 * columns])
    _blend_best(begin, within[1], inside, within[3], best[2 * columns : 3 * columns])
    best[3 * columns :] = opened


@inlined
def _search(
    scores: Any, panels: Any, within: Any, reached: Any, opened: Any, buffers: Any
) -> None:
    """Set the scores (T, 4 P) of the best paths to each tag, and (T, P) to each opening one."""
    columns = within.shape[1]
    before, ended = buffers[0], buffers[1, :columns]
    before[:] = _NO_TAG
    before[3 * columns] = _ZERO
    for token in range(scores.shape[0]):
        best = reached[token]
        _search_step(before, panels, within, ended, opened[token], best)
        for place in range(best.shape[0]):
            best[place] = max(best[place] + scores[token, place], _NO_TAG)
        before = best


@inlined
def _last_of_best(reached: Any, columns: Any) -> Any:
    """Return the place (block and column) of the likeliest last tag: outside, end or single."""
    best = 3 * columns
    for place in range(2 * columns, 4 * columns):
        if reached[place] > reached[best]:
            best = place
    return best


@inlined
def _predecessor(place: Any, before: Any, opened: Any, between: Any, within: Any) -> Any:
    """Return the place of the tag before on the best path to a place."""
    columns = within.shape[1]
    block, column = place // columns, place % columns
    if block in (1, 2):  # inside, end
        begun = before[column] + within[block - 1, column]
        went_on = before[columns + column] + within[block + 1, column]
        return column if begun >= went_on else columns + column
    best = opened[column]
    if before[3 * columns] + between[0, column] == best:
        return 3 * columns
    for ended in range(2 * columns, 4 * columns):
        if before[ended] + between[ended % columns, column] == best:
            return ended
    return 3 * columns


@inlined
def _score_path(scores: Any, path: Any, between: Any, within: Any) -> Any:
    """Return the score of a path of places (T,)."""
    columns = within.shape[1]
    total, ended = 0.0, 0
    for token in range(path.shape[0]):
        block, column = path[token] // columns, path[token] % columns
        total += scores[token, path[token]]
        if block in (1, 2):
            goes_on = 2 if path[token - 1] >= columns else 0
            total += within[block - 1 + goes_on, column]
        else:
            total += between[ended, column]
        ended = column
    return total


@inlined
def _log(value: Any) -> Any:
    return log(max(float(value), _LEAST))


@inlined
def _bounded(log_prob: Any) -> Any:
    """Return a log-probability of at most 0, and a low one for NaN."""
    if log_prob >= _IMPOSSIBLE:
        return min(log_prob, 0.0)
    return _IMPOSSIBLE


@inlined
def _span_log_prob(
    first: Any, last: Any, column: Any, forward: Any, backward: Any, emissions: Any, within: Any
) -> Any:
    """Return the log-probability of a span of tokens `first` to `last` (included)."""
    columns = within.shape[1]
    inside, end, single = columns + column, 2 * columns + column, 3 * columns + column
    if first == last:
        return _bounded(_log(forward[first, single]) + _log(backward[first, single]))
    through = float(within[1, column])
    if last - first > 1:
        through = float(within[0, column]) + within[3, column]
        through += within[2, column] * (last - first - 2)
        for token in range(first + 1, last):
            through += _log(emissions[token, inside])
    outer = _log(forward[first, column]) + _log(emissions[last, end]) + _log(backward[last, end])
    return _bounded(outer + through)


@compiled(
    "int64(float32[:, :, ::1], int64[::1], float32[:, ::1], float32[:, ::1], float32[::1],"
    " float32[::1], float32[::1], float32[:, ::1], float32[::1], int64[:, ::1], float64[::1], float64[::1],"
    " float64[::1], float32[:, :, :, ::1])"
)
def _decode(
    scores: Array,
    lengths: NDArray[np.int64],
    between: Array,
    within: Array,
    panels: Array,
    moves: Array,
    moves_back: Array,
    inner: Array,
    is_tag: Array,
    spans: NDArray[np.int64],
    log_probs: NDArray[np.float64],
    row_log_probs: NDArray[np.float64],
    log_partition: NDArray[np.float64],
    messages: Array,
) -> int:
    """Set the likeliest spans and all else, and return the number of spans."""
    width, columns = scores.shape[1], within.shape[1]
    # An odd number of rows: places of a token whose distance is 4 KiB would wait for one another.
    memory = np.empty((5, width | 1, 4 * columns), np.float32)
    all_opened, buffers = np.empty((width, columns), np.float32), np.empty((3, 4 * columns), np.float32)
    path = np.zeros(width, np.int64)
    count = 0
    for row in range(scores.shape[0]):
        tokens = lengths[row]
        if not tokens:
            continue
        arranged, forward, backward = memory[0, :tokens], memory[1, :tokens], memory[2, :tokens]
        emissions, reached, opened = memory[3, :tokens], memory[4, :tokens], all_opened[:tokens]
        for token in range(tokens):
            _arrange(scores[row, token], columns, arranged[token])
        log_partition[row] = _pass_row(
            arranged, moves, moves_back, inner, is_tag, forward, backward, emissions, buffers
        )
        if messages.shape[1]:
            for token in range(tokens):
                for kind in range(3):
                    _restore(memory[kind + 1, token], columns, messages[kind, row, token])
        _search(arranged, panels, within, reached, opened, buffers)
        path[tokens - 1] = _last_of_best(reached[tokens - 1], columns)
        for token in range(tokens - 1, 0, -1):
            path[token - 1] = _predecessor(
                path[token], reached[token - 1], opened[token], between, within
            )
        score = _score_path(arranged, path[:tokens], between, within)
        row_log_probs[row] = _bounded(score - log_partition[row])
        first = 0
        for token in range(tokens):
            block, column = path[token] // columns, path[token] % columns
            if block in (0, 3):
                first = token
            if column and block >= 2:
                spans[count, 0], spans[count, 1] = row, first
                spans[count, 2], spans[count, 3] = token, column - 1
                log_probs[count] = _span_log_prob(
                    first, token, column, forward, backward, emissions, within
                )
                count += 1
    return count

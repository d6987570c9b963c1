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

from annoseq.kernels.compilation import PANEL, compiled, inlined
from annoseq.kernels.message_kernel import NO_TAG, arrange_tags, pass_messages, restore_tags
from annoseq.kernels.viterbi_kernel import find_path, score_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

_LEAST, _IMPOSSIBLE, _MAX_EXPONENT = 1e-38, -1e4, 80


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
        moves = np.pad(np.exp(between.clip(max=_MAX_EXPONENT)), padding)
        is_tag = np.zeros((4, columns), np.float32)
        is_tag[:, 1:size] = is_tag[3, 0] = 1
        scores = np.pad(between, padding, constant_values=NO_TAG)
        arrays = (
            scores,
            np.pad(within, inner, constant_values=NO_TAG),
            _panels(scores),
            _panels(moves),
            _panels(moves.T),
            np.pad(np.exp(within.clip(max=_MAX_EXPONENT)), inner),
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


@inlined
def _add_spans(
    row: Any,
    path: Any,
    within: Any,
    forward: Any,
    backward: Any,
    emissions: Any,
    count: Any,
    spans: Any,
    log_probs: Any,
) -> Any:
    """Set the spans of a path after the `count` that there are; return how many there are then."""
    columns = within.shape[1]
    first = 0
    for token in range(path.shape[0]):
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


@inlined
def _keep_messages(memory: Any, tokens: Any, columns: Any, messages: Any, row: Any) -> None:
    """Copy the messages of a row to those of a batch (3, B, T, K)."""
    for kind in range(3):
        for token in range(tokens):
            restore_tags(memory[kind, token], columns, messages[kind, row, token])


@compiled(
    "int64(float32[:, :, ::1], int64[::1], float32[:, ::1], float32[:, ::1], float32[::1],"
    " float32[::1], float32[::1], float32[:, ::1], float32[::1], int64[:, ::1], float64[::1],"
    " float64[::1], float64[::1], float32[:, :, :, ::1])"
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
    # An odd number of rows: numbers at a distance of 4 KiB would wait for one another.
    memory = np.empty((5, width | 1, 4 * columns), np.float32)
    opened = np.empty((width, columns), np.float32)
    buffers = np.empty((3, 4 * columns), np.float32)
    path = np.zeros(width, np.int64)
    count = 0
    for row in range(scores.shape[0]):
        tokens = lengths[row]
        if not tokens:
            continue
        forward, backward, emissions = memory[0, :tokens], memory[1, :tokens], memory[2, :tokens]
        arranged, tags = memory[3, :tokens], path[:tokens]
        for token in range(tokens):
            arrange_tags(scores[row, token], columns, arranged[token])
        log_partition[row] = pass_messages(
            arranged, moves, moves_back, inner, is_tag, forward, backward, emissions, buffers
        )
        if messages.shape[1]:
            _keep_messages(memory, tokens, columns, messages, row)
        find_path(arranged, between, within, panels, memory[4], opened, buffers, tags)
        score = score_path(arranged, tags, between, within)
        row_log_probs[row] = _bounded(score - log_partition[row])
        count = _add_spans(row, tags, within, forward, backward, emissions, count, spans, log_probs)
    return count

"""Forward-backward algorithm of a CRF over BIOES tags for one row, in compiled code.

The same numbers as `annoseq.models.forward_backward`, without arrays of a batch in between.
`annoseq.kernels.crf_kernel` explains the columns of tags.

Shapes: T tokens, L labels, K = 4 L + 1 tags, P columns.
"""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np

from annoseq.kernels.compilation import PANEL, add_row_product, exp, inlined, reduction

_MAX_SCORE, _MIN_EMISSION = np.float32(1e4), np.float32(-60)
_MAX_MESSAGE, _MIN_PRODUCT = np.float32(1e30), np.float32(1e-30)
_ZERO, _ONE = np.float32(0), np.float32(1)
NO_TAG = np.float32(-1e30)
"""Score of a column that is no tag."""


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
def arrange_tags(scores: Any, columns: Any, arranged: Any) -> None:
    """Set finite scores (4 P,) from those of all tags (K,)."""
    labels = (scores.shape[0] - 1) // 4
    arranged[:] = NO_TAG
    arranged[3 * columns] = _finite(scores[0])
    for block in range(4):
        source = scores[1 + block * labels : 1 + (block + 1) * labels]
        target = arranged[block * columns + 1 : block * columns + 1 + labels]
        for label in range(labels):
            target[label] = _finite(source[label])


@inlined
def restore_tags(arranged: Any, columns: Any, values: Any) -> None:
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
def pass_messages(
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

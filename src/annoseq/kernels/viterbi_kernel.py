"""Viterbi algorithm of a CRF over BIOES tags for one row, in compiled code.

`annoseq.kernels.crf_kernel` explains the columns of tags; a place is a block and a column.

Shapes: T tokens, P columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from annoseq.kernels.compilation import PANEL, inlined, raise_to_row_sums
from annoseq.kernels.message_kernel import NO_TAG

_ZERO = np.float32(0)


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
    opened[:] = NO_TAG
    for first in range(0, columns, PANEL):
        raise_to_row_sums(ended, 0, 0, panels, first * columns, columns, opened, first, 0)
    best[:columns] = opened
    _blend_best(begin, within[0], inside, within[2], best[columns : 2 * columns])
    _blend_best(begin, within[1], inside, within[3], best[2 * columns : 3 * columns])
    best[3 * columns :] = opened


@inlined
def _search(scores: Any, panels: Any, within: Any, reached: Any, opened: Any, buffers: Any) -> None:
    """Set the scores (T, 4 P) of the best paths to each tag, and (T, P) to each opening one."""
    columns = within.shape[1]
    before, ended = buffers[0], buffers[1, :columns]
    before[:] = NO_TAG
    before[3 * columns] = _ZERO
    for token in range(scores.shape[0]):
        best = reached[token]
        _search_step(before, panels, within, ended, opened[token], best)
        for place in range(best.shape[0]):
            best[place] = max(best[place] + scores[token, place], NO_TAG)
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
def score_path(scores: Any, path: Any, between: Any, within: Any) -> Any:
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
def find_path(
    scores: Any,
    between: Any,
    within: Any,
    panels: Any,
    reached: Any,
    opened: Any,
    buffers: Any,
    path: Any,
) -> None:
    """Set the places (T,) of the likeliest tags of a row of scores (T, 4 P).

    `reached` (T, 4 P), `opened` (T, P) and `buffers` are memory.
    """
    last = scores.shape[0] - 1
    _search(scores, panels, within, reached, opened, buffers)
    path[last] = _last_of_best(reached[last], within.shape[1])
    for token in range(last, 0, -1):
        path[token - 1] = _predecessor(
            path[token], reached[token - 1], opened[token], between, within
        )

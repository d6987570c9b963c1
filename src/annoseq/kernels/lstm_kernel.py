"""LSTM steps in compiled code: a recurrent product in registers, and one pass for all the rest.

Each row takes the steps of its own tokens. Blocks of rows are small enough that their states stay
in the processor's cache beside the recurrent weights.

Shapes: B rows, T tokens, H hidden units (a multiple of 8), W distinct tokens, P = H / 8 groups of
units, K outputs of a layer after the LSTMs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from annoseq.kernels.compilation import (
    LANES,
    PANEL,
    TILE_ROWS,
    add_tile_product,
    clamp,
    compiled,
    inlined,
    tanh_denominator,
    tanh_numerator,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

_BLOCK = 48
"""Rows that take their steps together: 0.15 MB of states beside 0.25 MB of weights."""
_GROUP = 6 * LANES
"""Numbers of a group of units: their four gates, cells and outputs, in vectors of 8."""
_CELL, _OUTPUT = 4 * LANES, 5 * LANES
_HALF = np.float32(0.5)


class LstmWeights(NamedTuple):
    """Weights of a forward and a backward LSTM, and of what their outputs are multiplied by.

    `recurrent` (2 P H 32,) are the columns of the recurrent weights, in panels of the four gates of
    8 units. `output` (2 H 32 ...,) are those of a layer after the LSTMs, for each direction in
    panels of 32 columns, and `bias` (2, ...) its bias and zeros; they are empty without such a
    layer.
    """

    recurrent: Array
    output: Array
    bias: Array

    @classmethod
    def of(
        cls, recurrent: Array, output: Array | None = None, bias: Array | None = None
    ) -> LstmWeights:
        """Arrange recurrent weights (2, H, 4 H), output weights (2 H, K) and their bias (K,)."""
        _, hidden, _ = recurrent.shape
        by_unit = recurrent.reshape(2, hidden, 4, hidden // LANES, LANES).transpose(0, 3, 1, 2, 4)
        panels, biases = np.empty(0, np.float32), np.zeros((2, 0), np.float32)
        if output is not None and bias is not None:
            size = output.shape[1]
            columns = -(-size // PANEL) * PANEL
            padded = np.pad(output, ((0, 0), (0, columns - size)))
            panels = padded.reshape(2, hidden, columns // PANEL, PANEL).swapaxes(1, 2).ravel()
            biases = np.zeros((2, columns), np.float32)
            biases[0, :size] = bias
        return cls(np.ascontiguousarray(by_unit).ravel(), panels, biases)


def run_lstms(
    gates: Array,
    places: NDArray[np.int64],
    lengths: NDArray[np.int64],
    weights: LstmWeights,
    *,
    size: int,
) -> Array:
    """Return outputs of both LSTMs (B, T, 2 H), or of the layer after them (B, T, K), if any.

    `gates` (W, 2, 4 H) are the input gates of distinct tokens for both directions (input, forget,
    output, and the doubled cell), `places` (B, T) the tokens of rows of `lengths` (B,), and `size`
    is 2 H or K. After the end of a row, the outputs are 0.
    """
    outputs = np.zeros((*places.shape, size), np.float32)
    _run_lstms(
        gates.reshape(-1, gates.shape[2]),
        np.ascontiguousarray(places),
        np.ascontiguousarray(lengths),
        *weights,
        outputs,
    )
    return outputs


@inlined
def _update_states(states: Any) -> None:
    """Replace the cells and outputs of groups of units, whose gates are summed up.

    sigmoid(x) is (1 + tanh(x / 2)) / 2. Products of functions share a division.
    """
    for group in range(states.shape[0] // _GROUP):
        unit = states[group * _GROUP : (group + 1) * _GROUP]
        for lane in range(LANES):
            enter = clamp(_HALF * unit[lane])
            forget = clamp(_HALF * unit[lane + LANES])
            output = clamp(_HALF * unit[lane + 2 * LANES])
            new = clamp(_HALF * unit[lane + 3 * LANES])
            squared_enter, squared_forget = enter * enter, forget * forget
            squared_output, squared_new = output * output, new * new
            below = tanh_denominator(squared_forget)
            kept = (below + tanh_numerator(forget, squared_forget)) / below * unit[lane + _CELL]
            below = tanh_denominator(squared_enter)
            entered = (below + tanh_numerator(enter, squared_enter)) * tanh_numerator(
                new, squared_new
            )
            cell = _HALF * (kept + entered / (below * tanh_denominator(squared_new)))
            unit[lane + _CELL] = cell
            bounded = clamp(cell)
            square = bounded * bounded
            below = tanh_denominator(squared_output)
            shown = (below + tanh_numerator(output, squared_output)) * tanh_numerator(
                bounded, square
            )
            unit[lane + _OUTPUT] = _HALF * shown / (below * tanh_denominator(square))


@inlined
def _gather_gates(gates: Any, states: Any) -> None:
    """Copy the input gates (4 H,) of a token into the states of a row."""
    hidden = gates.shape[0] // 4
    for group in range(hidden // LANES):
        for gate in range(4):
            first = group * _GROUP + gate * LANES
            source = gates[gate * hidden + group * LANES : gate * hidden + (group + 1) * LANES]
            target = states[first : first + LANES]
            for lane in range(LANES):
                target[lane] = source[lane]


@inlined
def _gather_all(
    gates: Any, places: Any, start: Any, lengths: Any, step: Any, direction: Any, states: Any
) -> None:
    """Copy the input gates of the tokens that rows from `start` on read in a step."""
    stride = gates.shape[1] // (4 * LANES) * _GROUP
    for row in range(lengths.shape[0]):
        token = lengths[row] - 1 - step if direction else step
        token = max(token, 0)  # of a row that has ended between others that have not
        _gather_gates(
            gates[2 * places[start + row, token] + direction],
            states[row * stride : (row + 1) * stride],
        )


@inlined
def _copy_outputs(states: Any, hidden: Any) -> None:
    """Copy the outputs of all units of a row to `hidden` (H,)."""
    for group in range(hidden.shape[0] // LANES):
        first = group * _GROUP + _OUTPUT
        source = states[first : first + LANES]
        target = hidden[group * LANES : (group + 1) * LANES]
        for lane in range(LANES):
            target[lane] = source[lane]


@inlined
def _add_products(states: Any, hidden: Any, active: Any, panels: Any, direction: Any) -> None:
    """Add the recurrent products to the gates of the rows that take a step.

    The last tile may reach over rows that take none, whose states are not used.
    """
    width = hidden.shape[1]
    stride = width // LANES * _GROUP
    for group in range(width // LANES):
        panel = (direction * (width // LANES) + group) * width * PANEL
        for row in range(0, active, TILE_ROWS):
            add_tile_product(
                hidden.ravel(),
                row * width,
                width,
                panels,
                panel,
                width,
                states,
                row * stride + group * _GROUP,
                stride,
            )


@inlined
def _multiply_outputs(hidden: Any, active: Any, panels: Any, bias: Any, scores: Any) -> None:
    """Set the share (rows, columns) that one direction has in the outputs of the layer after."""
    width, columns = hidden.shape[1], scores.shape[1]
    for row in range(active):
        scores[row] = bias
    for first in range(0, columns, PANEL):
        for row in range(0, active, TILE_ROWS):
            add_tile_product(
                hidden.ravel(),
                row * width,
                width,
                panels,
                first * width,
                width,
                scores.ravel(),
                row * columns + first,
                columns,
            )


@inlined
def _add_outputs(
    hidden: Any, scores: Any, start: Any, lengths: Any, step: Any, direction: Any, outputs: Any
) -> None:
    """Write what rows from `start` on have to show in a step: outputs, or shares in scores."""
    width = hidden.shape[1]
    for row in range(lengths.shape[0]):
        if step < lengths[row]:
            target = outputs[start + row, lengths[row] - 1 - step if direction else step]
            if scores.shape[1]:
                for column in range(target.shape[0]):
                    target[column] += scores[row, column]
            else:
                target[direction * width : (direction + 1) * width] = hidden[row]


@inlined
def _count_active(lengths: Any, step: Any) -> Any:
    """Return the number of first rows that reach to the last with a token in this step."""
    active = lengths.shape[0]
    while lengths[active - 1] <= step:
        active -= 1
    return active


@compiled(
    "void(float32[:, ::1], int64[:, ::1], int64[::1], float32[::1], float32[::1], float32[:, ::1],"
    " float32[:, :, ::1])"
)
def _run_lstms(
    gates: Array,
    places: NDArray[np.int64],
    lengths: NDArray[np.int64],
    recurrent: Array,
    output: Array,
    bias: Array,
    outputs: Array,
) -> None:
    """Take all steps of both directions, block by block."""
    width, columns = gates.shape[1] // 4, bias.shape[1]
    stride = width // LANES * _GROUP
    states = np.zeros((_BLOCK + TILE_ROWS) * stride, np.float32)
    hidden = np.zeros((_BLOCK + TILE_ROWS, width), np.float32)
    scores = np.zeros((_BLOCK + TILE_ROWS, columns), np.float32)
    for start in range(0, places.shape[0], _BLOCK):
        block = lengths[start : start + _BLOCK]
        for direction in range(2):
            states[:] = 0
            hidden[:] = 0
            panels = output[direction * width * columns : (direction + 1) * width * columns]
            for step in range(block.max()):
                active = _count_active(block, step)
                own = block[:active]
                _gather_all(gates, places, start, own, step, direction, states)
                if step:
                    _add_products(states, hidden, active, recurrent, direction)
                _update_states(states[: active * stride])
                for row in range(active):
                    _copy_outputs(states[row * stride : (row + 1) * stride], hidden[row])
                if columns:
                    _multiply_outputs(hidden, active, panels, bias[direction], scores)
                _add_outputs(hidden, scores, start, own, step, direction, outputs)

"""LSTM steps in compiled code: a recurrent product in registers, and one pass for all the rest.

Each row takes the steps of its own tokens. Blocks of rows are small enough that their states stay
in the processor's cache beside the recurrent weights.

Shapes: B rows, T tokens, H hidden units (a multiple of 8), W distinct tokens, P = H / 8 groups of
units.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from annoseq.kernels.compilation import (
    LANES,
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

_BLOCK = 48
"""Rows that take their steps together: 0.15 MB of states beside 0.25 MB of weights."""
_GROUP = 6 * LANES
"""Numbers of a group of units: their four gates, cells and outputs, in vectors of 8."""
_CELL, _OUTPUT = 4 * LANES, 5 * LANES
_HALF = np.float32(0.5)


def run_lstms(
    gates: NDArray[np.float32],
    places: NDArray[np.int64],
    lengths: NDArray[np.int64],
    weights: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Return the outputs (B, T, 2 H) of a forward and a backward LSTM, 0 after the end of a row.

    `gates` (W, 2, 4 H) are the input gates of distinct tokens for both directions (input, forget,
    output, and the doubled cell), `places` (B, T) the tokens of rows of `lengths` (B,), `weights`
    (2, H, 4 H) the recurrent weights.
    """
    _, hidden, columns = weights.shape
    panels = weights.reshape(2, hidden, 4, hidden // LANES, LANES).transpose(0, 3, 1, 2, 4)
    outputs = np.zeros((*places.shape, 2 * hidden), np.float32)
    _run_lstms(
        gates.reshape(-1, columns),
        np.ascontiguousarray(places),
        np.ascontiguousarray(lengths),
        np.ascontiguousarray(panels).ravel(),
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
def _copy_outputs(states: Any, hidden: Any) -> None:
    """Copy the outputs of all units of a row to `hidden` (H,)."""
    for group in range(hidden.shape[0] // LANES):
        first = group * _GROUP + _OUTPUT
        source = states[first : first + LANES]
        target = hidden[group * LANES : (group + 1) * LANES]
        for lane in range(LANES):
            target[lane] = source[lane]


@compiled("void(float32[:, ::1], int64[:, ::1], int64[::1], float32[::1], float32[:, :, ::1])")
def _run_lstms(
    gates: NDArray[np.float32],
    places: NDArray[np.int64],
    lengths: NDArray[np.int64],
    panels: NDArray[np.float32],
    outputs: NDArray[np.float32],
) -> None:
    """Take all steps of both directions, block by block.

    The tiles of a product may reach over the last row that takes a step, to rows that are not used.
    """
    rows, width = places.shape[0], outputs.shape[2] // 2
    stride = width // LANES * _GROUP
    states = np.zeros((_BLOCK + TILE_ROWS) * stride, np.float32)
    hidden = np.zeros((_BLOCK + TILE_ROWS) * width, np.float32)
    for start in range(0, rows, _BLOCK):
        block = lengths[start : start + _BLOCK]
        longest = block.max()
        for direction in range(2):
            states[:] = 0
            hidden[:] = 0
            active = block.shape[0]
            for step in range(longest):
                while block[active - 1] <= step:
                    active -= 1
                for row in range(active):
                    token = block[row] - 1 - step if direction else step
                    gates_of = 2 * places[start + row, max(token, 0)] + direction
                    _gather_gates(gates[gates_of], states[row * stride : (row + 1) * stride])
                if step:
                    for group in range(width // LANES):
                        panel = (direction * (width // LANES) + group) * width * 4 * LANES
                        for row in range(0, active, TILE_ROWS):
                            add_tile_product(
                                hidden,
                                row * width,
                                width,
                                panels,
                                panel,
                                width,
                                states,
                                row * stride + group * _GROUP,
                                stride,
                            )
                _update_states(states[: active * stride])
                for row in range(active):
                    output = hidden[row * width : (row + 1) * width]
                    _copy_outputs(states[row * stride : (row + 1) * stride], output)
                    if step < block[row]:
                        token = block[row] - 1 - step if direction else step
                        encoded = outputs[start + row, token]
                        encoded[direction * width : (direction + 1) * width] = output

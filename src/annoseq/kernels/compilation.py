"""Compilation of kernels by numba: the border between typed code and numba's.

A kernel has one signature, so that it is compiled, or read from numba's cache, when its module is
imported. Kernels add in the order that is written, and check no index: the last digits of a row do
not depend on the rows around it.

The approximations have no branches and call no library, so that LLVM vectorizes the loops that they
are used in.
"""

from __future__ import annotations

import logging
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable

_logger = logging.getLogger(__name__)
F = TypeVar("F", bound="Callable[..., object]")

LANES = 8
"""Numbers in a vector register (AVX2); shorter ones take two."""
TILE_ROWS, TILE_VECTORS = 3, 4
PANEL = TILE_VECTORS * LANES
"""Rows and vectors of a product that are summed in registers: 12 of the 16 of AVX2."""

_FAST = {"contract", "nsz"}
"""Fused multiply-add, and no difference of zeros; NaN and infinity keep their meaning."""


_SOURCE = sha256(
    b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
).hexdigest()[:8]
"""Checksum of all kernels: numba itself would compare the text of a kernel's own module only."""


def compiled(signature: str) -> Callable[[F], F]:
    """Return a decorator that compiles a kernel for the types of a signature.

    Machine code is cached beside the module, or in the user's cache folder; where neither can be
    written, it is compiled in every process. Compilation is logged, as it takes seconds.
    """

    def decorate(function: F) -> F:
        function.__qualname__ += f"_{_SOURCE}"  # part of the name of its file in the cache
        options: dict[str, Any] = {"error_model": "numpy", "fastmath": _FAST, "nogil": True}
        try:
            kernel = numba.njit(signature, cache=True, **options)(function)
        except (RuntimeError, OSError):  # no folder for the cache, or no room in it
            _log_compilation("in every process: name a folder to keep them with NUMBA_CACHE_DIR")
            return cast("F", numba.njit(signature, **options)(function))
        if not kernel.stats.cache_hits:
            _log_compilation("once on this machine")
        return cast("F", kernel)

    return decorate


@cache
def _log_compilation(when: str) -> None:
    """Log a compilation, the first of several kernels only."""
    _logger.info("numba compiles inner loops for some 20 seconds, %s", when)


_PART: dict[str, Any] = {
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
"""Options of functions that kernels alone call, which take less time to compile so."""


def inlined(function: F) -> F:
    """Decorate a function that is compiled within the kernels that call it."""
    return cast("F", numba.njit(fastmath=_FAST, **_PART)(function))


def reduction(function: F) -> F:
    """Decorate a function that sums up or compares numbers, none of them NaN, in any order.

    The order depends on their number only.
    """
    return cast(
        "F", numba.njit(error_model="numpy", fastmath={*_FAST, "nnan", "reassoc"})(function)
    )


_ODD = tuple(
    map(
        np.float32,
        (
            4.89352455891786e-03,
            6.37261928875436e-04,
            1.48572235717979e-05,
            5.12229709037114e-08,
            -8.60467152213735e-11,
            2.00018790482477e-13,
            -2.76076847742355e-16,
        ),
    )
)
_EVEN = tuple(
    map(
        np.float32,
        (4.89352518554385e-03, 2.26843463243900e-03, 1.18534705686654e-04, 1.19825839466702e-06),
    )
)
_O1, _O3, _O5, _O7, _O9, _O11, _O13 = _ODD
_E0, _E2, _E4, _E6 = _EVEN
_SATURATED = np.float32(7.90531110763549805)


@inlined
def clamp(x: Any) -> Any:
    """Return x within the range outside of which tanh is 1 or -1 in single precision."""
    x = x if x < _SATURATED else _SATURATED  # NaN, too
    return x if x > -_SATURATED else -_SATURATED


@inlined
def tanh_numerator(x: Any, square: Any) -> Any:
    """Return the numerator of tanh(x) for a clamped x; the coefficients are those of Eigen."""
    return x * (
        _O1
        + square
        * (_O3 + square * (_O5 + square * (_O7 + square * (_O9 + square * (_O11 + square * _O13)))))
    )


@inlined
def tanh_denominator(square: Any) -> Any:
    """Return the denominator of tanh(x), always above zero, for the square of a clamped x."""
    return _E0 + square * (_E2 + square * (_E4 + square * _E6))


_LOG2_E, _LN2_HIGH, _LN2_LOW = map(np.float32, (1.44269504088896341, 0.693359375, -2.12194440e-4))
_C2, _C3, _C4, _C5, _C6, _C7 = map(
    np.float32,
    (
        5.0000001201e-1,
        1.6666665459e-1,
        4.1665795894e-2,
        8.3334519073e-3,
        1.3981999507e-3,
        1.9875691500e-4,
    ),
)
_ONE, _ROUNDING, _BIAS, _MANTISSA = (
    np.float32(1),
    np.float32(1.5 * 2**23),
    np.int32(127),
    np.int32(23),
)
_ROUNDING_BITS = np.int32(0x4B400000)


@inlined
def exp(x: Any) -> Any:
    """Return exp(x) in single precision for x from -80 to 80; the coefficients are Cephes'."""
    shifted = np.float32(x * _LOG2_E + _ROUNDING)
    whole = shifted - _ROUNDING
    x = x - whole * _LN2_HIGH - whole * _LN2_LOW
    square = x * x
    value = x * _C7 + _C6
    value = ((((value * x + _C5) * x + _C4) * x + _C3) * x + _C2) * square + x + _ONE
    power = np.int32((shifted.view(np.int32) - _ROUNDING_BITS + _BIAS) << _MANTISSA)
    return value * power.view(np.float32)


_INDEX, _VECTOR = ir.IntType(64), ir.VectorType(ir.FloatType(), LANES)
_Combine: TypeAlias = "Callable[[Any, Any, Any, Any], Any]"
"""Function of a builder, a factor, weights and a partial result."""


def _add_product(builder: Any, factor: Any, weights: Any, total: Any) -> Any:
    product = builder.fmul(factor, weights, flags=("contract",))
    return builder.fadd(product, total, flags=("contract",))


def _raise_to_sum(builder: Any, score: Any, weights: Any, best: Any) -> Any:
    total = builder.fadd(score, weights)
    return builder.select(builder.fcmp_ordered(">", total, best), total, best)


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def add_tile_product(
    _: Any, left: Any, a: Any, b: Any, panels: Any, c: Any, d: Any, out: Any, e: Any, f: Any
) -> Any:
    """Add the products of three rows and a panel."""
    return _tile_signature(left, panels, out), partial(
        _generate_tile, combine=_add_product, rows=TILE_ROWS
    )


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def add_row_product(
    _: Any, left: Any, a: Any, b: Any, panels: Any, c: Any, d: Any, out: Any, e: Any, f: Any
) -> Any:
    """Add the product of one row and a panel."""
    generate = partial(_generate_tile, combine=_add_product, rows=1)
    return _tile_signature(left, panels, out), generate


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def raise_to_row_sums(
    _: Any, left: Any, a: Any, b: Any, panels: Any, c: Any, d: Any, out: Any, e: Any, f: Any
) -> Any:
    """Replace numbers by the highest sums of one row and the columns of a panel, if higher."""
    return _tile_signature(left, panels, out), partial(
        _generate_tile, combine=_raise_to_sum, rows=1
    )


def _tile_signature(left: Any, panels: Any, out: Any) -> Any:
    """Return the types of a tile.

    A tile combines rows of numbers with a panel of 32 columns. Its arguments are flat arrays of
    single precision and places in them: `(left, left_start, left_stride, panels, panel_start,
    depth, out, out_start, out_stride)`. Row r of the left factor, of `depth` numbers (1 at least),
    begins at `left_start + r * left_stride`, the panel (depth, 32) at `panel_start`, and row r of
    the result, of 32 numbers, at `out_start + r * out_stride`. The result stays in registers. LLVM
    does not find this by itself: a loop over columns keeps its sums in memory, which takes 1.3
    times as long or more.
    """
    places = (types.intp,) * 2
    return types.void(left, *places, panels, *places, out, *places)


def _generate_tile(
    context: Any, builder: Any, signature: Any, arguments: Any, *, combine: _Combine, rows: int
) -> Any:
    """Generate the LLVM instructions of a tile."""
    left, left_start, left_stride, panels, panel_start, depth, out, out_start, out_stride = (
        _data(context, builder, type_, argument) if isinstance(type_, types.Array) else argument
        for type_, argument in zip(signature.args, arguments, strict=True)
    )
    left, panel, out = (
        builder.gep(pointer, [start])
        for pointer, start in ((left, left_start), (panels, panel_start), (out, out_start))
    )
    starts = [builder.mul(_INDEX(row), left_stride) for row in range(rows)]
    places = {
        (row, column): _vector_at(
            builder, out, builder.add(builder.mul(_INDEX(row), out_stride), _INDEX(LANES * column))
        )
        for row in range(rows)
        for column in range(TILE_VECTORS)
    }
    before = {key: builder.load(place, align=4) for key, place in places.items()}
    entry = builder.block
    loop, done = builder.append_basic_block("tile"), builder.append_basic_block("done")
    builder.branch(loop)
    builder.position_at_end(loop)
    step, so_far = builder.phi(_INDEX), {key: builder.phi(_VECTOR) for key in places}
    factors = [
        _broadcast(builder, builder.load(builder.gep(left, [builder.add(start, step)])))
        for start in starts
    ]
    first, after = builder.mul(step, _INDEX(PANEL)), {}
    for column in range(TILE_VECTORS):  # one vector of weights at a time: there are 16 registers
        index = builder.add(first, _INDEX(LANES * column))
        weights = builder.load(_vector_at(builder, panel, index), align=4)
        for row in range(rows):
            after[row, column] = combine(builder, factors[row], weights, so_far[row, column])
    following = builder.add(step, _INDEX(1))
    builder.cbranch(builder.icmp_signed("<", following, depth), loop, done)
    for phi, old, new in (
        (step, _INDEX(0), following),
        *((so_far[key], before[key], after[key]) for key in places),
    ):
        phi.add_incoming(old, entry)
        phi.add_incoming(new, loop)
    builder.position_at_end(done)
    for key, place in places.items():
        builder.store(after[key], place, align=4)
    return context.get_dummy_value()


def _data(context: Any, builder: Any, type_: Any, array: Any) -> Any:
    """Return the pointer to the numbers of an array."""
    return context.make_array(type_)(context, builder, array).data


def _vector_at(builder: Any, pointer: Any, index: Any) -> Any:
    """Return a pointer to a vector that begins at an index."""
    return builder.bitcast(builder.gep(pointer, [index]), _VECTOR.as_pointer())


def _broadcast(builder: Any, value: Any) -> Any:
    """Return a vector whose lanes are all one number."""
    lane = ir.IntType(32)
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    zeros = ir.Constant(ir.VectorType(lane, LANES), [0] * LANES)
    return builder.shuffle_vector(
        builder.insert_element(undefined, value, lane(0)), undefined, zeros
    )

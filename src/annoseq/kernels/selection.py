"""Selection of compiled kernels: used for many texts at once, where numba is installed.

numba takes about as long to start as the kernels save on the first 300,000 characters, so that a
few texts are annotated without it. The choice depends on the texts of one call alone, and not on
those before: the last digits of a score, which may differ between kernels and the code that they
replace, are the same in every process that annotates the same chunk of texts.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MIN_TOKENS, MIN_TEXTS = 16_384, 1_000
"""Tokens or texts of a call for which kernels are used. A full chunk of texts is rarely alone."""
_MODULES = ("hash_kernel", "lstm_kernel", "crf_kernel")

_IS_ENOUGH: ContextVar[bool] = ContextVar("_IS_ENOUGH", default=False)


@contextmanager
def compiled_kernels(*, texts: int, tokens: int) -> Iterator[None]:
    """Use compiled kernels in this context, if they are available and there is enough to do."""
    before = _IS_ENOUGH.set(tokens >= MIN_TOKENS or texts >= MIN_TEXTS)
    try:
        yield
    finally:
        _IS_ENOUGH.reset(before)


def are_used() -> bool:
    """Return True in a context of compiled kernels; their modules can then be imported.

    numba is loaded when this is first asked in such a context.
    """
    return _IS_ENOUGH.get() and are_available()


@cache
def are_available() -> bool:
    """Return True if numba is installed and works with this version of numpy.

    The kernels are compiled, or read from numba's cache, when this is first asked.
    """
    try:
        for name in _MODULES:
            import_module(f"annoseq.kernels.{name}")
    except ImportError:
        return False
    return True

"""A value that is made when it is first asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Generic, NoReturn, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Later(Generic[T]):
    """A value that `make` makes when it is first asked for, once.

    To be sent to another process, `make` must be something that pickles, so no lambda.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make

    @classmethod
    def known(cls, value: T) -> Self:
        """Hold a value that there is already."""
        later = cls(_never)
        later.__dict__["value"] = value
        return later

    @cached_property
    def value(self) -> T:
        """The value."""
        return self._make()


def _never() -> NoReturn:
    raise AssertionError("a value that is known is never made")

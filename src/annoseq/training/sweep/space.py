"""What a sweep varies: values to try one by one, or ranges to draw from."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import chain, islice, product
from typing import TYPE_CHECKING

from annoseq.config import NetworkConfig
from annoseq.errors import OptionError
from annoseq.training.sweep.settings import Settings, Value, option, read_value, step_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_WIDE = 10
"""A range whose ends are this many times apart, or more, is drawn from evenly in the logarithm."""
TRIED = 100
"""Combinations that are tried before a search is refused."""


@dataclass(frozen=True)
class Choice:
    """Some values of a setting."""

    values: tuple[Value, ...]

    def __str__(self) -> str:
        return ",".join(map(str, self.values))


@dataclass(frozen=True)
class Range:
    """All values of a setting from `low` to `high`, both included; whole ones in steps."""

    low: int | float
    high: int | float
    step: int = 1

    @property
    def is_logarithmic(self) -> bool:
        """Whether small and large values are as likely as each other."""
        return 0 < self.low <= self.high / _WIDE

    def __str__(self) -> str:
        return f"{self.low}:{self.high}"


@dataclass(frozen=True)
class Space:
    """The settings that were given, each with what it may be."""

    axes: Mapping[str, Choice | Range]

    @classmethod
    def parse(cls, given: Mapping[str, str], *, ranges: bool) -> Space:
        """Read lists (`5,10,20`) and, where `ranges` are drawn from, ranges (`1e-4:1e-2`).

        Raises:
            OptionError: a list or a range is not one, or a setting does not take its values.
        """
        space = cls({name: _parse(name, text) for name, text in given.items()})
        for name, axis in space.axes.items():
            if isinstance(axis, Range) and not ranges:
                raise OptionError(
                    f"{option(name)} {axis} is a range, which only --search draws from. "
                    f"Add --search, or list the values: {option(name)} {axis.low},{axis.high}."
                )
        if ranges:
            space.some()
        else:
            space.grid()
        return space

    @property
    def varied(self) -> list[str]:
        """The names of the settings that differ between runs."""
        return [
            name
            for name, axis in self.axes.items()
            if isinstance(axis, Range) or len(axis.values) > 1
        ]

    @property
    def models(self) -> tuple[Value, ...]:
        """The networks that are trained."""
        axis = self.axes.get("model")
        default: Value = NetworkConfig().model
        return axis.values if isinstance(axis, Choice) else (default,)

    def of_model(self, model: Value) -> dict[str, Choice | Range]:
        """Return what there is to choose for a network: not the options of the others."""
        others = {f"{other}" for other in self.models if other != model}
        axes = {
            name: axis
            for name, axis in self.axes.items()
            if name != "model" and name.partition(".")[0] not in others
        }
        return {"model": Choice((model,)), **axes} if "model" in self.axes else axes

    def grid(self) -> list[dict[str, Value]]:
        """Return every combination; the last setting changes fastest.

        Raises:
            OptionError: a combination is of values that do not go together.
        """
        found = [values for model in self.models for values in _combinations(self.of_model(model))]
        for values in found:
            Settings.of(values)
        return found

    def some(self, read: Callable[[Mapping[str, Value]], Settings] = Settings.of) -> list[Settings]:
        """Return the first settings of every network whose values go together.

        Raises:
            OptionError: none of those tried do.
        """
        found = []
        for model in self.models:
            fault: OptionError | None = None
            axes = self.of_model(model)
            for values in chain(islice(_combinations(axes), TRIED), islice(_draws(axes), TRIED)):
                try:
                    found.append(read(values))
                    break
                except OptionError as error:
                    fault = fault or error
            else:
                if fault:
                    raise fault
        return found


def _combinations(axes: Mapping[str, Choice | Range]) -> Iterator[dict[str, Value]]:
    lists = [axis.values if isinstance(axis, Choice) else (axis.low,) for axis in axes.values()]
    for values in product(*lists):
        yield dict(zip(axes, values, strict=True))


def _draws(axes: Mapping[str, Choice | Range]) -> Iterator[dict[str, Value]]:
    generator = random.Random(0)
    while True:
        yield {name: _draw(axis, generator) for name, axis in axes.items()}


def _draw(axis: Choice | Range, generator: random.Random) -> Value:
    if isinstance(axis, Choice):
        return generator.choice(axis.values)
    if isinstance(axis.low, int) and isinstance(axis.high, int):
        return generator.randrange(axis.low, axis.high + 1, axis.step)
    return generator.uniform(axis.low, axis.high)


def _parse(name: str, text: str) -> Choice | Range:
    if ":" in text:
        return _range(name, text)
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise OptionError(
            f"{option(name)}: found {text!r}, in which a value is missing. "
            "Give values with commas between them."
        )
    values = tuple(read_value(name, word) for word in words)
    if len(set(values)) < len(values):
        raise OptionError(f"{option(name)}: found {text!r}, which has a value twice. Give it once.")
    return Choice(values)


def _range(name: str, text: str) -> Range:
    low, high = (read_value(name, word.strip()) for word in text.split(":", 1))
    if isinstance(low, str) or isinstance(high, str) or not low < high:
        raise OptionError(
            f"{option(name)}: found {text!r}. Give a range of numbers, the smaller one first."
        )
    return Range(low, high, step_of(name))

"""Search space of a sweep: settings, values and ranges."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import chain, islice, product
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from annoseq.config import BatchConfig, NetworkConfig, ConfigSection, TrainingConfig
from annoseq.errors import OptionError, describe_expected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydantic.fields import FieldInfo

    from annoseq.tokenization.dataset import Dataset


Value = str | int | float
"""A value of an option, such as 64, 1e-3 or gru."""


@dataclass(frozen=True)
class Settings:
    """All of a run that can differ from another run of the same sweep."""

    network: NetworkConfig
    training: TrainingConfig
    batching: BatchConfig

    @classmethod
    def of(cls, values: Mapping[str, Value]) -> Settings:
        """Put values (`max_lr`, `gru.hidden`) in the place of the defaults.

        A network's own options are passed over where another one that was asked for is trained.

        Raises:
            OptionError: the values do not go together.
        """
        try:
            return cls(
                network=NetworkConfig.model_validate(_nested(values, NetworkConfig)),
                training=TrainingConfig.model_validate(_nested(values, TrainingConfig)),
                batching=BatchConfig.model_validate(_nested(values, BatchConfig)),
            )
        except ValidationError as error:
            message = error.errors(include_url=False)[0]["msg"]
            raise OptionError(f"{message.removeprefix('Value error, ')}.") from None

    def settled(self, dataset: Dataset) -> Settings:
        """Put what a network is usually trained with on a dataset for `auto`.

        Raises:
            OptionError: an option is not one of this network, or it is not for this task.
        """
        network = self.network.settled(task=dataset.task)
        return Settings(
            network=network,
            training=self.training.settled(model=network.model, rows=len(dataset.train)),
            batching=self.batching.settled(model=network.model),
        )


def option(name: str) -> str:
    """Return the option of a setting: `--gru.encoder-dropout` for `gru.encoder_dropout`."""
    return "--" + name.replace("_", "-")


def read_value(name: str, text: str) -> Value:
    """Read a value of a setting.

    Raises:
        OptionError: the setting does not take this value.
    """
    field = _field(name)
    kind: Any = Annotated[field.annotation, field]
    adapter: TypeAdapter[Value] = TypeAdapter(kind, config=ConfigDict(allow_inf_nan=False))
    try:
        return adapter.validate_python(text)
    except ValidationError as error:
        wanted = describe_expected(error.errors(include_url=False)) or "another value"
        raise OptionError(f"{option(name)}: found {text!r}. Give {wanted}.") from None


def step_of(name: str) -> int:
    """Return what every whole value of a setting is a multiple of."""
    return max((getattr(mark, "multiple_of", 1) for mark in _field(name).metadata), default=1)


def _field(name: str) -> FieldInfo:
    return _section(name).model_fields[name.rpartition(".")[2]]


def _section(name: str) -> type[ConfigSection]:
    """Return the section that holds a setting."""
    for section in (NetworkConfig, TrainingConfig, BatchConfig):
        first, _, rest = name.partition(".")
        if first in section.model_fields:
            inner = section.model_fields[first].annotation
            return inner if rest and isinstance(inner, type) else section
    raise OptionError(f"{option(name)} is not a setting of a run.")


def _nested(values: Mapping[str, Value], section: type[ConfigSection]) -> dict[str, Any]:
    """Return the values of a section, those with a dot in dictionaries of their own."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        first, _, rest = name.partition(".")
        if first not in section.model_fields:
            continue
        if rest:
            found.setdefault(first, {})[rest] = value
        else:
            found[first] = value
    return found


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

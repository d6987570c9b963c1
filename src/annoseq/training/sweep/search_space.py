"""Search space of a sweep: lists and ranges of hyperparameter values."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import chain, islice, product
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from annoseq.config import BatchConfig, ConfigSection, NetworkConfig, TrainingConfig
from annoseq.errors import OptionError, describe_expected, option_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydantic.fields import FieldInfo

    from annoseq.tokenization.dataset import Dataset


Value = str | int | float
"""Value of a hyperparameter, such as 64, 1e-3 or gru."""


@dataclass(frozen=True)
class TrialSettings:
    """Configuration of one trial: everything that may differ between the runs of a sweep."""

    network: NetworkConfig
    training: TrainingConfig
    batching: BatchConfig

    @classmethod
    def from_values(cls, values: Mapping[str, Value]) -> TrialSettings:
        """Overlay the defaults with values by name (`max_lr`, `gru.hidden`).

        Options of a network are ignored where another one of the listed networks is trained.

        Raises:
            OptionError: the values contradict each other.
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

    def resolve_auto(self, dataset: Dataset, *, has_encoder: bool = False) -> TrialSettings:
        """Replace every `auto` by the default for the network and the dataset.

        Raises:
            OptionError: an option does not belong to this network, or the network to this task.
        """
        network, rows = self.network.resolve_auto(task=dataset.task), len(dataset.train)
        training = self.training.resolve_auto(
            model=network.model, rows=rows, has_encoder=has_encoder
        )
        return TrialSettings(
            network=network,
            training=training,
            batching=self.batching.resolve_auto(model=network.model),
        )


_LOG_RATIO = 10
"""Ratio of its ends from which on a range is sampled uniformly in the logarithm."""
MAX_ATTEMPTS = 100
"""Combinations that are drawn before a search is refused."""


@dataclass(frozen=True)
class CategoricalDimension:
    """List of values of a hyperparameter."""

    values: tuple[Value, ...]

    def __str__(self) -> str:
        return ",".join(map(str, self.values))


@dataclass(frozen=True)
class RangeDimension:
    """Range of a numeric hyperparameter, both ends included; whole numbers come in steps."""

    low: int | float
    high: int | float
    step: int = 1

    @property
    def is_logarithmic(self) -> bool:
        """True if values are sampled uniformly in the logarithm."""
        return 0 < self.low <= self.high / _LOG_RATIO

    def __str__(self) -> str:
        return f"{self.low}:{self.high}"


Dimension = CategoricalDimension | RangeDimension


@dataclass(frozen=True)
class SearchSpace:
    """Dimensions of a sweep by the names of their hyperparameters."""

    dimensions: Mapping[str, Dimension]

    @classmethod
    def parse(cls, texts: Mapping[str, str], *, ranges: bool) -> SearchSpace:
        """Parse lists (`5,10,20`) and, if `ranges` are allowed, ranges (`1e-4:1e-2`).

        Raises:
            OptionError: a list or range is malformed, or a value is invalid.
        """
        space = cls({name: _parse_dimension(name, text) for name, text in texts.items()})
        for name, dimension in space.dimensions.items():
            if isinstance(dimension, RangeDimension) and not ranges:
                option = option_name(name)
                raise OptionError(
                    f"{option} {dimension} is a range, which only --search draws from. "
                    f"Add --search, or list the values: {option} {dimension.low},{dimension.high}."
                )
        if ranges:
            space.first_valid()
        else:
            space.grid()
        return space

    @property
    def varied(self) -> list[str]:
        """Names of the hyperparameters that differ between runs."""
        return [
            name
            for name, dimension in self.dimensions.items()
            if isinstance(dimension, RangeDimension) or len(dimension.values) > 1
        ]

    @property
    def models(self) -> tuple[Value, ...]:
        """Networks that are trained."""
        dimension = self.dimensions.get("model")
        default: Value = NetworkConfig().model
        return dimension.values if isinstance(dimension, CategoricalDimension) else (default,)

    def for_model(self, model: Value) -> dict[str, Dimension]:
        """Return the dimensions of a network, without the options of the other networks."""
        others = {f"{other}" for other in self.models if other != model}
        dimensions = {
            name: dimension
            for name, dimension in self.dimensions.items()
            if name != "model" and name.partition(".")[0] not in others
        }
        if "model" not in self.dimensions:
            return dimensions
        return {"model": CategoricalDimension((model,)), **dimensions}

    def grid(self) -> list[dict[str, Value]]:
        """Return every combination of values; the last hyperparameter changes fastest.

        Raises:
            OptionError: the values of a combination contradict each other.
        """
        grid = [values for model in self.models for values in _combinations(self.for_model(model))]
        for values in grid:
            TrialSettings.from_values(values)
        return grid

    def first_valid(
        self, validate: Callable[[Mapping[str, Value]], TrialSettings] = TrialSettings.from_values
    ) -> list[TrialSettings]:
        """Return the first valid settings of every network.

        Raises:
            OptionError: a network has no valid settings among those that were tried.
        """
        valid = []
        for model in self.models:
            first_error: OptionError | None = None
            dimensions = self.for_model(model)
            candidates = chain(
                islice(_combinations(dimensions), MAX_ATTEMPTS),
                islice(_samples(dimensions), MAX_ATTEMPTS),
            )
            for values in candidates:
                try:
                    valid.append(validate(values))
                    break
                except OptionError as error:
                    first_error = first_error or error
            else:
                if first_error:
                    raise first_error
        return valid


def parse_value(name: str, text: str) -> Value:
    """Parse a value of a hyperparameter.

    Raises:
        OptionError: the value is invalid.
    """
    field = _field(name)
    annotation: Any = Annotated[field.annotation, field]
    adapter: TypeAdapter[Value] = TypeAdapter(annotation, config=ConfigDict(allow_inf_nan=False))
    try:
        return adapter.validate_python(text)
    except ValidationError as error:
        expected = describe_expected(error.errors(include_url=False)) or "another value"
        raise OptionError(f"{option_name(name)}: found {text!r}. Give {expected}.") from None


def _parse_dimension(name: str, text: str) -> Dimension:
    if ":" in text:
        return _parse_range(name, text)
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise OptionError(
            f"{option_name(name)}: found {text!r}, in which a value is missing. "
            "Give values with commas between them."
        )
    values = tuple(parse_value(name, word) for word in words)
    if len(set(values)) < len(values):
        raise OptionError(
            f"{option_name(name)}: found {text!r}, which has a value twice. Give it once."
        )
    return CategoricalDimension(values)


def _parse_range(name: str, text: str) -> RangeDimension:
    low, high = (parse_value(name, word.strip()) for word in text.split(":", 1))
    if isinstance(low, str) or isinstance(high, str) or not low < high:
        raise OptionError(
            f"{option_name(name)}: found {text!r}. Give a range of numbers, the smaller one first."
        )
    step = max((getattr(mark, "multiple_of", 1) for mark in _field(name).metadata), default=1)
    return RangeDimension(low, high, step)


def _combinations(dimensions: Mapping[str, Dimension]) -> Iterator[dict[str, Value]]:
    """Yield every combination of listed values, with the lower end of each range."""
    lists = [
        dimension.values if isinstance(dimension, CategoricalDimension) else (dimension.low,)
        for dimension in dimensions.values()
    ]
    for values in product(*lists):
        yield dict(zip(dimensions, values, strict=True))


def _samples(dimensions: Mapping[str, Dimension]) -> Iterator[dict[str, Value]]:
    """Yield random combinations without end, the same ones every time."""
    rng = random.Random(0)
    while True:
        yield {name: _sample(dimension, rng) for name, dimension in dimensions.items()}


def _sample(dimension: Dimension, rng: random.Random) -> Value:
    if isinstance(dimension, CategoricalDimension):
        return rng.choice(dimension.values)
    if isinstance(dimension.low, int) and isinstance(dimension.high, int):
        return rng.randrange(dimension.low, dimension.high + 1, dimension.step)
    return rng.uniform(dimension.low, dimension.high)


def _field(name: str) -> FieldInfo:
    return _section(name).model_fields[name.rpartition(".")[2]]


def _section(name: str) -> type[ConfigSection]:
    """Return the configuration section that has a hyperparameter as a field."""
    for section in (NetworkConfig, TrainingConfig, BatchConfig):
        first, _, nested_name = name.partition(".")
        if first in section.model_fields:
            nested = section.model_fields[first].annotation
            return nested if nested_name and isinstance(nested, type) else section
    raise OptionError(f"{option_name(name)} is not a setting of a run.")


def _nested(values: Mapping[str, Value], section: type[ConfigSection]) -> dict[str, Any]:
    """Return the values of a section; names with a dot go into nested dictionaries."""
    fields: dict[str, Any] = {}
    for name, value in values.items():
        first, _, nested_name = name.partition(".")
        if first not in section.model_fields:
            continue
        if nested_name:
            fields.setdefault(first, {})[nested_name] = value
        else:
            fields[first] = value
    return fields

"""The settings of a run, from the names and values of options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from annoseq.config import BatchConfig, NetworkConfig, Section, TrainingConfig
from annoseq.errors import OptionError, describe_wanted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

    from annoseq.text.dataset import Dataset

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
        wanted = describe_wanted(error.errors(include_url=False)) or "another value"
        raise OptionError(f"{option(name)}: found {text!r}. Give {wanted}.") from None


def step_of(name: str) -> int:
    """Return what every whole value of a setting is a multiple of."""
    return max((getattr(mark, "multiple_of", 1) for mark in _field(name).metadata), default=1)


def _field(name: str) -> FieldInfo:
    return _section(name).model_fields[name.rpartition(".")[2]]


def _section(name: str) -> type[Section]:
    """Return the section that holds a setting."""
    for section in (NetworkConfig, TrainingConfig, BatchConfig):
        first, _, rest = name.partition(".")
        if first in section.model_fields:
            inner = section.model_fields[first].annotation
            return inner if rest and isinstance(inner, type) else section
    raise OptionError(f"{option(name)} is not a setting of a run.")


def _nested(values: Mapping[str, Value], section: type[Section]) -> dict[str, Any]:
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

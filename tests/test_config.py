from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from annoseq import config
from annoseq.config import BatchConfig, DataConfig, DeviceConfig, GruConfig, Section, TrainingConfig

SECTIONS = [
    kind
    for kind in vars(config).values()
    if isinstance(kind, type) and issubclass(kind, Section) and kind is not Section
]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_has_a_default_and_one_sentence_of_help(section: type[Section]) -> None:
    made = section()
    for name, field in section.model_fields.items():
        assert getattr(made, name) == field.get_default()
        assert field.description
        assert field.description.endswith(".")


@pytest.mark.parametrize("section", [DataConfig, GruConfig, BatchConfig, TrainingConfig])
def test_what_a_model_folder_holds_survives_its_file(section: type[Section]) -> None:
    assert section.model_validate_json(section().model_dump_json(), strict=True) == section()


@pytest.mark.parametrize("section", SECTIONS)
def test_an_unknown_setting_is_refused(section: type[Section]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        section.model_validate({"no_such_setting": 1})


@pytest.mark.parametrize("section", SECTIONS)
def test_a_setting_does_not_change(section: type[Section]) -> None:
    made = section()
    name = next(iter(section.model_fields))
    with pytest.raises(ValidationError, match="Instance is frozen"):
        setattr(made, name, getattr(made, name))


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        (DataConfig, "valid_share", 0.001),
        (DataConfig, "max_vocab", 8),
        (DataConfig, "min_frequency", 1),
        (DataConfig, "task", "translate"),
        (DeviceConfig, "device", "cuda"),
        (DeviceConfig, "device", "cuda:12"),
        (DeviceConfig, "device", "mps"),
        (GruConfig, "output_dropout", 0.0),
        (TrainingConfig, "weight_decay", 0.0),
        (TrainingConfig, "seed", 0),
        (BatchConfig, "batch_tokens", 1),
    ],
)
def test_a_value_at_the_edge_is_taken(
    section: type[BaseModel], name: str, value: str | float
) -> None:
    assert section.model_validate({name: value}).model_dump()[name] == value


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        (DataConfig, "valid_share", 0.0),
        (DataConfig, "valid_share", 1.0),
        (DataConfig, "max_vocab", 7),
        (DataConfig, "min_frequency", 0),
        (DataConfig, "task", "Annotate"),
        (DataConfig, "split_by", "column"),
        (DeviceConfig, "device", "gpu"),
        (DeviceConfig, "device", "cuda:"),
        (DeviceConfig, "device", "cuda:-1"),
        (DeviceConfig, "device", "cpu\n"),
        (DeviceConfig, "precision", "int8"),
        (GruConfig, "layers", 0),
        (GruConfig, "output_dropout", 1.0),
        (GruConfig, "embedding_dropout", -0.1),
        (TrainingConfig, "epochs", 0),
        (TrainingConfig, "epochs", 1.5),
        (TrainingConfig, "max_lr", 0.0),
        (TrainingConfig, "max_lr", "fast"),
        (TrainingConfig, "seed", -1),
        (TrainingConfig, "weight_decay", -0.01),
        (BatchConfig, "batch_size", 0),
        (BatchConfig, "batch_tokens", 0),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(
    section: type[BaseModel], name: str, value: str | float
) -> None:
    with pytest.raises(ValidationError) as caught:
        section.model_validate({name: value})
    assert [fault["loc"] for fault in caught.value.errors()] == [(name,)]


def test_the_defaults_are_the_notebooks() -> None:
    assert GruConfig() == GruConfig(
        embedding=300,
        hidden=256,
        layers=2,
        embedding_dropout=0.15,
        encoder_dropout=0.25,
        decoder_dropout=0.1,
        output_dropout=0.35,
    )
    assert (DataConfig().max_vocab, DataConfig().min_frequency) == (60_000, 2)
    assert BatchConfig().batch_size == 64

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from annoseq import config
from annoseq.config import (
    AttentionConfig,
    BatchConfig,
    ConfigSection,
    DataConfig,
    DeviceConfig,
    GruConfig,
    NetworkConfig,
    Task,
    TrainingConfig,
    TransformerConfig,
)
from annoseq.errors import OptionError

SECTIONS = [
    kind
    for kind in vars(config).values()
    if isinstance(kind, type) and issubclass(kind, ConfigSection) and kind is not ConfigSection
]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_has_a_default_and_one_sentence_of_help(section: type[ConfigSection]) -> None:
    made = section()
    for name, field in section.model_fields.items():
        assert getattr(made, name) == field.get_default()
        assert field.description
        assert field.description.endswith(".")


@pytest.mark.parametrize(
    "section",
    [
        *(DataConfig, GruConfig, AttentionConfig, TransformerConfig, NetworkConfig),
        *(BatchConfig, TrainingConfig),
    ],
)
def test_settings_survive_serialization(section: type[ConfigSection]) -> None:
    assert section.model_validate_json(section().model_dump_json(), strict=True) == section()


@pytest.mark.parametrize("section", SECTIONS)
def test_an_unknown_setting_is_refused(section: type[ConfigSection]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        section.model_validate({"no_such_setting": 1})


@pytest.mark.parametrize("section", SECTIONS)
def test_settings_are_immutable(section: type[ConfigSection]) -> None:
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
        (TrainingConfig, "teacher_forcing", 0.0),
        (TrainingConfig, "teacher_forcing", 1.0),
        (TrainingConfig, "teacher_forcing", "falling"),
        (TrainingConfig, "label_smoothing", 0.0),
        (TrainingConfig, "label_smoothing", 0.99),
        (TrainingConfig, "early_stopping", 0),
        (TrainingConfig, "clip_norm", 0.0),
        (AttentionConfig, "dropout", 0.0),
        (BatchConfig, "batch_tokens", 1),
        (TrainingConfig, "micro_batch_tokens", 1),
    ],
)
def test_boundary_values_are_accepted(
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
        (TrainingConfig, "forcing_end_epoch", 0),
        (TrainingConfig, "label_smoothing", 1.0),
        (TrainingConfig, "label_smoothing", -0.1),
        (TrainingConfig, "early_stopping", -1),
        (TrainingConfig, "keep", "first"),
        (TrainingConfig, "loss", "padding"),
        (TrainingConfig, "clip_norm", float("inf")),
        (AttentionConfig, "hidden", 0),
        (AttentionConfig, "dropout", 1.0),
        (NetworkConfig, "model", "lstm"),
        (BatchConfig, "batch_size", 0),
        (BatchConfig, "batch_tokens", 0),
        (TrainingConfig, "micro_batch_tokens", 0),
    ],
)
def test_invalid_values_are_refused_by_name(
    section: type[BaseModel], name: str, value: str | float
) -> None:
    with pytest.raises(ValidationError) as caught:
        section.model_validate({name: value})
    assert {fault["loc"][0] for fault in caught.value.errors()} == {name}


@pytest.mark.parametrize("value", [-0.1, 1.1, "rising", float("nan")])
def test_teacher_forcing_is_a_probability_or_one_of_two_words(value: float | str) -> None:
    with pytest.raises(ValidationError) as caught:
        TrainingConfig.model_validate({"teacher_forcing": value})
    assert {fault["loc"][0] for fault in caught.value.errors()} == {"teacher_forcing"}


def test_an_end_of_forcing_belongs_to_falling_forcing() -> None:
    falling = TrainingConfig(teacher_forcing="falling", forcing_end_epoch=3)
    assert falling.forcing_end_epoch == 3
    with pytest.raises(ValidationError) as caught:
        TrainingConfig(teacher_forcing=0.5, forcing_end_epoch=3)
    assert caught.value.errors()[0]["msg"].endswith(
        "--forcing-end-epoch belongs to --teacher-forcing falling, and teacher forcing is 0.5"
    )


@pytest.mark.parametrize(
    ("model", "forcing", "loss"),
    [("gru", 0.0, "padded"), ("attention", 1.0, "token"), ("transformer", 1.0, "token")],
)
def test_auto_is_resolved_by_the_model(model: str, forcing: float, loss: str) -> None:
    settled = TrainingConfig(epochs=7).resolve_auto(model=model, rows=9)
    assert (settled.teacher_forcing, settled.loss, settled.epochs) == (forcing, loss, 7)
    assert settled.resolve_auto(model="gru", rows=9) == settled.resolve_auto(
        model="attention", rows=9
    )
    given = TrainingConfig(
        epochs=1,
        max_lr=1e-2,
        clip_norm=0.5,
        teacher_forcing="falling",
        loss="token",
        forcing_end_epoch=2,
        warmup=0.2,
    )
    assert given.resolve_auto(model=model, rows=9) == given
    assert TrainingConfig(loss="token").resolve_auto(model=model, rows=9).loss == "token"


def test_a_pre_trained_encoder_has_defaults_of_its_own() -> None:
    tagger, encoder = (
        TrainingConfig().resolve_auto(model="tagger", rows=5_000, has_encoder=has_encoder)
        for has_encoder in (False, True)
    )
    assert (tagger.epochs, tagger.max_lr, tagger.warmup) == (17, 3e-3, 0.3)
    assert (encoder.epochs, encoder.max_lr, encoder.warmup) == (8, 1e-3, 0.1)
    few = TrainingConfig().resolve_auto(model="tagger", rows=100, has_encoder=True)
    assert few.epochs == 20


@pytest.mark.parametrize("name", ["encoder_lr", "layer_decay"])
def test_options_of_an_encoder_need_one(name: str) -> None:
    config = TrainingConfig.model_validate({name: 0.5})
    assert config.resolve_auto(model="tagger", rows=9, has_encoder=True).encoder_lr
    option = "--" + name.replace("_", "-")
    with pytest.raises(OptionError) as caught:
        config.resolve_auto(model="tagger", rows=9)
    assert str(caught.value) == (
        f"{option} is for a pre-trained encoder, and the model has none. Leave {option} off, or "
        "name an encoder with --encoder."
    )


@pytest.mark.parametrize(
    ("section", "model"),
    [
        (GruConfig(hidden=4), "gru"),
        (AttentionConfig(hidden=4), "attention"),
        (TransformerConfig(heads=2), "transformer"),
    ],
)
def test_the_settings_of_a_network_are_a_choice_of_it(
    section: GruConfig | AttentionConfig | TransformerConfig, model: str
) -> None:
    config = NetworkConfig.of(section)
    assert config.model == model
    assert config.selected == section
    assert NetworkConfig.of(config) is config
    assert config.model_dump() == {"model": model, model: section.model_dump()}
    assert NetworkConfig.model_validate_json(config.model_dump_json(), strict=True) == config
    assert NetworkConfig.model_validate(config.model_dump()) == config


@pytest.mark.parametrize(("task", "model"), [("annotate", "tagger"), ("translate", "attention")])
def test_the_default_model_depends_on_the_task(task: Task, model: str) -> None:
    assert NetworkConfig.of(None) == NetworkConfig()
    assert NetworkConfig().model == "auto"
    assert NetworkConfig().resolve_auto(task=task).model == model
    given = NetworkConfig(gru=GruConfig(hidden=4)).resolve_auto(task=task)
    assert (given.model, given.selected) == ("gru", GruConfig(hidden=4))


def test_explicit_options_are_named() -> None:
    assert NetworkConfig().explicit_options() == []
    given = NetworkConfig.model_validate({"model": "gru", "gru": {"layers": 1, "hidden": 4}})
    assert given.explicit_options() == ["model", "gru.hidden", "gru.layers"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"model": "attention", "gru": {"hidden": 4}},
            "--gru.hidden belongs to --model gru, and the model is attention",
        ),
        (
            {"attention": {"layers": 2}, "gru": {"hidden": 4}},
            "options of attention and gru were given, which are different models. Name one of them "
            "with --model",
        ),
        (
            {"model": "attention", "gru": {"output_dropout": 0.1}, "attention": {"hidden": 4}},
            "--gru.output-dropout belongs to --model gru, and the model is attention",
        ),
    ],
)
def test_an_option_of_another_network_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        NetworkConfig.model_validate(settings)
    assert caught.value.errors()[0]["msg"] == f"Value error, {message}"


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

"""The trainings of a learning curve and of an audit get every option of the learner."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from annoseq.cli.held_out_runs import learner_settings, runs_plan
from annoseq.cli.options import LearnerOptions
from annoseq.cli.resource_options import ResourceOptions
from annoseq.config import AuditConfig, DeviceConfig, NetworkConfig
from annoseq.devices import ComputeDevice
from annoseq.errors import EncoderError, OptionError
from annoseq.training.pretraining import Pretraining
from annoseq.training.resources import Resources
from tests.encoders import encoder_folder
from tests.models.tiny import TINY_TAGGER

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.tokenization.dataset import Dataset


def options_with(encoder: str | None) -> LearnerOptions:
    return LearnerOptions(
        network=NetworkConfig(tagger=TINY_TAGGER),
        device=DeviceConfig(device="cpu"),
        resources=ResourceOptions(encoder=encoder),
    )


def test_no_option_of_the_learner_is_left_out() -> None:
    settings = {field.name for field in dataclasses.fields(learner_settings(options_with(None)))}
    options = {field.name for field in dataclasses.fields(LearnerOptions)}
    assert settings == options
    resources = {field.name for field in dataclasses.fields(Resources)}
    given = {field.name for field in dataclasses.fields(ResourceOptions)}
    assert resources == given - {"lexicon", "patterns", "gazetteers"} | {"lexicon_features"}


def test_learners_have_the_encoder(dataset: Dataset) -> None:
    learner = learner_settings(options_with(str(encoder_folder("bert")))).make(dataset)
    assert learner.encoder is not None


def test_a_run_with_another_encoder_has_another_plan(dataset: Dataset) -> None:
    compute = ComputeDevice.select("cpu")
    plans = [
        runs_plan(dataset, compute, AuditConfig(), options_with(encoder))
        for encoder in (None, str(encoder_folder("bert")), str(encoder_folder("roberta")))
    ]
    assert len({plan["--encoder"] for plan in plans}) == 3


def test_a_missing_encoder_is_told_before_anything_is_trained(dataset: Dataset) -> None:
    with pytest.raises(EncoderError, match=r"--encoder no/where/at/all: there is no such folder"):
        runs_plan(
            dataset, ComputeDevice.select("cpu"), AuditConfig(), options_with("no/where/at/all")
        )


def test_a_language_model_of_other_sizes_is_told_before_anything_is_trained(
    dataset: Dataset, tmp_path: Path
) -> None:
    folder, compute = tmp_path / "lm", ComputeDevice.select("cpu")
    Pretraining(["She is well.", "He is not."], tagger=TINY_TAGGER, device="cpu").save(folder)
    resources = ResourceOptions(language_model=folder)
    options = dataclasses.replace(options_with(None), resources=resources)
    assert runs_plan(dataset, compute, AuditConfig(), options)["--language-model"]
    wider = TINY_TAGGER.model_copy(update={"hidden": 2 * TINY_TAGGER.hidden})
    options = dataclasses.replace(options, network=NetworkConfig(tagger=wider))
    with pytest.raises(OptionError, match=r"lm: it has --tagger.hidden"):
        runs_plan(dataset, compute, AuditConfig(), options)

"""Training on a GPU: skipped where there is none."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest
import torch

from annoseq.config import DeviceConfig, TrainingConfig
from annoseq.data.markup import strip_tags
from annoseq.data.pairs import Pair, Pairs
from annoseq.inference.annotator import Annotator
from annoseq.models.tagger import Tagger
from annoseq.tokenization.dataset import Dataset
from annoseq.training.learner import Learner
from annoseq.training.pretraining import Pretraining
from tests.encoders import FAMILIES, encoder_folder
from tests.models.tiny import TINY_TAGGER
from tests.tiny import BATCHING, TINY, TINY_ATTENTION, TINY_TRANSFORMER

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.config import AnyNetworkConfig

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

NETWORKS = pytest.mark.parametrize("model", [TINY, TINY_ATTENTION, TINY_TRANSFORMER, TINY_TAGGER])


def trained(
    dataset: Dataset,
    model: AnyNetworkConfig,
    *,
    precision: str = "auto",
    compiles: bool = False,
    epochs: int = 4,
    encoder: Path | None = None,
) -> Learner:
    learner = Learner(
        dataset,
        model=model,
        encoder=encoder,
        training=TrainingConfig(clip_norm=1.0, keep="last", compile=compiles),
        batching=BATCHING,
        device=DeviceConfig.model_validate({"device": "cuda", "precision": precision}),
    )
    learner.fit_one_cycle(epochs, 1e-2, report=lambda line: None)
    return learner


def check(learner: Learner) -> None:
    """Check that it learned, on the GPU and in float32 weights, and can predict."""
    first, *_, last = learner.recorder.epochs
    assert last.train_loss < first.train_loss
    assert last.valid_loss < 1.05 * first.valid_loss
    for weight in learner.network.parameters():
        assert (weight.device.type, weight.dtype) == ("cuda", torch.float32)
    assert len(learner.predictions()) == len(learner.dataset.valid)
    assert learner.compute.peak_memory() > 0


@NETWORKS
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_every_precision_trains(dataset: Dataset, model: AnyNetworkConfig, precision: str) -> None:
    if precision == "bfloat16" and not torch.cuda.is_bf16_supported():
        pytest.skip("this GPU has no bfloat16")
    check(trained(dataset, model, precision=precision))


@NETWORKS
def test_lower_precision_learns_much_the_same(dataset: Dataset, model: AnyNetworkConfig) -> None:
    exact, rough = (trained(dataset, model, precision=name) for name in ("float32", "float16"))
    ours, theirs = rough.recorder.epochs[-1], exact.recorder.epochs[-1]
    assert ours.valid_loss == pytest.approx(theirs.valid_loss, rel=0.1)


@NETWORKS
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of torch's own code
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="needs Triton")
def test_a_compiled_network_trains(dataset: Dataset, model: AnyNetworkConfig) -> None:
    check(trained(dataset, model, compiles=True))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # older transformers
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_pre_trained_encoder_trains(dataset: Dataset, family: str, precision: str) -> None:
    encoder = encoder_folder(family)
    learner = trained(dataset, TINY_TAGGER, precision=precision, encoder=encoder)
    check(learner)
    assert isinstance(learner.network, Tagger)
    assert learner.network.pretrained is not None


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_language_model_trains(dataset: Dataset, precision: str, tmp_path: Path) -> None:
    device = DeviceConfig.model_validate({"device": "cuda", "precision": precision})
    texts = [example.source for example in dataset.train]
    pretraining = Pretraining(texts, tagger=TINY_TAGGER, batching=BATCHING, device=device)
    pretraining.fit(report=lambda line: None)
    pretraining.save(tmp_path / "lm")
    learner = Learner(
        dataset,
        model=TINY_TAGGER,
        language_model=tmp_path / "lm",
        training=TrainingConfig(clip_norm=1.0, keep="last", lm_weight=0.1),
        batching=BATCHING,
        device=device,
    )
    learner.fit_one_cycle(4, 1e-2, report=lambda line: None)
    check(learner)


def test_memory_that_does_not_suffice_is_explained(dataset: Dataset) -> None:
    from annoseq.errors import TrainingError

    learner = Learner(dataset, model=TINY, device=DeviceConfig(device="cuda"))
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-6)
    try:
        with pytest.raises(TrainingError, match="the memory of cuda does not suffice"):
            learner.fit_one_cycle(1, report=lambda line: None)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


FLAT = "Dr. {{{{NAME}}}}{name}{{{{/NAME}}}} came on {{{{DATE}}}}{day} May{{{{/DATE}}}}"
NESTED = "{{{{ORG}}}}University of {{{{CITY}}}}{name}{{{{/CITY}}}}{{{{/ORG}}}} wrote on {day} May"


@pytest.mark.parametrize("family", [None, "bert", "xlm-roberta"])
@pytest.mark.parametrize("markup", [FLAT, NESTED], ids=["crf", "biaffine"])
def test_a_tagger_finds_the_same_spans_on_a_gpu_and_on_a_cpu(
    markup: str, family: str | None, tmp_path: Path
) -> None:
    encoder = None if family is None else encoder_folder(family)
    names = ("Ames", "Bo Lee", "de la Cruz", "O'Hara", "Zoë")
    targets = [markup.format(name=name, day=day) for day in range(1, 13) for name in names]
    rows = [Pair(strip_tags(target), target, row) for row, target in enumerate(targets, 1)]
    pairs = Pairs(rows, name="notes")
    learner = trained(
        Dataset.from_pairs(pairs), TINY_TAGGER, precision="float32", epochs=20, encoder=encoder
    )
    learner.save(tmp_path / "model")
    texts = [pair.source for pair in pairs] + ["", " \u200b", "A\U0001f600 Dr. Ames " * 400]
    on_gpu, on_cpu = (
        [annotation.spans or () for annotation in annotator.annotate(texts)]
        for annotator in (
            Annotator.load(
                tmp_path / "model", device=DeviceConfig(device=device, precision="float32")
            )
            for device in ("cuda", "cpu")
        )
    )
    assert any(on_cpu)
    assert on_gpu == on_cpu
    for ours, theirs in zip(on_gpu, on_cpu, strict=True):
        scores = [span.score for span in theirs]
        # cuDNN computes an LSTM of float32 in TF32, of 10 bits after the point.
        assert [span.score for span in ours] == pytest.approx(scores, abs=1e-3)

"""Annotation by an ONNX file, behind the same interface as that by a model folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from annoseq.config import BatchConfig, DeviceConfig, SearchConfig
from annoseq.errors import OptionError
from annoseq.inference import onnx_predictor
from annoseq.inference.annotator import Annotator
from annoseq.inference.model_loading import read_card
from annoseq.inference.onnx_predictor import OnnxPredictor
from annoseq.models.onnx_model import OnnxModel
from annoseq.tokenization import hash_features
from tests.fidelity import hard_texts
from tests.imports import modules_of
from tests.onnx_files import write_tiny_file

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from annoseq.inference.annotation import Annotation

TEXTS = ["Dr. Ames, 31y", "", "Zoë", "Ames " * 40, "Dr. Ames, 31y"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_file(tmp_path_factory.mktemp("onnx") / "tagger.onnx")


def annotate(file: Path, texts: list[str], *, batch_size: int = 256) -> list[Annotation]:
    batching = BatchConfig(batch_size=batch_size, batch_tokens=16_384)
    annotator = Annotator.load(file)
    return annotator.annotate(texts, batching=batching, advance=lambda done: None)


def test_no_text_is_changed(file: Path) -> None:
    texts = [*TEXTS, *hard_texts(40, seed="onnx")]
    found = annotate(file, texts)
    assert [one.text for one in found] == texts
    assert not any(one.is_changed for one in found)
    assert sum(len(one.spans or ()) for one in found) > 20
    assert all(0 <= (span.score or 0.0) <= 1 for one in found for span in one.spans or ())


def test_results_do_not_depend_on_the_batch(file: Path) -> None:
    together, alone = annotate(file, TEXTS), annotate(file, TEXTS, batch_size=1)
    assert [one.annotated for one in together] == [one.annotated for one in alone]
    scores = [[one.score for one in found] for found in (together, alone)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)


def test_tokens_are_embedded_in_parts_and_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [one.annotated for one in annotate(file, TEXTS)]
    monkeypatch.setattr(onnx_predictor, "_FEATURES_PER_RUN", 128)
    ran: list[str] = []
    run = OnnxModel.run

    def counting(
        self: OnnxModel,
        output: str,
        inputs: dict[str, NDArray[Any]],
    ) -> NDArray[Any]:
        ran.append(output)
        return run(self, output, inputs)

    monkeypatch.setattr(OnnxModel, "run", counting)
    annotator = Annotator.load(file)
    for _ in range(2):
        found = annotator.annotate(TEXTS, advance=lambda done: None)
        assert [one.annotated for one in found] == expected
    assert 1 < ran.count("embedded") <= 8
    assert ran.count("scores") == 2


def test_tokens_of_texts_long_gone_are_forgotten(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = list(hard_texts(12, seed="gone"))
    expected = [one.annotated for one in annotate(file, texts)]
    monkeypatch.setattr(hash_features, "_MAX_TOKENS", 5)
    annotator = Annotator.load(file)
    for _ in range(2):
        found = annotator.annotate(texts, advance=lambda done: None)
        assert [one.annotated for one in found] == expected
    predictor = annotator.predictor
    assert isinstance(predictor, OnnxPredictor)
    assert predictor.model.tokenizer.feature_hasher.generation > 0


def test_targets_mark_more(file: Path) -> None:
    annotator = Annotator.load(file)
    best = annotator.annotate(TEXTS, advance=lambda done: None)
    covered = annotator.annotate(TEXTS, target_coverage=0.9, advance=lambda done: None)
    recalled = annotator.annotate(TEXTS, target_recall=0.9, advance=lambda done: None)
    counts = [
        sum(span.end - span.start for one in found for span in one.spans or ())
        for found in (best, covered, recalled)
    ]
    assert counts[1] >= counts[0]
    assert counts[2] > 0
    parts = annotator.score_coverage(TEXTS)
    assert len(parts) == len(TEXTS)


def test_it_has_no_network_but_all_else(file: Path) -> None:
    annotator = Annotator.load(file)
    assert repr(annotator) == "<Annotator: tagger, annotate, cpu>"
    assert annotator.is_tagger
    assert not annotator.is_translator
    assert len(annotator.fingerprint) == 64
    assert annotator.history is None
    assert read_card(file) == "# Model card\n"
    with pytest.raises(OptionError, match="an ONNX file holds no network"):
        _ = annotator.model


@pytest.mark.parametrize(
    ("device", "message"),
    [
        (DeviceConfig(device="cuda"), "--device cuda: an ONNX file is run on the CPU"),
        (DeviceConfig(precision="bfloat16"), "--precision bfloat16: an ONNX file"),
    ],
)
def test_other_devices_are_refused(file: Path, device: DeviceConfig, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Annotator.load(file, device=device)
    assert Annotator.load(file, device="cpu").device == "cpu"


def test_a_search_is_refused(file: Path) -> None:
    with pytest.raises(OptionError, match="this one is a tagger"):
        Annotator.load(file).annotate(TEXTS, search=SearchConfig(search="beam"))


def test_torch_is_not_imported(file: Path) -> None:
    imported = modules_of(
        "from annoseq.inference.annotator import Annotator; "
        f"Annotator.load({str(file)!r}).annotate('Dr. Ames', advance=print)"
    )
    assert {"onnxruntime", "annoseq.models.onnx_model"} <= imported
    heavy = {"torch", "accelerate", "safetensors", "onnx", "pandas", "numba"}
    assert imported & heavy == set()

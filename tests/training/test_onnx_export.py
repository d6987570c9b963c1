"""Checks of the export: scores of the graph, and the recall that quantization costs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from annoseq.data.examples import Example
from annoseq.errors import ModelError, OptionError
from annoseq.inference.annotator import Annotator
from annoseq.models.onnx_model import OnnxModel, open_session
from annoseq.models.tagger import Tagger
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from annoseq.training.onnx_export import Quantization, check_scores, measure_int8
from tests.calibrated import calibrated_model, pairs
from tests.onnx_files import tiny_graph, write_tiny_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> OnnxModel:
    return OnnxModel.load(write_tiny_file(tmp_path_factory.mktemp("onnx") / "tagger.onnx"))


@pytest.fixture(scope="module")
def examples(exact: OnnxModel) -> list[Example]:
    """Rows whose gold spans are those that the exact model finds."""
    texts = [pair.source for pair in pairs()]
    found = Annotator(exact).annotate(texts, advance=lambda done: None)
    return [
        Example(one.text, one.annotated, one.spans, row=row)
        for row, one in enumerate(found, start=1)
    ]


def test_quantization_that_costs_too_much_recall_is_refused(
    exact: OnnxModel, examples: list[Example]
) -> None:
    quantization = Quantization(examples, 0.002, is_held_out=False)
    with pytest.raises(ModelError) as raised:
        measure_int8(exact, tiny_graph(2, spread=0.0), quantization)
    spans = sum(len(example.spans or ()) for example in examples)
    assert str(raised.value) == (
        f"with --int8 the recall falls by 1.0000, from 1.0000 to 0.0000 of {spans} spans in 80 "
        "rows, and 0.002 is the most that --max-recall-loss allows. Leave --int8 off."
    )


@pytest.mark.parametrize("is_held_out", [False, True])
def test_the_measurement_is_kept_and_held_out_rows_calibrate(
    exact: OnnxModel, examples: list[Example], is_held_out: bool
) -> None:
    quantization = Quantization(examples, 0.0, is_held_out=is_held_out)
    model = measure_int8(exact, tiny_graph(2), quantization)
    int8 = model.metadata.int8
    assert int8 is not None
    assert (int8.rows, int8.float32.recall, int8.int8.recall) == (80, 1.0, 1.0)
    assert repr(model) == "<OnnxModel: tagger, annotate, int8>"
    assert model.calibration is not None
    assert (model.calibration != exact.calibration) == is_held_out


def test_rows_without_spans_cannot_measure(exact: OnnxModel) -> None:
    row = Example("Dr. Ames", "Dr. Ames", (), row=1)
    with pytest.raises(OptionError, match="--validation have no spans"):
        measure_int8(exact, tiny_graph(2), Quantization([row], 0.0, is_held_out=False))


def test_a_graph_with_other_scores_than_the_network_is_refused(exact: OnnxModel) -> None:
    model = calibrated_model()
    network, tokenizer = model.network, model.tokenizer
    assert isinstance(network, Tagger)
    assert isinstance(tokenizer, TaggerTokenizer)
    exact = replace(exact, tokenizer=tokenizer)
    with pytest.raises(ModelError, match="does not give the scores of the network: they differ by"):
        check_scores(exact, network)
    broken = replace(exact, session=open_session(tiny_graph(2, spread=float("nan"))))
    with pytest.raises(ModelError, match="differ by nan"):
        check_scores(broken, network)


def test_a_file_too_large_for_onnx_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from annoseq.models import onnx_graph

    monkeypatch.setattr(onnx_graph, "_MAX_BYTES", 10)
    network = calibrated_model().network
    assert isinstance(network, Tagger)
    with pytest.raises(ModelError, match="more than 2 GB"):
        onnx_graph.export_graph(network)

"""A tagger is calibrated when it is saved, if there are enough gold spans to validate it on."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from annoseq.config import DeviceConfig
from annoseq.data.examples import parse_pairs
from annoseq.data.pairs import Pair
from annoseq.devices import ComputeDevice
from annoseq.evaluation.calibration_statistics import CalibrationStatistics
from annoseq.evaluation.recall_thresholds import RecallTarget
from annoseq.inference.annotator import Annotator
from annoseq.inference.network_predictors import build_predictor
from annoseq.models.serialization import TrainedModel
from annoseq.training import calibration_runner
from annoseq.training.calibration_runner import CalibrationRunner
from annoseq.training.model_card import calibrate
from tests.calibrated import calibration_statistics, pairs
from tests.fidelity import random_annotator
from tests.models.tiny import randomise
from tests.training.test_objectives import AMES, of, some_learner, table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from annoseq.inference.predictor import SpanPredictor, SpanQuery
    from annoseq.tokenization.batching import TokenIds
    from annoseq.tokenization.bioes import ScoredTokenSpans


def test_a_tagger_is_saved_with_what_its_scores_mean(tmp_path: Path) -> None:
    valid = table(*[AMES, AMES, "a b", "c d"] * 28)
    dataset = of(table(*[AMES, "no visitor seen", "Dr. Zoë came"]), valid)
    learner = some_learner(dataset)
    randomise(learner.network)
    learner.save(tmp_path / "model")
    assert (tmp_path / "model" / "calibration.json").exists()
    card = (tmp_path / "model" / "card.md").read_text()
    assert "judged by the 112 spans of 112 documents kept from training" in card
    annotator = Annotator.load(tmp_path / "model")
    target = annotator.choose_target(target_recall=0.5)
    assert isinstance(target, RecallTarget)
    assert target.expected.gold == 112
    found = annotator.annotate(["Dr. Ames, 31y"], target_recall=0.5)
    assert all(0 < (span.score or 0) < 1 for span in found[0].spans or ())
    # Another training makes its own.
    base = TrainedModel.load(tmp_path / "model")
    few = of(table(AMES), table(AMES))
    some_learner(few, base=base).save(tmp_path / "more")
    assert not (tmp_path / "more" / "calibration.json").exists()
    assert "too few spans to tell what they mean" in (tmp_path / "more" / "card.md").read_text()


def test_of_too_many_candidates_only_likelier_ones_count(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = calibration_statistics()
    monkeypatch.setattr(calibration_runner, "_MAX_CANDIDATES", 0)
    likelier = calibration_statistics()
    assert everything is not None
    assert likelier is not None
    assert (everything.floor, likelier.floor) == (1e-5, 1e-2)
    counts = [
        sum(right + wrong for curve in one.candidates.curves.values() for _, right, wrong in curve)
        for one in (everything, likelier)
    ]
    assert counts[0] > counts[1]


def test_files_of_format_3_are_read() -> None:
    found = calibration_statistics()
    assert found is not None
    record = found.model_dump(mode="json") | {"format": 3}
    assert record["coverage"].pop("clusterings")
    old = CalibrationStatistics.model_validate_json(json.dumps(record))
    assert old.coverage.clustering == found.coverage.clustering
    assert old.coverage.choose_threshold(0.5).confidence == 90


def test_rows_in_several_chunks_make_the_same_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = calibration_statistics()
    monkeypatch.setattr(calibration_runner, "_CHUNK_ROWS", 17)
    parts = calibration_statistics()
    assert whole is not None
    assert parts is not None
    assert (parts.rows, parts.documents) == (80, 80)
    assert parts.candidates.missed == whole.candidates.missed
    targets = [one.candidates.choose_threshold(0.5) for one in (parts, whole)]
    assert targets[0].expected == targets[1].expected


def test_documents_whose_rows_are_scattered_are_one_each() -> None:
    documents = [replace(pair, document=f"d{pair.row // 8}") for pair in pairs()]
    whole = calibration_statistics(rows=documents)
    order = sorted(documents, key=lambda pair: (pair.row % 8, pair.row))
    scattered = calibration_statistics(rows=order)
    assert whole is not None
    assert scattered is not None
    assert scattered.documents == whole.documents == 11
    assert scattered.candidates.clustering == pytest.approx(whole.candidates.clustering)
    assert scattered.coverage.documents == whole.coverage.documents
    assert scattered.coverage.clusterings == whole.coverage.clusterings


def test_long_rows_are_read_in_windows() -> None:
    """A row of many windows is calibrated as it is annotated."""
    model = random_annotator("flat tagger").model
    compute = ComputeDevice.select(DeviceConfig(device="cpu"))
    text = "Dr. Ames, 31y " * 60
    target = "Dr. {{NAME}}Ames{{/NAME}}, 31y " * 60
    examples = parse_pairs([Pair(text, target, row) for row in (1, 2)], task="annotate").examples
    predictor = build_predictor(model.network, model.tokenizer, compute)
    (tokenized,) = predictor.tokenize([text])
    assert len(tokenized.windows) > 1
    recording = Recording(predictor)
    CalibrationRunner(recording).run(examples)
    assert recording.longest == max(len(tokenized.window_ids(index)) for index in range(3))


class Recording:
    """A predictor that remembers its longest window."""

    def __init__(self, predictor: SpanPredictor) -> None:
        self.predictor = predictor
        self.labels = predictor.labels
        self.default_batching = predictor.default_batching
        self.gives_marginals = predictor.gives_marginals
        self.generator = predictor.generator
        self.exclusive_use = predictor.exclusive_use
        self.tokenize = predictor.tokenize
        self.longest = 0

    def predict_batch(
        self, windows: Sequence[TokenIds], query: SpanQuery, *, names: Sequence[str]
    ) -> list[list[ScoredTokenSpans]]:
        self.longest = max(self.longest, *map(len, windows))
        return self.predictor.predict_batch(windows, query, names=names)


def test_a_model_that_writes_is_not_calibrated() -> None:
    model = random_annotator("flat").model
    examples = parse_pairs(pairs(), task="annotate").examples
    compute = ComputeDevice.select(DeviceConfig(device="cpu"))
    assert calibrate(model, examples, compute) is None

"""A tagger with random weights whose scores have been judged, in no time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from annoseq.config import DeviceConfig
from annoseq.data.examples import parse_pairs
from annoseq.data.markup import strip_tags
from annoseq.data.pairs import Pair
from annoseq.devices import ComputeDevice
from annoseq.models.tagger import Tagger
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from annoseq.training.calibration_runner import CalibrationRunner
from tests.fidelity import FLAT, NESTED, random_annotator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.evaluation.recall_thresholds import CalibrationStatistics
    from annoseq.models.serialization import TrainedModel


TIGHT = [target.replace("{{NAME}} ", " {{NAME}}") for target in FLAT]
"""Spans without white space at their edges: what is scored strictly."""


def pairs(count: int = 80, *, targets: Sequence[str] = TIGHT) -> list[Pair]:
    """Return rows that the random taggers of `tests.fidelity` know the labels of."""
    some = [targets[number // 2 % len(targets)] for number in range(count)]
    return [Pair(strip_tags(one), one, row) for row, one in enumerate(some, 1)]


def judged(name: str = "flat tagger", rows: Sequence[Pair] | None = None) -> CalibrationStatistics | None:
    model = random_annotator(name).model
    assert isinstance(model.network, Tagger)
    assert isinstance(model.tokenizer, TaggerTokenizer)
    compute = ComputeDevice.select(DeviceConfig(device="cpu"))
    return CalibrationRunner(model.network, model.tokenizer, compute).judge(
        parse_pairs(pairs() if rows is None else rows, task="annotate").examples
    )


def trusted(name: str = "flat tagger") -> TrainedModel:
    """Return a random tagger with evidence."""
    evidence = judged(name, pairs(targets=NESTED if "nested" in name else TIGHT))
    assert evidence is not None
    return replace(random_annotator(name).model, calibration=evidence.model_dump_json())

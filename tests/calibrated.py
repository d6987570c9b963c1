"""A calibrated tagger with random weights."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from annoseq.config import DeviceConfig
from annoseq.data.examples import parse_pairs
from annoseq.data.markup import strip_tags
from annoseq.data.pairs import Pair
from annoseq.devices import ComputeDevice
from annoseq.inference.network_predictors import build_predictor
from annoseq.models.tagger import CrfHead
from annoseq.training.calibration_runner import CalibrationRunner
from tests.fidelity import FLAT, NESTED, random_annotator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.evaluation.calibration_statistics import CalibrationStatistics
    from annoseq.models.serialization import TrainedModel


TIGHT = [target.replace("{{NAME}} ", " {{NAME}}") for target in FLAT]
"""Spans without white space at their edges: what is scored strictly."""


def pairs(count: int = 80, *, targets: Sequence[str] = TIGHT) -> list[Pair]:
    """Return rows that the random taggers of `tests.fidelity` know the labels of."""
    repeated = [targets[number // 2 % len(targets)] for number in range(count)]
    return [Pair(strip_tags(target), target, row) for row, target in enumerate(repeated, 1)]


def calibration_statistics(
    name: str = "flat tagger",
    rows: Sequence[Pair] | None = None,
    *,
    model: TrainedModel | None = None,
) -> CalibrationStatistics | None:
    model = model or random_annotator(name).model
    compute = ComputeDevice.select(DeviceConfig(device="cpu"))
    runner = CalibrationRunner(build_predictor(model.network, model.tokenizer, compute))
    return runner.run(parse_pairs(pairs() if rows is None else rows, task="annotate").examples)


def calibrated_model(
    name: str = "flat tagger", *, is_cautious: bool = False, rows: int = 80
) -> TrainedModel:
    """Return a random tagger with calibration statistics; a cautious one marks little by itself."""
    table = pairs(rows, targets=NESTED if "nested" in name else TIGHT)
    model = random_annotator(name).model
    if is_cautious:
        model = replace(model, network=_cautious(model.network))
    statistics = calibration_statistics(name, table, model=model)
    assert statistics is not None
    return replace(model, calibration=statistics)


def _cautious(network: Any) -> Any:
    """Return a copy of a tagger that thinks every span less likely."""
    hasher = network.feature_hasher  # shared with the tokenizer
    network = copy.deepcopy(network, {id(hasher): hasher})
    head = network.head
    bias, by = (
        (head.output.bias, 10.0) if isinstance(head, CrfHead) else (head.first_linear.bias, 80.0)
    )
    bias.data[0] += by
    return network

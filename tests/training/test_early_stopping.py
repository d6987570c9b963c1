from __future__ import annotations

import pytest
import torch
from torch import nn

from annoseq.config import TrainingConfig
from annoseq.training.early_stopping import EarlyStopping
from annoseq.training.recorder import Epoch


def epoch(number: int, score: float) -> Epoch:
    return Epoch(number, 1.0, 1.0, {"span_f1": score}, "span_f1", 1.0, 1.0)


def stopping(
    *scores: float, patience: int, network: nn.Module | None = None
) -> tuple[EarlyStopping, list[bool]]:
    """Return the tracker of a run with these scores, and after which epochs it would stop."""
    tracker = EarlyStopping(TrainingConfig(early_stopping=patience))
    network = network or nn.Linear(1, 1)
    stops = []
    for number, score in enumerate(scores, 1):
        with torch.no_grad():
            for weight in network.parameters():
                weight.fill_(number)
        tracker.update(epoch(number, score), network)
        stops.append(tracker.should_stop(number))
    return tracker, stops


def test_a_run_stops_after_its_patience() -> None:
    assert stopping(0.1, 0.3, 0.2, 0.2, 0.2, patience=2)[1] == [False, False, False, True, True]
    assert stopping(0.1, 0.3, 0.2, 0.4, 0.2, patience=2)[1] == [False] * 5


def test_without_patience_it_never_stops() -> None:
    assert stopping(0.3, 0.2, 0.1, patience=0)[1] == [False] * 3
    assert not EarlyStopping(TrainingConfig(early_stopping=1)).should_stop(5)


@pytest.mark.parametrize(("scores", "is_restored"), [((0.1, 0.3, 0.2), True), ((0.1, 0.2), False)])
def test_the_best_weights_are_restored(scores: tuple[float, ...], is_restored: bool) -> None:
    network = nn.Linear(1, 1)
    tracker, _ = stopping(*scores, patience=0, network=network)
    assert tracker.restore_best(network, epoch=len(scores)) == is_restored
    assert network.weight.item() == 2

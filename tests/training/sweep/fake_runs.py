"""Sweeps and runs that take no time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.config import DeviceConfig
from annoseq.training.recorder import Epoch
from annoseq.training.sweep.results import SweepRun
from annoseq.training.sweep.search_space import SearchSpace
from annoseq.training.sweep.sweep_folder import SweepFolder
from annoseq.training.sweep.trial import Sweep

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.tokenization.dataset import Dataset
    from annoseq.training.sweep.results import RunState

TINY = {"gru.embedding": "8", "gru.hidden": "8", "gru.layers": "1"}
VALUES = {"gru.embedding": 8, "gru.hidden": 8, "gru.layers": 1}


def run_of(number: int, *accuracies: float, state: RunState = "finished") -> SweepRun:
    """Return a run whose epochs had some token accuracies and took a second each."""
    epochs = [
        Epoch(place, 2.0, 1.0 + place, {"token_accuracy": accuracy}, "token_accuracy", 100.0, 1.0)
        for place, accuracy in enumerate(accuracies, start=1)
    ]
    score = max(accuracies) if state == "finished" else None
    return SweepRun(number, state, {"max_lr": number / 1000, "batch_size": 64}, epochs, score)


def sweep_in(folder: Path, dataset: Dataset, given: dict[str, str], *, ranges: bool) -> Sweep:
    """Begin a sweep of tiny networks."""
    space = SearchSpace.parse({**given, **TINY}, ranges=ranges)
    found = SweepFolder(folder)
    found.files.begin({}, overwrite=False)
    return Sweep(dataset, space, found, DeviceConfig(device="cpu"))

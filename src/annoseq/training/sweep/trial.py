"""Trials of a sweep: one run, and a grid of runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from annoseq.errors import DivergenceError, OutOfMemoryError
from annoseq.training.learner_settings import LearnerSettings
from annoseq.training.resources import Resources
from annoseq.training.run_folder import fit_from_checkpoint, train_again_if_damaged
from annoseq.training.sweep.results import RunState, SweepRun
from annoseq.training.sweep.search_space import TrialSettings
from annoseq.vectors.lookup import open_vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from annoseq.config import DeviceConfig
    from annoseq.tokenization.dataset import Dataset
    from annoseq.training.learner import Learner
    from annoseq.training.recorder import Epoch
    from annoseq.training.sweep.search_space import SearchSpace, Value
    from annoseq.training.sweep.sweep_folder import SweepFolder

    AfterEpoch = Callable[[list[Epoch]], None]


@dataclass(frozen=True)
class Sweep:
    """Data, search space and folder that all runs of a sweep share."""

    dataset: Dataset
    space: SearchSpace
    folder: SweepFolder
    device: DeviceConfig
    resources: Resources = field(default_factory=Resources)

    def settings(self, values: Mapping[str, Value]) -> TrialSettings:
        """Return the settings of a run with these values, without any `auto`.

        Raises:
            OptionError: no run can be trained with the values.
        """
        has_encoder = self.resources.encoder is not None
        given = TrialSettings.from_values(values)
        settings = given.resolve_auto(self.dataset, has_encoder=has_encoder)
        self.resources.check(settings.network, settings.training)
        if self._vectors_width and settings.network.model != "tagger":  # which takes any width
            settings.network.with_embedding(self._vectors_width)
        return settings

    @cached_property
    def _vectors_width(self) -> int:
        vectors = self.resources.vectors
        return open_vectors(vectors).width if vectors else 0


class PrunedRun(Exception):  # noqa: N818
    """Raised by an `after_epoch` callback to end a run that is worse than the others."""


def run_trial(
    sweep: Sweep,
    number: int,
    values: Mapping[str, Value],
    *,
    after_epoch: AfterEpoch = lambda epochs: None,
) -> SweepRun:
    """Train a run to its end, from its checkpoint if there is one, and save it in the folder.

    `after_epoch` is called with all epochs so far after each.

    Raises:
        OptionError: no run can be trained with the values.
    """
    settings = TrialSettings.from_values(values)
    checkpoint = sweep.folder.files.checkpoint(number)
    try:
        learner, state = train_again_if_damaged(
            lambda: _make_learner(sweep, settings),
            checkpoint,
            lambda learner: _train(learner, checkpoint, after_epoch),
        )
    except torch.OutOfMemoryError:
        run = SweepRun(number, "out of memory", dict(values), [])
        sweep.folder.save(run, None)
        return run
    epochs = learner.recorder.epochs
    score = None
    if state == "finished":
        scores = [epoch.score for epoch in epochs]
        score = max(scores) if settings.training.keep == "best" else scores[-1]
    run = SweepRun(number, state, dict(values), list(epochs), score)
    sweep.folder.save(run, learner)
    return run


def _make_learner(sweep: Sweep, settings: TrialSettings) -> Learner:
    learner_settings = LearnerSettings(
        network=settings.network,
        training=settings.training,
        batching=settings.batching,
        device=sweep.device,
        resources=sweep.resources,
    )
    return learner_settings.make(sweep.dataset)


def _train(learner: Learner, checkpoint: Path, after_epoch: AfterEpoch) -> RunState:
    try:
        fit_from_checkpoint(
            learner,
            checkpoint,
            after_epoch=lambda epoch: after_epoch(learner.recorder.epochs),
        )
    except DivergenceError:
        return "diverged"
    except PrunedRun:
        return "pruned"
    except (OutOfMemoryError, torch.OutOfMemoryError):
        torch.cuda.empty_cache()
        return "out of memory"
    return "finished"


def run_grid(sweep: Sweep, *, report: Callable[[SweepRun], None]) -> None:
    """Train the runs of the grid that are neither finished nor claimed by another process.

    Several processes may do so at once. `report` is called with each run.
    """
    for number, values in enumerate(sweep.space.grid(), start=1):
        with sweep.folder.files.claim(number) as is_claimed:
            if is_claimed:
                report(run_trial(sweep, number, values))

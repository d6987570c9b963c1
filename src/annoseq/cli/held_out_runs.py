"""Many trainings with the options of one command: learner settings, resumable plan, execution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from annoseq._version import __version__
from annoseq.data.pairs import fingerprint_pairs
from annoseq.errors import count_noun
from annoseq.training.learner_settings import LearnerSettings
from annoseq.training.run_folder import run_workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from annoseq.cli.options import LearnerOptions
    from annoseq.config import AuditConfig, CurveConfig
    from annoseq.devices import ComputeDevice
    from annoseq.tokenization.dataset import Dataset
    from annoseq.training.run_folder import TrainingRuns


class HeldOutRuns(Protocol):
    """Trainings on some of the documents, whose records are in a folder."""

    @property
    def folder(self) -> TrainingRuns:
        """Folder of the records."""
        ...


def learner_settings(options: LearnerOptions) -> LearnerSettings:
    """Return the settings of all learners."""
    return LearnerSettings(
        network=options.network,
        training=options.training,
        batching=options.batching,
        device=options.device,
        resources=options.resources.parse(),
    )


def runs_plan(
    dataset: Dataset,
    compute: ComputeDevice,
    design: AuditConfig | CurveConfig,
    options: LearnerOptions,
) -> dict[str, Any]:
    """Return everything that determines the trainings; a resumed command has the same plan.

    Raises:
        OptionError: a resource is not for the network of the trainings.
        VectorsError, EncoderError, ModelError: a resource cannot be read.
    """
    network = options.network.resolve_auto(task=dataset.task)
    options.resources.parse().check(network, options.training)
    return {
        "annoseq": __version__,
        "pairs": dataset.fingerprint,
        "data": dataset.config.model_dump(),
        "validation pairs": fingerprint_pairs(dataset.valid),
        "precision": str(compute.dtype),
        **design.model_dump(exclude={"workers"}),
        "network": options.network.model_dump(),
        "training": options.training.model_dump(),
        "batching": options.batching.model_dump(),
        **options.resources.plan(),
    }


def work_in_processes(
    runs: HeldOutRuns, work: Callable[[], None], *, noun: str, workers: int
) -> None:
    """Train until all runs are done; an interruption tells how many are, and how to go on."""
    try:
        run_workers(work, workers=workers)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted after {count_noun(len(runs.folder.records()), noun)}. "
            "Add --resume to the same command to go on."
        ) from None

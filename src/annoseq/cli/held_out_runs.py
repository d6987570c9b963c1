"""Many trainings with the options of one command: learner settings, resumable plan, execution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from annoseq._version import __version__
from annoseq.cli.options import fingerprint_file
from annoseq.data.pairs import fingerprint_pairs
from annoseq.errors import count_noun
from annoseq.models.encoder_folder import fingerprint_encoder
from annoseq.models.language_model import fingerprint_language_model
from annoseq.tokenization.gazetteer import LexiconFeatures
from annoseq.training.held_out import LearnerSettings
from annoseq.training.run_folder import run_workers
from annoseq.vectors.lookup import fingerprint_vectors

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
        vectors=options.vectors,
        encoder=options.encoder,
        language_model=options.language_model,
        lexicon_features=LexiconFeatures(
            tuple(options.lexicon), options.patterns, options.gazetteers
        ),
    )


def runs_plan(
    dataset: Dataset,
    compute: ComputeDevice,
    design: AuditConfig | CurveConfig,
    options: LearnerOptions,
) -> dict[str, Any]:
    """Return everything that determines the trainings; a resumed command has the same plan.

    Raises:
        ModelError: the language model cannot be read.
        OptionError: it has other sizes than the tagger.
    """
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
        "--vectors": fingerprint_vectors(options.vectors) if options.vectors else None,
        "--encoder": fingerprint_encoder(options.encoder) if options.encoder else None,
        "--language-model": _fingerprint_language_model(options),
        "--lexicon": [fingerprint_file(path) for path in options.lexicon],
        "--patterns": fingerprint_file(options.patterns),
        "--gazetteers": list(options.gazetteers),
    }


def _fingerprint_language_model(options: LearnerOptions) -> str | None:
    if options.language_model is None:
        return None
    is_tagger = options.network.model in {"auto", "tagger"}
    tagger = options.network.tagger if is_tagger else None
    return fingerprint_language_model(options.language_model, tagger)


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

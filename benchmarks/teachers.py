"""One fast tagger that learned from cross-fitted teachers with a pre-trained encoder.

Training rows are split as `annoseq train` does, with a tenth kept for the choice of the epoch and
for calibration. The members of the teacher are trained without a fold of the other rows each; the
pupil, an ordinary tagger, learns from gold spans and from them. The dev rows choose nothing. Runs
are processes of their own; on a GPU several share it.
"""

from __future__ import annotations

import fcntl
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annoseq.config import (
    BatchConfig,
    DeviceConfig,
    DistillationConfig,
    NetworkConfig,
    TrainingConfig,
)
from annoseq.devices import ComputeDevice
from annoseq.errors import OptionError
from annoseq.inference.ensemble_predictor import EnsemblePredictor
from annoseq.models.ensemble_folder import Folds
from annoseq.training.calibration_runner import CalibrationRunner
from annoseq.training.cross_fitting import CrossFitting
from annoseq.training.distillation import Distillation
from annoseq.training.learner_settings import LearnerSettings
from annoseq.training.resources import Resources
from annoseq.training.run_folder import TrainingRuns
from benchmarks.budget import log
from benchmarks.command import Benchmark, command_line, make_parser, read_options
from benchmarks.dev_scores import (
    CORPORA,
    SEEDS,
    device_clock,
    evaluate,
    score_tables,
    split_corpus,
)
from benchmarks.meddocan import FOLDER
from benchmarks.saved_runs import (
    add_run_options,
    load_outcomes,
    run_and_join,
    run_side_by_side,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from annoseq.tokenization.dataset import Dataset


REPORT = Path(__file__).with_suffix(".md")
FOLDS = Folds(count=3, seed=42)
_COUNTS = ("epochs", "spanish_epochs", "jobs", "minutes")
_WAIT_SECONDS = 1.0
SYSTEMS = {
    "plain": "tagger",
    "pupil": "pupil",
    "teachers": "teachers, averaged",
}


def run_names(corpora: Sequence[str]) -> list[str]:
    """Return the names of all runs, in the order in which they are started."""
    names = [f"fold-{corpus}-{n}" for corpus in corpora for n in range(1, FOLDS.count + 1)]
    names += [f"teachers-{corpus}-0" for corpus in corpora]
    for seed in SEEDS:
        names += [f"pupil-{corpus}-{seed}" for corpus in corpora]
        names += [f"plain-{corpus}-{seed}" for corpus in corpora]
    return names


def perform(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Perform one run, and return its figures."""
    system, corpus, number = name.split("-")
    clock = device_clock(options.device)
    began = clock()
    dataset, train, dev = split_corpus(options.data, corpus, rows=options.rows)
    if system == "fold":
        _cross_fitting(options, corpus, dataset).work(report=lambda _: None)
        return {"seconds": clock() - began}
    if system != "plain":
        folder = _ensemble(options, corpus, dataset)
    if system == "teachers":
        return evaluate(folder, train, dev, options.device) | {"seconds": clock() - began}
    weight = DistillationConfig(teacher_weight=options.weight)
    teaching = None if system == "plain" else Distillation(teachers=(folder,), config=weight)
    learner = _settings(options, seed=int(number)).make(dataset, teaching)
    began = clock()
    learner.fit_one_cycle(report=log)
    seconds = clock() - began
    learner.save(model := options.results / f"{name}.model", overwrite=True)
    kept = max(epoch.score for epoch in learner.recorder.epochs)
    return evaluate(model, train, dev, options.device) | {"seconds": seconds, "kept": kept}


def _settings(
    options: argparse.Namespace, *, seed: int, encoder: Path | None = None
) -> LearnerSettings:
    training: dict[str, Any] = {"seed": seed}
    is_spanish = encoder is not None and encoder == options.spanish
    epochs = options.spanish_epochs if is_spanish else options.epochs
    if epochs is not None:
        training["epochs"] = epochs
    return LearnerSettings(
        network=NetworkConfig(),
        training=TrainingConfig.model_validate(training),
        batching=BatchConfig(),
        device=DeviceConfig(device=options.device),
        resources=Resources(encoder=encoder),
    )


def _cross_fitting(options: argparse.Namespace, corpus: str, dataset: Dataset) -> CrossFitting:
    """Return the trainings of the teacher, whose folder is begun by whoever comes first."""
    folder = TrainingRuns(options.results / f"{corpus}.folds", "ensemble")
    with (options.results / f"{corpus}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.path.exists():
            folder.begin({}, overwrite=False)
    encoder = options.spanish if corpus == "meddocan" else options.encoder
    settings = _settings(options, seed=options.seed, encoder=encoder)
    return CrossFitting.of(dataset, FOLDS, settings, folder)


def _ensemble(options: argparse.Namespace, corpus: str, dataset: Dataset) -> Path:
    """Wait for the members of the teacher; return its folder."""
    fitting = _cross_fitting(options, corpus, dataset)
    path: Path = options.results / f"{corpus}.teachers"
    deadline = time.monotonic() + 60 * min(options.minutes, options.patience)
    while len(fitting.folder.records()) < FOLDS.count:
        if time.monotonic() > deadline:
            raise OptionError(f"{corpus}: the members of the teacher are not trained.")
        time.sleep(_WAIT_SECONDS)
    with (options.results / f"{corpus}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            model, folders = fitting.ensemble()
            predictor = EnsemblePredictor.of(model, ComputeDevice.select(options.device))
            statistics = CalibrationRunner(predictor).run(dataset.valid)
            replace(model, calibration=statistics).save(path, sources=folders, card="")
    return path


def join(options: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """Return the tables of all saved runs, and the facts of the report.

    Raises:
        OptionError: there are none.
    """
    outcomes, machine = load_outcomes(options.results, run_names(CORPORA))
    facts = {"weight of the teachers": f"{options.weight:g}"}
    facts |= {"folds of the teachers": str(FOLDS.count), "runs side by side": str(options.jobs)}
    return score_tables(outcomes, SYSTEMS), facts | machine


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser("teachers", "Train taggers that learn from teachers.", report=REPORT)
    parser.set_defaults(data=FOLDER.parents[1])
    add = parser.add_argument
    add("--encoder", type=Path, help="folder of the teachers' pre-trained encoder")
    add("--spanish", type=Path, help="that of the teachers of meddocan")
    add("--corpora", nargs="+", choices=CORPORA, default=CORPORA, help="corpora to train on")
    add("--order", nargs="+", help="runs to make, in this order, instead of all")
    add("--weight", type=float, default=0.5, help="share of the teachers in the loss")
    add("--device", default="auto", help="device to train on")
    add("--epochs", type=int, help="epochs of every run; by default the tagger's own")
    add("--spanish-epochs", type=int, help="epochs of the teachers of meddocan")
    add("--jobs", type=int, default=1, help="runs side by side")
    add("--minutes", type=float, default=1_000.0, help="time after which no run goes on")
    add("--patience", type=float, default=1_000.0, help="minutes that a pupil waits for teachers")
    add_run_options(parser, cache="teachers", runs=run_names(CORPORA))
    return read_options(parser, arguments, above_zero=_COUNTS)


ABOUT = """\
An ordinary tagger, and one that learned from teachers too: taggers with a pre-trained encoder, each
trained without a third of the documents, whose expectations of a training row are those of the
member that had not seen it. A tenth of the training rows is kept for the choice of the epoch and
for calibration; the dev rows choose nothing. The teachers, averaged, are their ensemble. Means over
seeds, and the standard deviation of F1. The calibration error is that of calibrated scores. Times
are wall times of runs that shared a GPU, or processor time on a CPU; those of a pupil are without
its teachers, and with the time in which they read its rows."""

BENCHMARK = Benchmark(name="teachers", title="Teachers and a fast pupil", about=ABOUT)


def main(given: Sequence[str] | None = None) -> int:
    """Perform runs, print the tables, and replace the report."""
    arguments = command_line(given)
    options = parse_arguments(arguments)
    if options.jobs > 1 and not (options.only or options.join):
        options.results.mkdir(parents=True, exist_ok=True)
        run_side_by_side(
            options, arguments, [options.order or run_names(options.corpora)], benchmark="teachers"
        )
        options.join, options.core = True, None
    if options.only and options.jobs > 1:
        options.core = None
    names = run_names(options.corpora)
    return run_and_join(
        BENCHMARK, options, arguments, names, perform=perform, join=join, device=options.device
    )


if __name__ == "__main__":
    sys.exit(main())

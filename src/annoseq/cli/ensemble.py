"""`annoseq ensemble join` and `annoseq ensemble cross-fit`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from annoseq.atomic_io import check_folder_writable, remove_folder
from annoseq.cli.held_out_runs import learner_settings, runs_plan, work_in_processes
from annoseq.cli.loading import (
    RowOptions,
    check_vocabulary_options,
    load_dataset,
    print_dataset_summary,
    select_rows,
)
from annoseq.cli.options import DataPath, DatasetOptions, Device, LearnerOptions, Overwrite
from annoseq.cli.output import print_note
from annoseq.config import CrossFitConfig, DeviceConfig
from annoseq.devices import ComputeDevice
from annoseq.errors import OptionError, count_noun
from annoseq.evaluation.calibration_statistics import MIN_GOLD_SPANS
from annoseq.inference.ensemble_predictor import EnsemblePredictor
from annoseq.inference.model_loading import load_folder
from annoseq.models.ensemble_folder import (
    MAX_VOTE_WEIGHT,
    EnsembleModel,
    Folds,
    vectors_of_members,
)
from annoseq.output_lock import OutputLock
from annoseq.training.calibration_runner import CalibrationRunner
from annoseq.training.cross_fitting import CrossFitting
from annoseq.training.model_card import write_ensemble_card
from annoseq.training.run_folder import TrainingRuns, count_workers
from annoseq.training.vote_weight import VOTE_WEIGHTS, choose_vote_weight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.data.examples import Example
    from annoseq.tokenization.dataset import Dataset

app = App(name="ensemble", help="Make one model of several, which is slower and finds more.")

Out = Annotated[Path, Parameter(help="Folder of the ensemble to write.")]


@app.command(name="join")
def join(
    *models: Annotated[
        Path,
        Parameter(help="Folders of the models, at least two, and of these at least one tagger."),
    ],
    out: Out,
    pairs: Annotated[
        Path | None,
        Parameter(
            help="Table of pairs to calibrate on. Of the table that the models were trained on, "
            "only the rows kept for validation are used."
        ),
    ] = None,
    vote_weight: Annotated[
        float | None,
        Parameter(
            help="Weight of the spans of models that write their output: what these add to the "
            "score of a tag, in nats. Chosen on the rows of --pairs if it is not given."
        ),
    ] = None,
    vectors: Annotated[
        Path | None,
        Parameter(help="Word vectors that taggers were trained with, if they have been moved."),
    ] = None,
    row_options: RowOptions = RowOptions(),
    device: Device = DeviceConfig(),
    overwrite: Overwrite = False,
) -> None:
    """Join models that were trained on the same pairs: taggers, and writers whose spans vote."""
    for model in models:
        if model.resolve() in out.resolve().parents:  # which would be copied into itself
            raise OptionError(f"--out {out} is inside of the member {model}. Name another folder.")
    with OutputLock(out):
        check_folder_writable(out, overwrite=overwrite)
        compute = ComputeDevice.select(device)
        files = vectors_of_members(models, vectors)
        members = [
            load_folder(model, vectors=file) for model, file in zip(models, files, strict=True)
        ]
        ensemble = EnsembleModel.of(members, [model.resolve().name for model in models])
        examples: Sequence[Example] = ()
        if pairs is not None:
            examples = select_rows(pairs, ensemble.config, row_options).examples
        if vote_weight is not None or ensemble.writers:
            ensemble = _weigh_votes(ensemble, vote_weight, examples, compute)
        _save(ensemble, models, examples, out, compute, overwrite=overwrite)


@app.command(name="cross-fit")
def cross_fit(
    pairs: DataPath,
    /,
    *,
    out: Out,
    design: Annotated[CrossFitConfig, Parameter(name="*", group="Folds")] = CrossFitConfig(),
    resume: Annotated[
        bool, Parameter(help="Go on with the interrupted trainings of --out.", negative="")
    ] = False,
    dataset_options: DatasetOptions = DatasetOptions(),
    learner_options: LearnerOptions = LearnerOptions(),
    overwrite: Overwrite = False,
) -> None:
    """Train taggers without a part of the documents each, and join them: a teacher."""
    dataset_options.check_split(used={"split_by"})  # by which folds are drawn
    with OutputLock(out):
        check_folder_writable(out, overwrite=overwrite)
        compute = ComputeDevice.select(learner_options.device)
        check_vocabulary_options(dataset_options.data, [learner_options.network])
        dataset = load_dataset(pairs, dataset_options)
        runs = _make_runs(dataset, out, design, learner_options)
        plan = runs_plan(dataset, compute, design, learner_options)
        with runs.folder.open(plan, resume=resume, overwrite=overwrite):
            work = partial(runs.work, report=partial(_print_fold, total=design.folds))
            workers = count_workers(design.workers, compute)
            work_in_processes(runs, work, noun="fold", workers=workers)
            ensemble, folders = runs.ensemble()
            _save(ensemble, folders, dataset.valid, out, compute, overwrite=overwrite)
        remove_folder(runs.folder.path)
    table = f"{quote(str(pairs))}{dataset_options.same_rows()}"
    print_note(f"next: annoseq train {table} --teacher {quote(str(out))} --out MODEL")


def _make_runs(
    dataset: Dataset, out: Path, design: CrossFitConfig, options: LearnerOptions
) -> CrossFitting:
    """Return the trainings, whose folder is beside the ensemble until they are done.

    Raises:
        OptionError: the model is no tagger, or a fold leaves no span to train on.
        PairsError: there are too few documents for the folds.
    """
    network = options.network.resolve_auto(task=dataset.task)
    if network.model != "tagger":
        raise OptionError(
            f"an ensemble averages taggers, and the model is {network.model}. Leave --model off, "
            "or use --model tagger."
        )
    print_dataset_summary(dataset)
    folds = Folds(count=design.folds, seed=design.fold_seed)
    folder = TrainingRuns(out.with_name(f"{out.name}.folds"), "ensemble")
    return CrossFitting.of(dataset, folds, learner_settings(options), folder)


def _weigh_votes(
    ensemble: EnsembleModel,
    given: float | None,
    examples: Sequence[Example],
    compute: ComputeDevice,
) -> EnsembleModel:
    """Return the ensemble with the weight of a vote that was given, or is the best for the rows."""
    if given is not None:
        if not ensemble.writers:
            raise OptionError(
                "--vote-weight is for models that write their output, and all of these are "
                "taggers. Leave it off."
            )
        if not 0 <= given <= MAX_VOTE_WEIGHT:
            raise OptionError(
                f"a --vote-weight of {given:g} was given. Give 0 to {MAX_VOTE_WEIGHT:,g}, such as "
                "1."
            )
        return replace(ensemble, vote_weight=given)
    spans = sum(len(example.spans or ()) for example in examples)
    if spans < MIN_GOLD_SPANS:
        raise OptionError(
            f"the weight of a vote is chosen on rows that no member was trained on, with at least "
            f"{MIN_GOLD_SPANS} spans, and there are {spans:,}. Give --pairs with more, or "
            "--vote-weight."
        )
    weight = choose_vote_weight(EnsemblePredictor.of(ensemble, compute), examples)
    print_note(f"a vote weighs {weight:g} nats, of {', '.join(f'{one:g}' for one in VOTE_WEIGHTS)}")
    if not weight:
        print_note("note: the models that write bring nothing here, and take time: leave them out")
    return replace(ensemble, vote_weight=weight)


def _print_fold(number: int, *, total: int) -> None:
    print_note(f"member {number} of {total} is trained")


def _save(
    ensemble: EnsembleModel,
    sources: Sequence[Path],
    examples: Sequence[Example],
    out: Path,
    compute: ComputeDevice,
    *,
    overwrite: bool,
) -> None:
    """Calibrate an ensemble on rows that no member was trained on, and write its folder."""
    predictor = EnsemblePredictor.of(ensemble, compute)
    statistics = CalibrationRunner(predictor).run(examples)
    card = write_ensemble_card(ensemble, statistics)
    ensemble = replace(ensemble, calibration=statistics)
    ensemble.save(out, sources=sources, card=card, overwrite=overwrite)
    why = "too few spans in the pairs" if examples else "no --pairs were given"
    calibrated = f"not calibrated ({why}), so that --target-coverage is not there"
    if statistics is not None:
        calibrated = f"calibrated on {count_noun(statistics.candidates.gold, 'span')}"
    members = count_noun(len(ensemble.members), "member")
    print_note(f"saved {out}: {members}, {calibrated}")

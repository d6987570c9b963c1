"""`annoseq train` and `annoseq find-lr`."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from annoseq.atomic_io import check_writable
from annoseq.cli.loading import (
    VOCABULARY_OPTIONS,
    check_vocabulary_options,
    inherit_columns,
    load_dataset,
    make_learner,
)
from annoseq.cli.options import (
    DataPath,
    DatasetOptions,
    LearnerOptions,
    Overwrite,
    Plot,
    at_least,
)
from annoseq.cli.output import print_note, print_result
from annoseq.cli.teacher_options import TeacherOptions
from annoseq.config import DataConfig
from annoseq.data.pairs import fingerprint_pairs
from annoseq.data.streams import is_standard_input
from annoseq.devices import ComputeDevice
from annoseq.errors import OptionError, count_noun, option_name
from annoseq.evaluation.calibration_statistics import MIN_GOLD_SPANS
from annoseq.models.model_config import CALIBRATION_FILE
from annoseq.models.serialization import TrainedModel
from annoseq.output_lock import OutputLock
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer
from annoseq.tokenization.soft_targets import remove_row_targets
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from annoseq.torchrun import torchrun_environment
from annoseq.training.checkpoint import check_training_output, last_change
from annoseq.training.learner import Learner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from annoseq.config import ColumnsConfig
    from annoseq.tokenization.dataset import Dataset


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOutputOptions:
    """Options of the model folder that `annoseq train` writes."""

    out: Annotated[Path, Parameter(help="Model folder to write.")]
    go_on_from: Annotated[
        Path | None, Parameter(help="Model folder whose training goes on for more epochs.")
    ] = None
    resume: Annotated[
        bool, Parameter(help="Go on with the interrupted training of --out.", negative="")
    ] = False
    plot: Plot = None
    overwrite: Overwrite = False

    @property
    def checkpoint(self) -> Path:
        """State of an interrupted training, beside the model folder."""
        return self.out.with_name(f"{self.out.name}.training")

    @property
    def soft_targets(self) -> Path:
        """Expectations of the teachers of an interrupted training, beside the model folder."""
        return self.out.with_name(f"{self.out.name}.targets")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Check the outputs, and keep other processes from the model folder during the block.

        Raises:
            OptionError: there is an interrupted training without `--resume`, or none with it.
            OutputError: an output exists already, cannot be written, or is being written.
        """
        with OutputLock(self.out) if torchrun_environment().is_main else nullcontext():
            self._check()
            yield

    def _check(self) -> None:
        """Check that the outputs can be written, and that there is a checkpoint to resume from.

        Raises:
            OptionError: there is an interrupted training without `--resume`, or none with it.
            OutputError: an output exists already, or cannot be written.
        """
        check_training_output(
            self.out, self.checkpoint, resume=self.resume, overwrite=self.overwrite
        )
        if self.plot and torchrun_environment().is_main:
            check_writable(self.plot, overwrite=self.overwrite)

    @contextmanager
    def explained_interrupts(self) -> Iterator[None]:
        """Tell how to go on after an interruption of the block, by what the training has written.

        A checkpoint or expectations of teachers that were there before may be of other options.
        """
        checkpoint, soft_targets = last_change(self.checkpoint), last_change(self.soft_targets)
        try:
            yield
        except KeyboardInterrupt:
            told = "interrupted before the first epoch. Give the same command again to begin."
            if self.resume or last_change(self.checkpoint) != checkpoint:
                told = (
                    "interrupted. Add --resume to the same command to go on after the last "
                    "complete epoch."
                )
            elif last_change(self.soft_targets) != soft_targets:
                told += f" {self.soft_targets} keeps what the teachers expect for it."
            raise KeyboardInterrupt(told) from None

    def save(self, learner: Learner) -> None:
        """Save the model and the plot, and remove the checkpoint and what teachers expected."""
        learner.save(self.out, overwrite=self.overwrite)
        _note_missing_calibration(self.out, learner)
        self.checkpoint.unlink()
        remove_row_targets(self.soft_targets)
        if self.plot:
            learner.recorder.plot(self.plot, overwrite=self.overwrite)


def train(
    pairs: DataPath,
    /,
    *,
    output: ModelOutputOptions,
    dataset_options: DatasetOptions = DatasetOptions(),
    learner_options: LearnerOptions = LearnerOptions(),
    teachers: TeacherOptions = TeacherOptions(),
) -> None:
    """Train a model and save it."""
    teachers.check(pairs)
    dataset_options.check_split()
    with output.locked():
        teachers.check_cache(output.soft_targets)
        with output.explained_interrupts():
            learner, columns = _fit(pairs, output, dataset_options, learner_options, teachers)
        if torchrun_environment().is_main:
            output.save(learner)
    learner.processes.leave()
    print_result(_speed(learner))
    table = "PAIRS" if pairs.is_dir() or is_standard_input(pairs) else pairs
    command = f"annoseq evaluate {output.out} {table}{columns.options()} --show 10"
    print_note(f"saved {output.out}; next: {command}")


def _fit(
    pairs: Path,
    output: ModelOutputOptions,
    dataset_options: DatasetOptions,
    learner_options: LearnerOptions,
    teachers: TeacherOptions,
) -> tuple[Learner, ColumnsConfig]:
    """Return the trained learner, and the columns of the table as options."""
    network, data = learner_options.network, dataset_options.data
    ComputeDevice.select(learner_options.device)  # before the table is read, which may take long
    base = None
    if output.go_on_from is not None:
        _check_not_settled(learner_options, data)
        base = TrainedModel.load(output.go_on_from, vectors=learner_options.resources.vectors)
        # Of the same table the same rows are kept for validation, which the model has not seen.
        data = base.config.data.model_copy(update=data.model_dump(exclude_unset=True))
        dataset_options = replace(dataset_options, data=data)
        if not pairs.is_dir():
            columns = inherit_columns(dataset_options.columns, base.config.columns)
            dataset_options = replace(dataset_options, columns=columns)
    dataset = load_dataset(pairs, dataset_options, tokenizer=_seq2seq_tokenizer(base))
    if base is None:
        check_vocabulary_options(data, [network.resolve_auto(task=dataset.task)])
    distillation = teachers.make_distillation(
        dataset.columns,
        cache=output.soft_targets,
        vectors=learner_options.resources.vectors,
        resumes=output.checkpoint if output.resume else None,
    )
    learner = make_learner(dataset, learner_options, base=base, distillation=distillation)
    if base is not None:
        _note_deep_spans(learner)
        _note_other_rows(base, dataset, dataset_options)
    learner.fit_one_cycle(checkpoint=output.checkpoint, resume=output.resume, report=print_result)
    return learner, dataset_options.columns


def _note_missing_calibration(folder: Path, learner: Learner) -> None:
    """Print a warning if a tagger was saved without a calibration."""
    if learner.model_config.model == "tagger" and not (folder / CALIBRATION_FILE).exists():
        print_note(
            f"warning: not calibrated, as the validation rows have fewer than {MIN_GOLD_SPANS} "
            "spans: scores are no probabilities, and --target-recall and --target-coverage are not "
            "there"
        )


def _note_deep_spans(learner: Learner) -> None:
    """Print how many spans the base model cannot find because they are nested too deep."""
    if not isinstance(learner.tokenizer, TaggerTokenizer):
        return
    count = learner.tokenizer.count_nested_too_deep(learner.dataset.train)
    if count:
        print_note(
            f"warning: {count_noun(count, 'span')} left out, nested deeper than in the training of "
            "--go-on-from; train a new model to find them"
        )


def _note_other_rows(base: TrainedModel, dataset: Dataset, options: DatasetOptions) -> None:
    """Print a warning if the base model may have been trained on rows split off for validation."""
    config = base.config
    if options.valid is not None:
        return
    if config.fingerprint != dataset.fingerprint:
        found = "these are not the pairs that the model of --go-on-from was trained on"
    elif config.valid_fingerprint != fingerprint_pairs(dataset.valid):
        found = "the model of --go-on-from kept other rows for validation"
    elif config.base_fingerprints:
        found = "the model of --go-on-from was trained on other pairs before"
    else:
        return
    print_note(
        f"warning: {found}, so that it may have learned rows that are now kept for validation: "
        "scores, and the calibration of targets, then flatter. Give rows that it has not seen with "
        "--valid FILE"
    )


def _speed(learner: Learner) -> str:
    """Return the speed of the last epoch, the peak memory and the devices."""
    speed = learner.recorder.epochs[-1].pairs_per_second
    gigabytes = learner.compute.peak_memory() / 1e9
    devices, count = str(learner.compute.device), learner.processes.count
    if count > 1:
        devices += f", the first of {count} processes"
    return f"{speed:,.0f} pairs/s, peak memory {gigabytes:.2f} GB ({devices})"


def _seq2seq_tokenizer(base: TrainedModel | None) -> Seq2SeqTokenizer | None:
    """Return the tokenizer of the base model, if it has vocabularies."""
    tokenizer = None if base is None else base.tokenizer
    return tokenizer if isinstance(tokenizer, Seq2SeqTokenizer) else None


def _check_not_settled(options: LearnerOptions, data: DataConfig) -> None:
    """Check that no option was given that is part of the model of `--go-on-from`.

    Raises:
        OptionError: such an option was given.
    """
    settled = data.model_fields_set & {"task", *VOCABULARY_OPTIONS}
    names = [*settled, *options.network.explicit_options()]
    begun_with = ("encoder", "language_model")
    names += [name for name in begun_with if getattr(options.resources, name)]
    if names:
        option = option_name(min(names))
        raise OptionError(
            f"{option} was settled when the model of --go-on-from was first trained. "
            f"Leave {option} off, or train a new model."
        )


_NOT_OF_A_RANGE_TEST = {
    "epochs",
    "max_lr",
    "warmup",
    "keep",
    "early_stopping",
    "forcing_end_epoch",
}


def find_lr(
    pairs: DataPath,
    /,
    *,
    plot: Plot = None,
    overwrite: Overwrite = False,
    steps: Annotated[
        int,
        Parameter(help="Batches of the test, unless the loss diverges.", validator=at_least(2)),
    ] = 100,
    dataset_options: DatasetOptions = DatasetOptions(),
    learner_options: LearnerOptions = LearnerOptions(),
) -> None:
    """Run the range test and print the suggestion."""
    dataset_options.check_split()
    if plot and torchrun_environment().is_main:
        check_writable(plot, overwrite=overwrite)
    ComputeDevice.select(learner_options.device)  # before the table is read, which may take long
    learner = make_learner(load_dataset(pairs, dataset_options), learner_options)
    if unused := sorted(learner_options.training.model_fields_set & _NOT_OF_A_RANGE_TEST):
        print_note(
            "a range test has rates of its own, and --steps batches: "
            f"{', '.join(map(option_name, unused))} not used"
        )
    result = learner.lr_find(steps=steps)
    learner.processes.leave()
    print_result(f"suggested --max-lr {result.suggestion:.2e}")
    if plot and torchrun_environment().is_main:
        result.plot(plot, overwrite=overwrite)
        print_note(f"wrote {plot}")

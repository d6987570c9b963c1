"""`annoseq curve`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from annoseq.cli.held_out_runs import learner_settings, runs_plan, work_in_processes
from annoseq.cli.loading import check_vocabulary_options, load_dataset, print_dataset_summary
from annoseq.cli.options import (
    DataPath,
    DatasetOptions,
    LearnerOptions,
    Overwrite,
)
from annoseq.cli.output import print_data, print_note, print_result
from annoseq.cli.target_options import check_open_fraction
from annoseq.config import CurveConfig
from annoseq.devices import ComputeDevice
from annoseq.errors import OptionError, count_noun
from annoseq.evaluation.learning_curve import CurveTotals
from annoseq.evaluation.sample_size import LearningCurve, estimate_sample_size
from annoseq.evaluation.score_file import write_score_file
from annoseq.reporting.curve_plot import plot_learning_curve
from annoseq.training.curve_runs import CurveRuns, plan_subsets
from annoseq.training.document_folds import DocumentCorpus
from annoseq.training.run_folder import TrainingRuns, count_workers

if TYPE_CHECKING:
    from annoseq.evaluation.learning_curve import CurveRun
    from annoseq.tokenization.dataset import Dataset

_LEAST_DOCUMENTS = 10
"""Documents below which no curve makes sense: of fewer, none can be held back."""


def _check_positive(_: object, number: float | None) -> None:
    if number is not None and not 0 < number < float("inf"):
        raise ValueError("Give a number above 0.")


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastOptions:
    """Options of the extrapolation."""

    target_f1: Annotated[
        float | None,
        Parameter(
            help="Span F1 to reach, such as 0.95: how many more documents does it take?",
            validator=check_open_fraction,
        ),
    ] = None
    target_coverage: Annotated[
        float | None,
        Parameter(
            help="Share of identifiers to cover by the likeliest spans, such as 0.99.",
            validator=check_open_fraction,
        ),
    ] = None
    minutes_per_document: Annotated[
        float | None,
        Parameter(
            help="Minutes that annotating a document takes, to tell the hours.",
            validator=_check_positive,
        ),
    ] = None

    def estimate(self, runs: list[CurveRun], *, documents: int) -> LearningCurve:
        """Fit and extrapolate the curves of the runs."""
        return estimate_sample_size(
            CurveTotals.of(runs),
            documents=documents,
            target_f1=self.target_f1,
            target_coverage=self.target_coverage,
            minutes_per_document=self.minutes_per_document,
        )


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class CurveOutputOptions:
    """Options of the folder that `annoseq curve` writes."""

    out: Annotated[Path, Parameter(help="Folder for the runs, curve.json and curve.png.")]
    resume: Annotated[
        bool, Parameter(help="Go on with the interrupted curve of --out.", negative="")
    ] = False
    json_output: Annotated[
        bool, Parameter(name="--json", help="Print the results as JSON.", negative="")
    ] = False
    overwrite: Overwrite = False

    def check(self) -> TrainingRuns:
        """Return the folder of the runs, after checking that it can be made.

        Raises:
            OptionError: both `--resume` and `--overwrite` are given.
            OutputError: the folder exists already, or cannot be written.
        """
        if self.resume and self.overwrite:
            raise OptionError("--resume goes on with what --overwrite removes. Give one of them.")
        folder = TrainingRuns(self.out, "learning curve")
        if not self.resume:
            folder.check_writable(overwrite=self.overwrite)
        return folder


def curve(
    pairs: DataPath,
    /,
    *,
    output: CurveOutputOptions,
    forecasts: ForecastOptions = ForecastOptions(),
    design: Annotated[CurveConfig, Parameter(name="*", group="Learning curve")] = CurveConfig(),
    dataset_options: DatasetOptions = DatasetOptions(),
    learner_options: LearnerOptions = LearnerOptions(),
) -> None:
    """Train on growing shares of the documents, and tell what more documents would give."""
    compute = ComputeDevice.select(learner_options.device)
    folder = output.check()
    check_vocabulary_options(dataset_options.data, [learner_options.network])
    dataset = load_dataset(pairs, dataset_options)
    print_dataset_summary(dataset)
    runs = make_runs(
        dataset, folder, design, learner_options, has_valid=bool(dataset_options.valid)
    )
    plan = runs_plan(dataset, compute, design, learner_options)
    with folder.open(plan, resume=output.resume, overwrite=output.overwrite):
        work = partial(runs.work, report=partial(_print_run, total=len(runs.subsets)))
        workers = count_workers(design.workers, compute)
        work_in_processes(runs, work, noun="run", workers=workers)
        results = forecasts.estimate(runs.finished(), documents=len(runs.corpus.documents))
        write_score_file(results, output.out / "curve.json", overwrite=True)
        plot_learning_curve(results, path=output.out / "curve.png")
    if output.json_output:
        print_data(results.model_dump_json(indent=1))
    else:
        for line in curve_lines(results):
            print_result(line)
    print_note(f"wrote {output.out / 'curve.json'} and {output.out / 'curve.png'}")


def make_runs(
    dataset: Dataset,
    folder: TrainingRuns,
    design: CurveConfig,
    options: LearnerOptions,
    *,
    has_valid: bool,
) -> CurveRuns:
    """Return the runs of a dataset; with validation pairs of their own, those are held back.

    Raises:
        OptionError: the task is to translate, or there are too few documents for the points.
        PairsError: there are too few documents.
    """
    examples = list(dataset.train)
    held_back = None
    if has_valid:
        held_back = DocumentCorpus.of(dataset, dataset.valid, needed=1)
    else:
        examples = sorted((*examples, *dataset.valid), key=lambda example: example.row)
    corpus = DocumentCorpus.of(dataset, examples, needed=_LEAST_DOCUMENTS)
    subsets = plan_subsets(
        corpus,
        points=design.points,
        repeats=design.repeats,
        held_back=design.held_back,
        seed=design.curve_seed,
        fixed=tuple(range(len(held_back.documents))) if held_back else None,
    )
    return CurveRuns(corpus, subsets, learner_settings(options), folder, held_back)


def _print_run(number: int, run: CurveRun, *, total: int) -> None:
    print_note(
        f"run {number} of {total}: {count_noun(run.documents, 'document')}, repeat "
        f"{run.repeat + 1}, F1 {run.f1:.4f}, {run.seconds:.0f} s"
    )


def curve_lines(results: LearningCurve) -> list[str]:
    """Return the table of the curve, what it says in words, and the labels."""
    lines = [f"{'documents':>9}  {'F1':>6}  (95 %)            {'coverage':>8}  (95 %)"]
    for f1, coverage in zip(results.f1.points, results.coverage.points, strict=True):
        lines.append(
            f"{f1.documents:9,}  {f1.score:6.4f}  {f1.low:.4f} to {f1.high:.4f}  "
            f"{coverage.score:8.4f}  {coverage.low:.4f} to {coverage.high:.4f}"
        )
    lines += ["", f"form of the curve: {results.f1.form}", *results.statements(), ""]
    return [*lines, *_label_lines(results)]


def _label_lines(results: LearningCurve) -> list[str]:
    width = max(map(len, results.labels), default=5)
    lines = [f"{'label':{width}}  {'spans':>6}  F1 now  twice the documents (95 %)"]
    for label, found in sorted(results.labels.items(), key=lambda item: item[1].order):
        line = f"{label:{width}}  {found.spans:6,}  "
        if found.now is None or found.doubled is None:
            line += "too few spans to tell"
        else:
            line += (
                f"{found.now.score:6.4f}  {found.doubled.score:.4f} ({found.doubled.low:.4f} to "
                f"{found.doubled.high:.4f})"
            )
        lines.append(line + ("  starves" if found.is_starving else ""))
    return lines

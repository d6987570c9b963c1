"""`annoseq audit` and `annoseq audit apply`."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from annoseq.atomic_io import check_writable, remove_folder
from annoseq.audit.corrections import apply_corrections, read_corrections, write_label_errors
from annoseq.audit.cross_validation import CrossValidation
from annoseq.audit.label_errors import find_label_errors
from annoseq.cli.held_out_runs import learner_settings, runs_plan, work_in_processes
from annoseq.cli.loading import (
    check_vocabulary_options,
    load_dataset,
    print_dataset_summary,
    read_table,
)
from annoseq.cli.options import (
    Columns,
    DataPath,
    DatasetOptions,
    LearnerOptions,
    Overwrite,
    PairsPath,
    TableFormatOption,
    at_least,
)
from annoseq.cli.output import print_note, print_result
from annoseq.config import AuditConfig, ColumnsConfig
from annoseq.data.pairs import write_pairs
from annoseq.data.tables import table_format
from annoseq.devices import ComputeDevice
from annoseq.errors import OptionError, count_noun
from annoseq.output_lock import OutputLock
from annoseq.training.document_folds import DocumentCorpus
from annoseq.training.run_folder import TrainingRuns, count_workers

if TYPE_CHECKING:
    from annoseq.audit.label_errors import LabelError
    from annoseq.tokenization.dataset import Dataset

app = App(name="audit", help="Find likely label errors in annotated pairs.")
ErrorsPath = Annotated[Path, Parameter(help="Table that `annoseq audit` wrote, accept filled in.")]


@app.default
def audit(
    pairs: DataPath,
    /,
    *,
    out: Annotated[Path, Parameter(help="Table of likely errors to write (.csv, .tsv, .jsonl).")],
    design: Annotated[AuditConfig, Parameter(name="*", group="Cross-validation")] = AuditConfig(),
    context: Annotated[
        int,
        Parameter(
            help="Characters of text around an error in the table; 0 writes no text.",
            validator=at_least(0),
        ),
    ] = 40,
    resume: Annotated[
        bool, Parameter(help="Go on with the interrupted audit of --out.", negative="")
    ] = False,
    dataset_options: DatasetOptions = DatasetOptions(),
    learner_options: LearnerOptions = LearnerOptions(),
    overwrite: Overwrite = False,
) -> None:
    """Find likely label errors: annotations that models trained on other documents contradict."""
    table_format(out)  # known, or an error
    _check_no_valid(dataset_options)
    with OutputLock(out):
        check_writable(out, overwrite=overwrite)
        compute = ComputeDevice.select(learner_options.device)
        check_vocabulary_options(dataset_options.data, [learner_options.network])
        dataset = load_dataset(pairs, dataset_options)
        print_dataset_summary(dataset)
        runs = _make_runs(dataset, out, design, learner_options)
        plan = runs_plan(dataset, compute, design, learner_options)
        with runs.folder.open(plan, resume=resume, overwrite=overwrite):
            work = partial(runs.work, report=partial(_print_fold, total=len(runs.folds)))
            workers = count_workers(design.workers, compute)
            work_in_processes(runs, work, noun="fold", workers=workers)
            errors = find_label_errors(runs.predictions())
            write_label_errors(errors, out, context=context, overwrite=overwrite)
        remove_folder(runs.folder.path)
    for line in audit_lines(errors, dataset):
        print_result(line)
    print_note(
        f"wrote {out}; next: write yes into its column accept where the suggestion is right, and "
        f"annoseq audit apply {pairs} {out} --out CORRECTED"
    )


@app.command(name="apply")
def apply(
    pairs: PairsPath,
    errors: ErrorsPath,
    /,
    *,
    out: Annotated[Path, Parameter(help="Table of corrected pairs to write; the old is kept.")],
    least_score: Annotated[
        float | None,
        Parameter(help="Accept all corrections of at least this score that are not rejected."),
    ] = None,
    input_format: TableFormatOption = None,
    columns: Columns = ColumnsConfig(),
    overwrite: Overwrite = False,
) -> None:
    """Write pairs with the accepted corrections of an audit."""
    if out.exists() and pairs.exists() and out.samefile(pairs):
        raise OptionError(f"{out} holds the pairs that are corrected. Name another file by --out.")
    check_writable(out, overwrite=overwrite)
    corrections = read_corrections(errors, least_score=least_score)
    if not corrections:
        raise OptionError(
            f"{errors}: no correction is accepted. Write yes into the column accept, or give "
            "--least-score."
        )
    table = read_table(pairs, columns, input_format=input_format)
    corrected = list(apply_corrections(table, corrections, name=str(errors)))
    write_pairs(corrected, out, overwrite=overwrite)
    rows = len({correction.row for correction in corrections})
    print_result(
        f"applied {count_noun(len(corrections), 'correction')} in {count_noun(rows, 'row')} of "
        f"{count_noun(len(corrected), 'row')}: {out}"
    )


def _check_no_valid(options: DatasetOptions) -> None:
    if options.valid is not None:
        raise OptionError(
            "--valid: an audit predicts every row by a model trained on others, and takes one "
            "table. Leave --valid off."
        )


def _make_runs(
    dataset: Dataset, out: Path, design: AuditConfig, options: LearnerOptions
) -> CrossValidation:
    """Return the trainings, whose folder is beside the table until they are done."""
    examples = sorted((*dataset.train, *dataset.valid), key=lambda example: example.row)
    corpus = DocumentCorpus.of(dataset, examples, needed=2 * design.folds)
    folds = tuple(corpus.folds(design.folds, seed=design.fold_seed))
    folder = TrainingRuns(out.with_name(f"{out.name}.folds"), "audit")
    return CrossValidation(corpus, folds, learner_settings(options), folder)


def _print_fold(number: int, *, total: int) -> None:
    print_note(f"fold {number} of {total} is predicted")


def audit_lines(errors: list[LabelError], dataset: Dataset) -> list[str]:
    """Return the numbers of suspected errors, by problem."""
    rows = (*dataset.train, *dataset.valid)
    spans = sum(len(example.spans or ()) for example in rows)
    sure = sum(error.score >= _SURE for error in errors)
    lines = [
        f"{count_noun(len(errors), 'likely error')} in {count_noun(len(rows), 'row')} with "
        f"{count_noun(spans, 'span')}, {sure:,} of them with a score of at least {_SURE:g}"
    ]
    counts = Counter(error.problem for error in errors)
    certain = Counter(error.problem for error in errors if error.score >= _SURE)
    lines += [
        f"  {problem:13} {count:6,}  {certain[problem]:6,}"
        for problem, count in counts.most_common()
    ]
    return lines


_SURE = 0.8
"""Score from which on an error is counted apart."""

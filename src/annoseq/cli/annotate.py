"""`annoseq annotate`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from annoseq.cli.annotate_output import AnnotationOutput, OutputOptions, choose_part_format
from annoseq.cli.folder_options import FolderCommand, FolderOptions, OnlyNewParts
from annoseq.cli.options import (
    Batching,
    Device,
    KeepColumns,
    ModelPath,
    ModelVectorsPath,
    Search,
    TextColumn,
    TextDelimiter,
    TextEncoding,
    TextFormatOption,
    TextsPath,
    Workers,
    columns_to_keep,
    inherit_text_column,
)
from annoseq.cli.output import (
    LeftOutInputs,
    describe_problem,
    is_terminal,
    print_note,
    resume_hint,
)
from annoseq.cli.target_options import TargetOptions, choose_target
from annoseq.config import (
    DOCUMENT_COLUMN,
    OFFSET_COLUMN,
    SOURCE_COLUMN,
    BatchConfig,
    DeviceConfig,
    SearchConfig,
)
from annoseq.data.text_inputs import count_texts, is_text_input, read_texts
from annoseq.errors import OptionError, count_noun
from annoseq.inference.annotator import Annotator
from annoseq.inference.annotator_pool import InProcessRunner, make_pool
from annoseq.inference.resumable_output import ResumableOutput
from annoseq.inference.streaming import OUTPUT_COLUMNS, TABLE_FORMATS, AnnotateTask, annotate_stream
from annoseq.progress import progress_bar
from annoseq.scale.annotate_part import AnnotateJob
from annoseq.scale.folder_run import WorkerSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from annoseq.cli.annotate_output import AnyFormat, StandardOutput
    from annoseq.config import ConfigSection
    from annoseq.data.text_inputs import InputText
    from annoseq.errors import AnnoseqError
    from annoseq.inference.resumable_output import OutputProgress
    from annoseq.inference.streaming import OutputFormat
    from annoseq.scale.annotate_part import PartFormat


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class InputOptions:
    """Options of the texts that `annoseq annotate` reads."""

    column: TextColumn = None
    input_format: TextFormatOption = None
    delimiter: TextDelimiter = None
    encoding: TextEncoding = None
    skip_bad: Annotated[
        bool, Parameter(help="Leave out what cannot be read, and count it.", negative="")
    ] = False
    keep_columns: KeepColumns = None

    @property
    def text_column(self) -> str:
        """Column of the texts of a table."""
        return self.column or SOURCE_COLUMN

    def check_table(self, *, is_text: bool) -> None:
        """Raise `OptionError` if an option of tables was given with texts."""
        options = {
            "--column": self.column,
            "--keep-columns": self.keep_columns,
            "--delimiter": self.delimiter,
            "--encoding": self.encoding,
        }
        for name, value in options.items():
            if is_text and value is not None:
                raise OptionError(
                    f"{name} belongs to a table, and the input is text. Leave it off."
                )

    def check_format(self, format_: AnyFormat | PartFormat) -> None:
        """Raise `OptionError` if the format cannot represent columns that are to be kept."""
        if self.keep_columns is not None and format_ not in {"jsonl", "csv", "xlsx", "parquet"}:
            raise OptionError(
                f"--format {format_} has no place for other columns. Leave --keep-columns off, or "
                "use --format jsonl or csv."
            )

    def read(
        self, texts: Path, on_bad: Callable[[AnnoseqError], None], *, as_table: bool
    ) -> tuple[Iterator[InputText], list[str]]:
        """Return the texts, and the names of the kept columns, which the first text has.

        With `as_table`, no other text may have further ones.

        Raises:
            OptionError: the output would have two columns of one name.
        """
        inputs = read_texts(
            texts,
            column=self.text_column,
            format_=self.input_format,
            delimiter=self.delimiter,
            encoding=self.encoding,
            keep=columns_to_keep(self.keep_columns, always=(DOCUMENT_COLUMN, OFFSET_COLUMN)),
            on_bad=on_bad if self.skip_bad else None,
            as_table=as_table,
            reserved=OUTPUT_COLUMNS,
        )
        if self.keep_columns is None:
            return inputs, []
        first = next(inputs, None)
        kept = list(first.kept or ()) if first else []
        return chain([first] if first else [], inputs), kept


def annotate(
    model: ModelPath,
    texts: TextsPath,
    /,
    *,
    source: InputOptions = InputOptions(),
    target: OutputOptions = OutputOptions(),
    targets: TargetOptions = TargetOptions(),
    search: Search = SearchConfig(),
    batching: Batching = BatchConfig(),
    vectors: ModelVectorsPath = None,
    device: Device = DeviceConfig(),
    workers: Workers = 1,
    folder: FolderOptions = FolderOptions(),
    only_new: OnlyNewParts = False,
) -> None:
    """Annotate every text, in the order given."""
    if folder.is_folder_run(texts, workers=workers):
        command = _open_folder(folder, texts, source, target, only_new=only_new)
        _FolderAnnotation(command, source, target, targets, search, batching).run(
            model, vectors=vectors, device=device
        )
        return
    if only_new:
        raise OptionError(
            "--only-new is for a folder of parts. Name a folder of tables, a pattern in quotes, or "
            "add --engine."
        )
    is_text = is_text_input(texts, source.input_format)
    source.check_table(is_text=is_text)
    destination = AnnotationOutput.choose(target, texts, is_text=is_text)
    source.check_format(destination.format)
    annotator = Annotator.load(model, device=device, vectors=vectors)
    if not is_text:
        column = inherit_text_column(source.column, annotator.config.columns)
        source = replace(source, column=column)
    _check_has_spans(annotator, model, destination)
    pool = make_pool(annotator, workers=workers, model=model, device=device, vectors=vectors)
    chosen = choose_target(annotator, targets)
    sections = (batching, device, search)
    plan = _plan(annotator, source, targets, sections, is_text=is_text)
    left_out = LeftOutInputs()
    inputs, kept = source.read(texts, left_out.add, as_table=destination.format in TABLE_FORMATS)
    output = destination.open(plan, kept=kept)
    with _finished(output), _annotation_bar(texts, source, target) as advance:
        task = AnnotateTask(destination.stream_format, search, batching, chosen, kept)
        annotate_stream(
            pool or InProcessRunner(annotator),
            task,
            inputs,
            output,
            chunk_size=target.chunk_size,
            advance=advance,
        )
    has_spans = not annotator.is_translator
    _print_problems(output.progress, left_out, destination.stream_format, has_spans=has_spans)
    destination.print_written(output.progress, has_spans=has_spans)


def _open_folder(
    folder: FolderOptions,
    texts: Path,
    source: InputOptions,
    target: OutputOptions,
    *,
    only_new: bool,
) -> FolderCommand:
    return FolderCommand.open(
        folder,
        texts,
        target.out,
        format_=source.input_format,
        overwrite=target.overwrite,
        only_new=only_new,
        resume=target.resume,
    )


def _plan(
    annotator: Annotator,
    source: InputOptions,
    targets: TargetOptions,
    sections: Iterable[ConfigSection],
    *,
    is_text: bool,
) -> dict[str, Any]:
    """Return what decides the annotations: a run is resumed only under the same plan.

    The sections decide the batches, and the batches the last digits of scores.
    """
    return {
        "model": annotator.fingerprint[:12],
        "column": None if is_text else source.text_column,
        "delimiter": source.delimiter,
        "encoding": source.encoding,
        **targets.settings(),
        "keep_columns": source.keep_columns and list(source.keep_columns),
        **{name: value for section in sections for name, value in section},
    }


@dataclass(frozen=True)
class _FolderAnnotation:
    """Annotation of the parts of a folder."""

    command: FolderCommand
    source: InputOptions
    target: OutputOptions
    targets: TargetOptions
    search: SearchConfig
    batching: BatchConfig

    def run(self, model: Path, *, vectors: Path | None, device: DeviceConfig) -> None:
        """Annotate the parts that are not done, and print what was written."""
        command, source, target = self.command, self.source, self.target
        source.check_table(is_text=command.is_text)
        format_ = choose_part_format(target, command.format)
        source.check_format(format_)
        annotator = Annotator.load(model, device=device, vectors=vectors)
        if not command.is_text:
            column = inherit_text_column(source.column, annotator.config.columns)
            source = replace(source, column=column)
        keep = columns_to_keep(source.keep_columns, always=(DOCUMENT_COLUMN, OFFSET_COLUMN))
        job = AnnotateJob(
            format_,
            source.text_column,
            target.chunk_size,
            self.search,
            self.batching,
            choose_target(annotator, self.targets),
            keep=None if keep is None else tuple(keep),
            delimiter=source.delimiter,
            encoding=source.encoding,
            bom=target.bom,
        )
        sections = (self.batching, device, self.search)
        plan = {
            **_plan(annotator, source, self.targets, sections, is_text=command.is_text),
            **{"format": format_, "bom": target.bom, "chunk_size": target.chunk_size},
        }
        worker = WorkerSpec(job, command.out, "", device, vectors, source.skip_bad)
        summary = command.run(worker, plan, annotator, model=model)
        command.print_summary(summary, has_spans=not annotator.is_translator)


def _check_has_spans(annotator: Annotator, model: Path, destination: AnnotationOutput) -> None:
    if destination.convert and annotator.is_translator:
        raise OptionError(
            f"{model}: this model writes texts of its own and marks nothing that "
            f"--format {destination.format} could hold. Use --format jsonl or csv."
        )


def _annotation_bar(
    texts: Path, source: InputOptions, target: OutputOptions
) -> AbstractContextManager[Callable[[int], None]]:
    """Return a progress bar, unless it would garble results on the same terminal."""
    if not is_terminal() or (target.out is None and sys.stdout.isatty()):
        return nullcontext(lambda _: None)
    total = count_texts(
        texts,
        column=source.text_column,
        format_=source.input_format,
        delimiter=source.delimiter,
        encoding=source.encoding,
    )
    return progress_bar("annotating", total=total)


def _finished(output: StandardOutput | ResumableOutput) -> AbstractContextManager[None]:
    return resume_hint(output) if isinstance(output, ResumableOutput) else nullcontext()


def _print_problems(
    progress: OutputProgress, left_out: LeftOutInputs, format_: OutputFormat, *, has_spans: bool
) -> None:
    """Print the numbers of outputs that are not valid and of texts that were skipped, if any."""
    if progress.problems:
        where = "--format jsonl says which" if format_ == "inline" else "`problem` says why"
        print_note(
            f"{progress.problems:,} of {count_noun(progress.done, 'output')} "
            f"{describe_problem(has_spans=has_spans)}; {where}"
        )
    left_out.print_notes()

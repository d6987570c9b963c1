"""Destination and format of annotations."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast, get_args

from cyclopts import Parameter

from annoseq.atomic_io import check_writable
from annoseq.cli.options import ByteOrderMark, Lossy, Overwrite, at_least, to_path
from annoseq.cli.output import data_output, print_note
from annoseq.data.excel_table import import_openpyxl
from annoseq.data.text_inputs import InputFormat
from annoseq.errors import OptionError, count_noun
from annoseq.formats.registry import FORMATS, CorpusFormat
from annoseq.inference.annotation_parquet import write_parquet_annotations
from annoseq.inference.resumable_output import OutputProgress, ResumableOutput, check_unfinished
from annoseq.inference.streaming import (
    OutputFormat,
    header,
    write_workbook,
)
from annoseq.progress import progress_bar
from annoseq.scale.annotate_part import PartFormat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from typing_extensions import TypeIs

    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.conversion_options import ExportOptions
    from annoseq.formats.documents import Document


AnyFormat = Literal[OutputFormat, CorpusFormat]
_FILE_WRITERS: dict[OutputFormat, Callable[..., None]] = {
    "parquet": write_parquet_annotations,
    "xlsx": write_workbook,
}
"""Writers of formats that are converted from JSONL when all texts are annotated."""
_PART_FORMATS: dict[InputFormat, PartFormat] = {
    "text": "inline",
    "csv": "csv",
    "tsv": "csv",
    "jsonl": "jsonl",
    "parquet": "parquet",
}

_FORMAT_BY_SUFFIX: dict[str, OutputFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".xlsx": "xlsx",
}


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """Options of the output of `annoseq annotate`."""

    out: Annotated[
        Path | None,
        Parameter(
            help="File to write, or folder (inline, or parts); by default output.",
            converter=to_path,
        ),
    ] = None
    format_: Annotated[
        AnyFormat | None,
        Parameter(
            name="--format",
            help="inline (annotated text alone), jsonl, csv, parquet, xlsx, or another of "
            "`annoseq export`; by default as --out's suffix says, or else jsonl for a table, "
            "inline for a text, and inline for a folder with --out.",
        ),
    ] = None
    bom: ByteOrderMark = False
    lossy: Lossy = False
    resume: Annotated[
        bool, Parameter(help="Go on with the interrupted run of --out.", negative="")
    ] = False
    chunk_size: Annotated[
        int, Parameter(help="Texts held in memory and written at once.", validator=at_least(1))
    ] = 1_000
    overwrite: Overwrite = False


@dataclass(frozen=True)
class AnnotationOutput:
    """Destination and format of annotations.

    A workbook, or a format of `annoseq export`, is converted, when all texts are annotated, from
    the JSONL that is written meanwhile.
    """

    options: OutputOptions
    texts: Path
    format: AnyFormat
    convert: Callable[[Path], None] | None

    @classmethod
    def choose(cls, options: OutputOptions, texts: Path, *, is_text: bool) -> AnnotationOutput:
        """Choose the format, and check all that can be checked before a model is loaded.

        Raises:
            OptionError: options contradict each other, or the format lacks what is written.
            OutputError: the output cannot be written.
        """
        if options.out is None and options.resume:
            raise OptionError("--resume goes on with the interrupted run of --out. Give --out.")
        if options.out and options.resume:
            check_unfinished(options.out)
        format_ = choose_format(options.format_, options.out, texts, is_text=is_text)
        if options.bom and format_ != "csv":
            raise OptionError(f"--bom is for CSV, and the format is {format_}. Leave it off.")
        if not is_output_format(format_):
            return cls(options, texts, format_, corpus_writer(format_, options, texts))
        if options.lossy:
            raise OptionError(f"--lossy has no meaning for the format {format_}. Leave it off.")
        if format_ in _FILE_WRITERS:
            check_table_file(options, format_)
        return cls(options, texts, format_, None)

    @property
    def stream_format(self) -> OutputFormat:
        """Format in which texts are written while they are annotated."""
        return self.format if is_output_format(self.format) else "jsonl"

    def open(
        self, plan: Mapping[str, object], *, kept: Sequence[str] = ()
    ) -> StandardOutput | ResumableOutput:
        """Open the output, which can be resumed under the same plan if it is a file or folder.

        `kept` are the columns of the input that the output has.

        Raises:
            OptionError: there is an interrupted run, or none, or its plan is another.
            OutputError: the output exists already, or cannot be written.
        """
        out, format_ = self.options.out, self.stream_format
        begin = header(format_, kept, bom=self.options.bom)
        if out is None:
            return StandardOutput(begin)
        is_folder = format_ == "inline" and self.texts.is_dir()
        if is_folder:
            check_outside_input(out, self.texts)
        convert = self.convert
        if write := _FILE_WRITERS.get(format_):
            convert = partial(write, path=out, kept=kept, overwrite=self.options.overwrite)
        written = {"format": "jsonl" if convert else format_, "bom": self.options.bom}
        return ResumableOutput(
            out,
            plan={**plan, **written, "chunk_size": self.options.chunk_size},
            is_folder=is_folder,
            resume=self.options.resume,
            overwrite=self.options.overwrite,
            begin=begin,
            convert=convert,
        )

    def print_written(self, progress: OutputProgress, *, has_spans: bool) -> None:
        """Print a note of what was written to a file or folder, and the command that converts it.

        A conversion prints its own.
        """
        out = self.options.out
        if out is None or self.convert:
            return
        counts = [count_noun(progress.done, "text")]
        if has_spans:
            counts.append(count_noun(progress.spans, "span"))
            counts.append(count_noun(len(progress.labels), "label"))
        note = f"Wrote {out}: {', '.join(counts)}."
        is_readable = self.format != "parquet"  # by `annoseq export`
        if has_spans and is_readable and _FORMAT_BY_SUFFIX.get(out.suffix.lower()) == self.format:
            note += f" Next: annoseq export FORMAT {shlex.quote(str(out))} TARGET"
        print_note(note)


class StandardOutput:
    """Annotations written to standard output."""

    def __init__(self, begin: str) -> None:
        self.progress = OutputProgress()
        self._stream = data_output()
        self._stream.write(begin.encode())

    def add(self, chunk: Sequence[tuple[str, str]], progress: OutputProgress) -> None:
        """Write the texts of a chunk at once, for a reader at the end of a pipe."""
        self._stream.writelines(content.encode() for _, content in chunk)
        self._stream.flush()
        self.progress = progress


def choose_format(
    given: AnyFormat | None, out: Path | None, texts: Path, *, is_text: bool
) -> AnyFormat:
    """Return the given format, or the one that the names of output and input suggest.

    Raises:
        OptionError: the format does not go with the input, or there is no telling.
    """
    if given == "inline" and not is_text:
        raise OptionError(
            "--format inline writes whole texts, and the input is a table. "
            "Use --format jsonl or csv."
        )
    if given == "inline" and texts.is_dir() and out is None:
        raise OptionError(
            "--format inline writes a file for every text of a folder. "
            "Name a folder with --out, or use --format jsonl or csv."
        )
    suffix = "" if out is None else out.suffix.lower()
    if given or suffix in _FORMAT_BY_SUFFIX:
        return given or _FORMAT_BY_SUFFIX[suffix]
    if is_text:
        return "jsonl" if texts.is_dir() and out is None else "inline"
    if suffix:
        raise OptionError(
            f"--out {out}: its suffix stands for no format that is written here. "
            "Use a name that ends in .jsonl, .csv, .parquet or .xlsx, or add --format jsonl or csv."
        )
    return "jsonl"


def choose_part_format(options: OutputOptions, input_format: InputFormat) -> PartFormat:
    """Return the given format of annotated parts, or that of the parts that are read.

    Raises:
        OptionError: parts are not written in the format, or an option has no meaning for it.
    """
    is_text = input_format == "text"
    format_ = options.format_ or _PART_FORMATS[input_format]
    if format_ not in get_args(PartFormat) or (format_ == "inline") != is_text:
        known = "inline" if is_text else "jsonl, csv or parquet"
        raise OptionError(
            f"--format {format_}: parts of {'text' if is_text else 'tables'} are written as "
            f"{known}. Use that, or give one file instead of a folder of parts."
        )
    if options.bom and format_ != "csv":
        raise OptionError(f"--bom is for CSV, and the format is {format_}. Leave it off.")
    if options.lossy:
        raise OptionError(f"--lossy has no meaning for the format {format_}. Leave it off.")
    return cast("PartFormat", format_)


def is_output_format(format_: AnyFormat) -> TypeIs[OutputFormat]:
    """Tell the formats of annotations from those of `annoseq export`."""
    return format_ in get_args(OutputFormat)


def check_table_file(options: OutputOptions, format_: OutputFormat) -> None:
    """Check before the work that a workbook or a Parquet table can be written.

    Raises:
        OptionError: there is no `--out`, or openpyxl is not installed.
        OutputError: the output exists already, or cannot be written.
    """
    if options.out is None:
        raise OptionError(f"--format {format_} writes a file. Name it with --out.")
    if format_ == "xlsx":
        import_openpyxl()
    check_writable(options.out, overwrite=options.overwrite)


def check_outside_input(out: Path, texts: Path) -> None:
    """Raise `OptionError` if the output would be in the folder that is read."""
    if texts.is_dir() and out.resolve().is_relative_to(texts.resolve()):
        raise OptionError(f"--out {out} is inside {texts}, which is read. Name a folder outside.")


def corpus_writer(
    format_: CorpusFormat, options: OutputOptions, texts: Path
) -> Callable[[Path], None]:
    """Return a function that converts a complete JSONL file of annotations to another format.

    Raises:
        OptionError: there is no `--out`, or the format cannot represent the annotations.
        OutputError: the output cannot be written.
    """
    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.conversion import check_export_target, check_folders_of_texts
    from annoseq.formats.conversion_options import ExportOptions
    from annoseq.formats.rows import read_output_documents

    entry, out = FORMATS[format_], options.out
    if out is None:
        target = "a folder" if entry.is_folder else "a file"
        raise OptionError(f"--format {format_} writes {target}. Name it with --out.")
    if entry.is_folder:
        check_outside_input(out, texts)
        check_folders_of_texts(format_, texts)
    check_export_target(format_, out, overwrite=options.overwrite)
    losses = ConversionLosses(format_name=None if options.lossy else format_)
    notes = ConversionLosses()

    def convert(path: Path) -> None:
        documents = read_output_documents(path, losses=losses, notes=notes, format_="jsonl")
        write_corpus(
            format_,
            documents,
            out,
            options=ExportOptions(),
            losses=losses,
            notes=notes,
            overwrite=options.overwrite,
        )

    return convert


def write_corpus(
    format_: CorpusFormat,
    documents: Iterable[Document],
    target: Path,
    *,
    options: ExportOptions,
    losses: ConversionLosses,
    notes: ConversionLosses,
    overwrite: bool,
) -> None:
    """Write documents in a format, with a progress bar; print what was lost and written."""
    from annoseq.formats.conversion import config_path, export_corpus

    with progress_bar("exporting", total=None) as advance:
        summary = export_corpus(
            format_,
            documents,
            target,
            options=options,
            losses=losses,
            overwrite=overwrite,
            advance=advance,
        )
    for line in [*notes.lines(), *losses.lines()]:
        print_note(line)
    next_step = FORMATS[format_].next_step
    next_step = next_step.replace("TARGET", str(target)).replace("CONFIG", str(config_path(target)))
    print_note(f"Wrote {target}: {summary}. {next_step}")

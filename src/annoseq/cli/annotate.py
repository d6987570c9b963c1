"""`annoseq annotate`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from annoseq.cli.annotate_output import AnyFormat, StandardOutput, choose_format, writes_folder
from annoseq.cli.options import (
    Batching,
    Device,
    ModelVectorsPath,
    Lossy,
    ModelPath,
    Overwrite,
    Search,
    at_least,
)
from annoseq.cli.output import is_terminal, print_note
from annoseq.cli.scoring_options import TargetRecall, wanted_of
from annoseq.config import SOURCE_COLUMN, BatchConfig, DeviceConfig, SearchConfig
from annoseq.data.text_inputs import InputFormat, count_texts, is_text_input, read_texts
from annoseq.errors import OptionError
from annoseq.inference.annotator import Annotator
from annoseq.inference.resumable_output import OutputProgress, ResumableOutput
from annoseq.inference.streaming import OutputFormat, annotate_stream, header
from annoseq.models.serialization import WEIGHTS_FILE
from annoseq.progress import progress_bar

if TYPE_CHECKING:
    from annoseq.errors import TableError

_NAMED = 5


def annotate(
    model: ModelPath,
    texts: Annotated[
        Path,
        Parameter(
            help="Table of texts, .txt file, folder of .txt files, or - for a pipe.",
            allow_leading_hyphen=True,
        ),
    ],
    /,
    *,
    column: Annotated[
        str | None, Parameter(help=f"Column of the texts of a table; by default {SOURCE_COLUMN}.")
    ] = None,
    input_format: Annotated[
        InputFormat | None,
        Parameter(help="What the input is, where its name does not tell; a pipe is one text."),
    ] = None,
    out: Annotated[
        Path | None, Parameter(help="File to write, or folder (inline); by default output.")
    ] = None,
    format_: Annotated[
        AnyFormat | None,
        Parameter(
            name="--format",
            help="inline (annotated text alone), jsonl, csv, or another of `annoseq export`; by "
            "default as --out's suffix says, or else jsonl for a table, inline for a text, and "
            "inline for a folder with --out.",
        ),
    ] = None,
    lossy: Lossy = False,
    target_recall: TargetRecall = None,
    resume: Annotated[
        bool, Parameter(help="Go on with the interrupted run of --out.", negative="")
    ] = False,
    skip_bad: Annotated[
        bool, Parameter(help="Leave out what cannot be read, and count it.", negative="")
    ] = False,
    chunk_size: Annotated[
        int, Parameter(help="Texts held in memory and written at once.", validator=at_least(1))
    ] = 1_000,
    overwrite: Overwrite = False,
    search: Search = SearchConfig(),
    batching: Batching = BatchConfig(),
    vectors: ModelVectorsPath = None,
    device: Device = DeviceConfig(),
) -> None:
    """Annotate every text, in the order given."""
    is_text = is_text_input(texts, input_format)
    if is_text and column is not None:
        raise OptionError("--column belongs to a table, and the input is text. Leave it off.")
    if out is None and resume:
        raise OptionError("--resume goes on with the interrupted run of --out. Give --out.")
    column = column or SOURCE_COLUMN
    asked = choose_format(format_, out, texts, is_text=is_text)
    chosen: OutputFormat = "jsonl"
    convert = None
    if asked == "inline" or asked == "jsonl" or asked == "csv":  # noqa: PLR1714 - mypy narrows so
        chosen = asked
        if lossy:
            raise OptionError(f"--lossy has no meaning for the format {asked}. Leave it off.")
    else:
        from annoseq.cli.annotate_output import corpus_writer

        convert = corpus_writer(asked, out, texts, lossy=lossy, search=search, overwrite=overwrite)
    annotator = Annotator.load(model, device=device, vectors=vectors)
    if convert and annotator.is_translator:
        raise OptionError(
            f"{model}: this model writes texts of its own and marks nothing that --format {asked} "
            "could hold. Use --format jsonl or csv."
        )
    wanted_of(annotator, target_recall)
    output: StandardOutput | ResumableOutput
    if out is None:
        output = StandardOutput(header(chosen))
    else:
        sections = (batching, device, search)
        output = ResumableOutput(
            out,
            plan={
                "model": annotator.model.config.files[WEIGHTS_FILE][:12],
                "column": None if is_text else column,
                "format": chosen,
                "target_recall": target_recall,
                "chunk_size": chunk_size,  # it decides the batches, and they the last digits
                **{name: value for one in sections for name, value in one},
            },
            writes_folder=writes_folder(out, texts, chosen),
            resume=resume,
            overwrite=overwrite,
            begin=header(chosen),
            convert=convert,
        )
    bad = _Bad()
    waiting = read_texts(
        texts, column=column, format_=input_format, on_bad=bad.take if skip_bad else None
    )
    # A bar among results on one terminal would garble both.
    has_bar = is_terminal() and not (out is None and sys.stdout.isatty())
    try:
        total = count_texts(texts, column=column, format_=input_format) if has_bar else None
        with (
            progress_bar("annotating", total=total) if has_bar else nullcontext(_ignore) as advance
        ):
            annotate_stream(
                annotator,
                waiting,
                output,
                format_=chosen,
                search=search,
                batching=batching,
                target_recall=target_recall,
                chunk_size=chunk_size,
                advance=advance,
            )
        if isinstance(output, ResumableOutput):
            output.finish()
    except BaseException as error:
        _explain_resuming(output, error)
        raise
    _tell(output.tally, bad, chosen)


def _explain_resuming(output: StandardOutput | ResumableOutput, error: BaseException) -> None:
    """Say how to go on after an error or an interrupt, or clear away what is of no use."""
    if not isinstance(output, ResumableOutput) or not output.leave():
        return
    done = f"{output.tally.done:,} texts"
    if isinstance(error, KeyboardInterrupt):
        raise KeyboardInterrupt(
            f"interrupted after {done}. Add --resume to the same command to go on."
        ) from None
    print_note(f"{done} are done. Add --resume to the same command to go on after them.")


def _ignore(_: int) -> None:
    """Show no progress."""


class _Bad:
    """Counts what could not be read, and keeps the first few."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[TableError] = []

    def take(self, error: TableError) -> None:
        self.count += 1
        if self.count <= _NAMED:
            self.first.append(error)


def _tell(tally: OutputProgress, bad: _Bad, format_: OutputFormat) -> None:
    """Say what is not as it should be, and nothing else."""
    if tally.problems:
        where = "--format jsonl says which" if format_ == "inline" else "`problem` says why"
        print_note(f"{tally.problems:,} of {tally.done:,} outputs are not their text plus tags; {where}")
    if bad.count:
        print_note(f"{bad.count:,} could not be read and were left out (--skip-bad):")
        for error in bad.first:
            print_note(f"  {error}")
        if bad.count > _NAMED:
            print_note(f"  and {bad.count - _NAMED:,} more")

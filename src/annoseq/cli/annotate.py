"""`annoseq annotate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators

from annoseq.annotator.annotator import Annotator
from annoseq.annotator.formats import OutputFormat, header
from annoseq.annotator.inputs import InputFormat, count_texts, is_text_input, read_texts
from annoseq.annotator.resumable import ResumableOutput
from annoseq.annotator.stream import annotate_stream
from annoseq.cli.console import is_watched, note
from annoseq.cli.options import Batching, Device, ModelPath, Overwrite, Search
from annoseq.config import BatchConfig, ColumnsConfig, DeviceConfig, SearchConfig
from annoseq.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.annotator.stream import Output
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
    column: Annotated[str, Parameter(help="Column of the texts.")] = ColumnsConfig().source,
    input_format: Annotated[
        InputFormat | None,
        Parameter(help="What the input is, where its name does not tell; a pipe is one text."),
    ] = None,
    out: Annotated[
        Path | None, Parameter(help="File to write, or folder (inline); by default output.")
    ] = None,
    format_: Annotated[
        OutputFormat | None,
        Parameter(
            name="--format",
            help="inline (annotated text alone), jsonl or csv; by default as --out's suffix says, "
            "or jsonl for a table and inline for texts.",
        ),
    ] = None,
    resume: Annotated[
        bool, Parameter(help="Go on with the interrupted run of --out.", negative="")
    ] = False,
    skip_bad: Annotated[
        bool, Parameter(help="Leave out what cannot be read, and count it.", negative="")
    ] = False,
    chunk_size: Annotated[
        int,
        Parameter(
            help="Texts held in memory and written at once.", validator=validators.Number(gte=1)
        ),
    ] = 1_000,
    overwrite: Overwrite = False,
    search: Search = SearchConfig(),
    batching: Batching = BatchConfig(),
    device: Device = DeviceConfig(),
) -> None:
    """Annotate every text, in the order given."""
    is_text = is_text_input(texts, input_format)
    chosen = _format(format_, out, is_text=is_text)
    bad: list[TableError] = []
    waiting = read_texts(
        texts, column=column, format_=input_format, on_bad=bad.append if skip_bad else None
    )
    if out is None and resume:
        raise OptionError("--resume goes on with the interrupted run of --out. Give --out.")
    annotator = Annotator.load(model, device=device)
    output: Output
    if out is None:
        output = _StandardOutput(header(chosen))
    else:
        output = ResumableOutput(
            out,
            plan={
                "model": annotator.model.config.files["weights.safetensors"],
                "input": str(texts),
                "column": None if is_text else column,
                "format": chosen,
                "search": search.model_dump(mode="json"),
            },
            is_folder=chosen == "inline" and texts.is_dir(),
            resume=resume,
            overwrite=overwrite,
            begin=header(chosen),
        )
    try:
        problems = annotate_stream(
            annotator,
            waiting,
            output,
            format_=chosen,
            search=search,
            batching=batching,
            chunk_size=chunk_size,
            total=count_texts(texts, column=column, format_=input_format) if is_watched() else None,
        )
    except KeyboardInterrupt:
        if out is not None:
            note(f"interrupted after {output.done:,} texts; add --resume to go on")
        raise
    if isinstance(output, ResumableOutput):
        output.finish()
    _tell(output.done, problems, bad)


def _format(given: OutputFormat | None, out: Path | None, *, is_text: bool) -> OutputFormat:
    by_suffix: dict[str, Literal["jsonl", "csv"]] = {".jsonl": "jsonl", ".csv": "csv"}
    if given is None and out is not None and out.suffix.lower() in by_suffix:
        return by_suffix[out.suffix.lower()]
    if given == "inline" and not is_text:
        raise OptionError(
            "--format inline writes whole texts, and the input is a table. "
            "Use --format jsonl or csv."
        )
    return given or ("inline" if is_text else "jsonl")


class _StandardOutput:
    """Standard output, as it goes."""

    def __init__(self, begin: str) -> None:
        self.done = 0
        sys.stdout.buffer.write(begin.encode())

    def add(self, chunk: Sequence[tuple[str, str]], *, done: int) -> None:
        sys.stdout.buffer.writelines(content.encode() for _, content in chunk)
        sys.stdout.buffer.flush()
        self.done = done


def _tell(done: int, problems: int, bad: Sequence[TableError]) -> None:
    """Say what is not as it should be, and nothing else."""
    if problems:
        note(
            f"{problems:,} of {done:,} outputs are not their text plus tags; "
            "their lines say so under `problem`"
        )
    if bad:
        note(f"{len(bad):,} could not be read and were left out (--skip-bad):")
        for error in bad[:_NAMED]:
            note(f"  {error}")
        if len(bad) > _NAMED:
            note(f"  and {len(bad) - _NAMED:,} more")

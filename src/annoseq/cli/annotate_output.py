"""Destination and format of annotations."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

from annoseq.cli.output import print_note
from annoseq.errors import OptionError
from annoseq.formats.registry import FORMATS, FORMATS_WITH_SCORES, CorpusFormat
from annoseq.inference.resumable_output import OutputProgress
from annoseq.inference.streaming import OutputFormat
from annoseq.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from annoseq.config import SearchConfig
    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.documents import Document


AnyFormat = Literal[OutputFormat, CorpusFormat]

_BY_SUFFIX: dict[str, OutputFormat] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}


def choose_format(
    given: AnyFormat | None, out: Path | None, texts: Path, *, is_text: bool
) -> AnyFormat:
    """Choose what a user would guess, or raise where there is no telling."""
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
    if given or suffix in _BY_SUFFIX:
        return given or _BY_SUFFIX[suffix]
    if is_text:
        return "jsonl" if texts.is_dir() and out is None else "inline"
    if suffix:
        raise OptionError(
            f"--out {out}: its suffix stands for no format that is written here. "
            "Use a name that ends in .jsonl or .csv, or add --format jsonl or csv."
        )
    return "jsonl"


def writes_folder(out: Path, texts: Path, format_: OutputFormat) -> bool:
    """Tell whether a file is written for every text.

    Raises:
        OptionError: the files would lie among those that are read.
    """
    if format_ != "inline" or not texts.is_dir():
        return False
    check_outside_input(out, texts)
    return True


def check_outside_input(out: Path, texts: Path) -> None:
    """Raise `OptionError` where the output would lie in the folder that is read."""
    if texts.is_dir() and out.resolve().is_relative_to(texts.resolve()):
        raise OptionError(f"--out {out} is inside {texts}, which is read. Name a folder outside.")


class StandardOutput:
    """Standard output, as it goes."""

    def __init__(self, begin: str) -> None:
        self.tally = OutputProgress()
        sys.stdout.buffer.write(begin.encode())

    def add(self, chunk: Sequence[tuple[str, str]], tally: OutputProgress) -> None:
        """Write the texts of a chunk at once, for whoever waits at the end of a pipe."""
        sys.stdout.buffer.writelines(content.encode() for _, content in chunk)
        sys.stdout.buffer.flush()
        self.tally = tally


def write_corpus(
    format_: CorpusFormat,
    documents: Iterable[Document],
    target: Path,
    *,
    markup: str | None = None,
    losses: ConversionLosses,
    notes: ConversionLosses,
    overwrite: bool,
) -> None:
    """Write documents, show how far that is, and say what was lost."""
    from annoseq.formats.conversion import export_corpus

    with progress_bar("exporting", total=None) as advance:
        export_corpus(
            format_,
            documents,
            target,
            markup=markup,
            losses=losses,
            overwrite=overwrite,
            advance=advance,
        )
    for line in [*notes.lines(), *losses.lines()]:
        print_note(line)


def corpus_writer(
    format_: CorpusFormat,
    out: Path | None,
    texts: Path,
    *,
    lossy: bool,
    search: SearchConfig,
    overwrite: bool,
) -> Callable[[Path], None]:
    """Return what writes the complete annotations in another program's format.

    Raises:
        OptionError: there is no place to write to, or the format surely cannot hold all.
        OutputError: the place cannot be written to.
    """
    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.conversion import check_export_target
    from annoseq.formats.from_rows import read_output_documents

    entry = FORMATS[format_]
    if out is None:
        target = "a folder" if entry.is_folder else "a file"
        raise OptionError(f"--format {format_} writes {target}. Name it with --out.")
    if entry.is_folder:
        check_outside_input(out, texts)
    if not lossy and not search.free and not entry.holds_scores:
        raise OptionError(
            f"--format {format_} cannot hold the scores of annotations. Add --lossy to leave out "
            f"and count what it cannot hold, or use one of {', '.join(FORMATS_WITH_SCORES)}."
        )
    check_export_target(format_, out, overwrite=overwrite)
    losses, notes = ConversionLosses(format_name=None if lossy else format_), ConversionLosses()

    def convert(path: Path) -> None:
        documents = read_output_documents(path, losses=losses, notes=notes, format_="jsonl")
        write_corpus(format_, documents, out, losses=losses, notes=notes, overwrite=overwrite)

    return convert

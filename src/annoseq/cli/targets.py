"""Where annotations go, and in which format."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

from annoseq.annotator.formats import OutputFormat
from annoseq.annotator.resumable import Tally
from annoseq.errors import OptionError
from annoseq.formats.names import CorpusFormat

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

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


def is_folder(out: Path, texts: Path, format_: OutputFormat) -> bool:
    """Tell whether a file is written for every text.

    Raises:
        OptionError: the files would lie among those that are read.
    """
    if format_ != "inline" or not texts.is_dir():
        return False
    keep_apart(out, texts)
    return True


def keep_apart(out: Path, texts: Path) -> None:
    """Raise `OptionError` where the output would lie in the folder that is read."""
    if texts.is_dir() and out.resolve().is_relative_to(texts.resolve()):
        raise OptionError(f"--out {out} is inside {texts}, which is read. Name a folder outside.")


class StandardOutput:
    """Standard output, as it goes."""

    def __init__(self, begin: str) -> None:
        self.tally = Tally()
        sys.stdout.buffer.write(begin.encode())

    def add(self, chunk: Sequence[tuple[str, str]], tally: Tally) -> None:
        """Write the texts of a chunk at once, for whoever waits at the end of a pipe."""
        sys.stdout.buffer.writelines(content.encode() for _, content in chunk)
        sys.stdout.buffer.flush()
        self.tally = tally

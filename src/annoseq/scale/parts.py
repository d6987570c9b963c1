"""Input parts: the files of a folder or pattern, each annotated by itself into one output file.

A part is the unit of work, of resuming and of error handling. Its name is its path below the
folder, and names its outputs.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from annoseq.data.filesystems import has_wildcard, is_remote, join_address, list_files
from annoseq.data.tables import suffix_format
from annoseq.errors import OptionError, count_noun

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from annoseq.data.text_inputs import InputFormat

_NOT_PARTS = {"xlsx"}
"""Formats that only people write: a workbook has a million rows at most."""


class InputPart(NamedTuple):
    """A file of texts: name below its folder, address, format, size in bytes, time of change."""

    name: str
    address: str
    format: InputFormat
    size: int
    modified: int

    @property
    def stem(self) -> str:
        """Name without the suffixes of compression and format."""
        return part_stem(self.name)


class PartListing(NamedTuple):
    """Parts by name, and the number of files that are none."""

    parts: list[InputPart]
    ignored: int


def is_folder_input(address: str) -> bool:
    """Return True for an input of several parts: remote, a pattern, or a folder of tables alone.

    A local folder with `.txt` files is read as texts by a single run, unless an engine is named.
    """
    if is_remote(address) or has_wildcard(address):
        return True
    from pathlib import Path

    folder = Path(address)
    if not folder.is_dir() or _has_text(folder):
        return False
    return any(suffix_format(path.name) for path in folder.rglob("*") if path.is_file())


def find_parts(address: str, format_: InputFormat | None = None) -> PartListing:
    """List the parts of a folder, a pattern or a file; `format_` takes the files of a format alone.

    Raises:
        OptionError: there are none, or of several formats, or two would have one output.
        TableError: there is no such folder.
    """
    folder, files = list_files(address)
    parts = []
    for file in files:
        found = _part_format(file.name)
        if found is None or (format_ is not None and found != format_):
            continue
        parts.append(InputPart(file.name, join_address(folder, file.name), found, *file[1:]))
    _check_parts(address, parts, named=format_)
    return PartListing(parts, len(files) - len(parts))


def _part_format(name: str) -> InputFormat | None:
    if name.lower().endswith((".txt", ".txt.gz")):
        return "text"
    found = suffix_format(name)
    return None if found in _NOT_PARTS else found


def _check_parts(address: str, parts: list[InputPart], *, named: InputFormat | None) -> None:
    if not parts:
        kind = named or "Parquet, JSONL, CSV, TSV or text"
        raise OptionError(
            f"{address}: there is no {kind} file in it. Name a folder of such files, or a pattern "
            "in quotes, such as 'notes/*.parquet'."
        )
    formats = sorted({part.format for part in parts})
    if len(formats) > 1:
        raise OptionError(
            f"{address}: found files of several formats: {', '.join(formats)}. Name one with "
            "--input-format, or give a pattern in quotes, such as 'notes/*.parquet'."
        )
    clash = _first_repeated(part.stem for part in parts)
    if clash is not None:
        raise OptionError(
            f"{address}: {count_noun(clash, 'file')} would be written under the name of another. "
            "Names must differ in more than the suffix."
        )


def _first_repeated(names: Iterable[str]) -> int | None:
    """Return the number of names that occurred before, None for zero."""
    counts = Counter(names)
    return (counts.total() - len(counts)) or None


def part_stem(name: str) -> str:
    """Return the name of a part without the suffixes of compression and format.

    >>> part_stem("2026/notes.csv.gz")
    '2026/notes'
    """
    name = name.removesuffix(".gz")
    folder, slash, file = name.rpartition("/")
    return folder + slash + file.rpartition(".")[0]


def _has_text(folder: Path) -> bool:
    return any(path.suffix.lower() == ".txt" for path in folder.rglob("*"))

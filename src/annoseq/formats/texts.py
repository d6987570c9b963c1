"""Files of text as other programs leave them, read strictly, and names that can be files."""

from __future__ import annotations

import codecs
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from annoseq.errors import FormatError, TableError
from annoseq.pairs.sources import open_source

if TYPE_CHECKING:
    from pathlib import Path

_ZIP = b"PK\x03\x04"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LONGEST_NAME = (
    200  # bytes; file systems take 255, of which a suffix and a temporary name need some
)


def read_bytes(path: Path) -> bytes:
    """Read a file, decompressed if it is gzip.

    Raises:
        FormatError: it is missing, damaged, a folder or a zip archive.
    """
    try:
        with open_source(path) as stream:
            data = stream.read()
    except TableError as error:
        raise FormatError(str(error)) from error
    if data.startswith(_ZIP):
        raise FormatError(f"{path}: this is a zip archive. Unpack it, and name what is in it.")
    return data


def read_text(path: Path, *, keep_mark: bool = False) -> str:
    """Read a whole text with its line ends; a byte order mark is dropped unless it is to be kept.

    Raises:
        FormatError: it cannot be read, is not UTF-8, or holds a NUL character.
    """
    data = read_bytes(path)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        hint = "It begins like UTF-16: save" if data.startswith(_UTF16) else "Save"
        raise FormatError(
            f"{path}: line {data.count(10, 0, error.start) + 1}: found the byte "
            f"0x{data[error.start]:02X} at offset {error.start}, which is not UTF-8 text. "
            f"{hint} the file as UTF-8."
        ) from error
    if (at := text.find("\x00")) >= 0:
        raise FormatError(
            f"{path}: line {text.count(chr(10), 0, at) + 1}: found a NUL character at character "
            f"{at}, which no text has. Name a file of text, or remove it."
        )
    return text if keep_mark else text.removeprefix("\ufeff")


def read_lines(path: Path) -> list[str]:
    r"""Read the lines of a file without their ends.

    Only LF ends a line, or CR LF if all lines end so: a carriage return may be data.

    Raises:
        FormatError: as `read_text`.
    """
    lines = read_text(path).split("\n")
    if not lines[-1]:
        lines.pop()
    if lines and all(line.endswith("\r") for line in lines):
        return [line[:-1] for line in lines]
    return lines


def files_of(source: Path, suffix: str) -> dict[str, Path]:
    """Return the files with a suffix in a folder and below it, each by the id of its document.

    The id is the path within the folder without the suffix, in whose order they come. A file
    stands for itself.

    Raises:
        FormatError: there is no such file or folder, or no such file in it, or a name that is not
            UTF-8.
    """
    if source.is_file():
        return {_named(source.name, suffix): source}
    if not source.is_dir():
        raise FormatError(f"{source}: there is no such file or folder. Check its name.")
    paths = (p for p in source.rglob(f"*{suffix}") if p.is_file() and p.name[0] != ".")
    found = {_named(p.relative_to(source).as_posix(), suffix): p for p in sorted(paths)}
    if not found:
        raise FormatError(f"{source}: there is no {suffix} file in this folder or below it.")
    return found


def _named(name: str, suffix: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise FormatError(f"{name!r}: this file's name is not UTF-8. Rename the file.") from error
    return name.removesuffix(suffix)


def write_text(path: Path, text: str) -> None:
    """Write a text as it is, and the folders that lead to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


def file_for(folder: Path, document: str, suffix: str) -> Path:
    """Return the file for a document's id below a folder.

    Raises:
        FormatError: the id cannot be a file's name, or would lie elsewhere.
    """
    if not _is_file_name(document):
        raise FormatError(
            f"a document has the id {document[:80]!r}, which cannot be a file's name. "
            "Give it an id of letters, digits, dots and dashes."
        )
    return folder / f"{document}{suffix}"


def _is_file_name(name: str) -> bool:
    parts = name.split("/")
    is_plain = PurePosixPath(name).as_posix() == name and not name.startswith("/")
    return (
        is_plain
        and not any(part in {"", ".", ".."} or part[0] == "." for part in parts)
        and all(len(part.encode("utf-8", "replace")) <= _LONGEST_NAME for part in parts)
        and not any(character in "\\\0" or not character.isprintable() for character in name)
    )

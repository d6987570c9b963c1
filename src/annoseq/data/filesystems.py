"""Files on a local disk, or on any filesystem of pyarrow or fsspec (`s3://`, `gs://`, `hdfs://`).

An address is a path, or a URI with `://`. Reading streams; writing is whole or not at all: a remote
file is written under another name and moved, so that no reader meets half of it.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import tempfile
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from annoseq.atomic_io import atomic_file
from annoseq.errors import OptionError, OutputError, TableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from pyarrow.fs import FileSystem

_WILDCARD = re.compile(r"[*?\[]")
_DRIVERS = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}
"""Packages that fsspec needs for a scheme."""
_HIDDEN = (".", "_")
"""First letters of names that are no data: Spark's `_SUCCESS`, temporary files, `.DS_Store`."""


class StoredFile(NamedTuple):
    """A file below a folder: its path from there, its size in bytes, its time of change in ns."""

    name: str
    size: int
    modified: int


def is_remote(address: str) -> bool:
    """Return True for an address with a scheme, such as `s3://bucket/notes`."""
    return "://" in address


def has_wildcard(address: str) -> bool:
    """Return True for a pattern of paths, such as `notes/*.parquet`, that is no existing path."""
    return bool(_WILDCARD.search(address)) and (is_remote(address) or not Path(address).exists())


def join_address(folder: str, name: str) -> str:
    """Return the address of a file below a folder.

    >>> join_address("s3://bucket/notes/", "2026/a.csv")
    's3://bucket/notes/2026/a.csv'
    """
    return f"{folder.rstrip('/')}/{name}" if is_remote(folder) else str(Path(folder, name))


def resolve_address(address: str) -> tuple[FileSystem, str]:
    """Return the filesystem of an address, and the path there.

    Raises:
        OptionError: the scheme is unknown, or its driver is not installed.
    """
    import pyarrow as pa
    from pyarrow import fs

    if not is_remote(address):
        return fs.LocalFileSystem(), os.path.abspath(address)  # noqa: PTH100  # keeps links
    try:
        filesystem, path = fs.FileSystem.from_uri(address)
    except (pa.ArrowException, ValueError, NotImplementedError):
        return _resolve_by_fsspec(address)
    return filesystem, str(path)


def _resolve_by_fsspec(address: str) -> tuple[FileSystem, str]:
    """Return the filesystem of a scheme that pyarrow does not know, or was built without."""
    import fsspec
    from pyarrow import fs

    scheme = address.partition("://")[0]
    try:
        filesystem, path = fsspec.core.url_to_fs(address)
    except ImportError:
        driver = _DRIVERS.get(scheme, f"fsspec's package for {scheme}")
        raise OptionError(
            f"{scheme}:// needs a driver that is not installed. Run: pip install {driver}"
        ) from None
    except ValueError:
        raise OptionError(
            f"{scheme}:// is no filesystem that pyarrow or fsspec know. Use a path, or a scheme "
            "such as s3, gs, abfs or hdfs."
        ) from None
    return fs.PyFileSystem(fs.FSSpecHandler(filesystem)), str(path)


def list_files(address: str) -> tuple[str, list[StoredFile]]:
    """Return a folder, and the files below it (or matching a pattern, or one file), by path.

    Hidden files, and those in hidden folders, are left out.

    Raises:
        TableError: there is no such file or folder, or it cannot be listed.
        OptionError: the filesystem is not known.
    """
    from pyarrow import fs

    folder, pattern = split_pattern(address)
    filesystem, path = resolve_address(folder)
    try:
        info = filesystem.get_file_info(path)
        if info.type == fs.FileType.File:
            parent, slash, name = folder.rpartition("/")
            return parent or slash or ".", [StoredFile(name, info.size, info.mtime_ns or 0)]
        infos = filesystem.get_file_info(fs.FileSelector(path, recursive=True))
    except FileNotFoundError:
        raise TableError(f"{folder}: there is no such file or folder. Check its name.") from None
    except OSError as error:
        raise TableError(
            f"{folder}: cannot be listed: {_reason(error)}. Check the address and your rights."
        ) from error
    root = path.strip("/")
    found = [
        StoredFile(name, info.size, info.mtime_ns or 0)
        for info in infos
        if info.type == fs.FileType.File
        and not _is_hidden(name := info.path.strip("/")[len(root) + 1 :])
        and (pattern is None or pattern.fullmatch(name))
    ]
    return folder, sorted(found)


def stat_file(address: str) -> tuple[int, int] | None:
    """Return size in bytes and time of change in ns of a file, None if there is none."""
    from pyarrow import fs

    filesystem, path = resolve_address(address)
    info = filesystem.get_file_info(path)
    return (info.size, info.mtime_ns or 0) if info.type == fs.FileType.File else None


@contextmanager
def open_input(address: str) -> Iterator[io.BufferedReader]:
    """Open a file to read it as it is, also at random."""
    if not is_remote(address):
        with Path(address).open("rb") as stream:
            yield stream
        return
    filesystem, path = resolve_address(address)
    with filesystem.open_input_file(path) as native:
        yield io.BufferedReader(cast("io.RawIOBase", native))


@contextmanager
def atomic_output(address: str) -> Iterator[IO[bytes]]:
    """Yield a stream whose content becomes the file, new or not, when the block ends well.

    A remote file is collected in a local file without a name, which no kill can leave behind.

    Raises:
        OutputError: it cannot be written.
    """
    if not is_remote(address):
        with atomic_file(Path(address), overwrite=True) as new, new.open("wb") as stream:
            yield stream
        return
    try:
        with tempfile.TemporaryFile() as spool:
            yield spool
            spool.seek(0)
            _upload(spool, address)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(
            f"{address} cannot be written: {_reason(error)}. Check the room and your rights."
        ) from error


def delete_files(address: str) -> None:
    """Delete a folder with all in it, or a file, if it is there."""
    from pyarrow import fs

    filesystem, path = resolve_address(address)
    kind = filesystem.get_file_info(path).type
    if kind == fs.FileType.Directory:
        filesystem.delete_dir(path)
    elif kind == fs.FileType.File:
        filesystem.delete_file(path)


def _upload(content: IO[bytes], address: str) -> None:
    """Write a remote file under another name, and move it to its place.

    An output stream of pyarrow that is closed by an exception leaves what was written so far.
    """
    filesystem, path = resolve_address(address)
    folder, _, name = path.rpartition("/")
    temporary = f"{folder}/.{name}.{uuid.uuid4().hex}"
    filesystem.create_dir(folder, recursive=True)
    try:
        with filesystem.open_output_stream(temporary) as stream:
            shutil.copyfileobj(content, cast("Any", stream), 1 << 20)
        filesystem.move(temporary, path)
    except BaseException:
        with suppress(OSError):
            filesystem.delete_file(temporary)
        raise


def split_pattern(address: str) -> tuple[str, re.Pattern[str] | None]:
    """Return the folder before the first wildcard, and the pattern of paths below it."""
    if not has_wildcard(address):
        return address.rstrip("/") or address, None
    segments = address.split("/")
    first = next(index for index, part in enumerate(segments) if _WILDCARD.search(part))
    root = "/" if first else "."
    return "/".join(segments[:first]) or root, re.compile(_glob_regex(segments[first:]))


def _glob_regex(segments: list[str]) -> str:
    """Translate a glob: `*` and `?` stay within a name, `**` stands for any folders."""
    translated = []
    for segment in segments:
        if segment == "**":
            translated.append("(?:[^/]+/)*")
            continue
        parts = re.split(r"(\*+|\?|\[!?[^\]]+\])", segment)
        for index, part in enumerate(parts):
            if index % 2 == 0:
                translated.append(re.escape(part))
            elif part.startswith("["):
                translated.append(part.replace("[!", "[^", 1))
            else:
                translated.append("[^/]" if part == "?" else "[^/]*")
        translated.append("/")
    return "".join(translated).removesuffix("/")


def _is_hidden(name: str) -> bool:
    return any(part.startswith(_HIDDEN) for part in name.split("/"))


def _reason(error: OSError) -> str:
    return error.strerror or "the filesystem gives no reason"

"""Atomic writing of files and folders: whole or not at all.

Everything is written beside its final place, flushed to disk and renamed when it is complete. No
reader meets half a result, a failure leaves what was there before, and a power cut leaves either
the old content or the new.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from annoseq.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def atomic_file(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield the path of a new file, which becomes `path` when the block ends without an error.

    Raises:
        OutputError: `path` exists and may not be overwritten, or cannot be written.
    """
    check_not_existing(path, overwrite=overwrite)
    with as_output_error(path):
        folder = _temporary_folder(path)
        try:
            yield folder / path.name
            durable_replace(folder / path.name, path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def atomic_folder(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a new, empty folder, which becomes `path` when the block ends without an error.

    Only a folder of this package (with a `config.json`), or an empty one, is ever overwritten.

    Raises:
        OutputError: `path` exists and may not be overwritten, or cannot be written.
    """
    check_not_existing(path, overwrite=overwrite)
    _check_not_foreign(path)
    with as_output_error(path):
        temporary = _temporary_folder(path)
        new, old = temporary / "new", temporary / "old"
        try:
            new.mkdir()
            yield new
            try:
                if path.exists():
                    path.rename(old)
                durable_replace(new, path)
            except BaseException:
                if old.exists() and not path.exists():
                    old.rename(path)
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def durable_replace(new: Path, path: Path) -> None:
    """Rename a complete file or folder to `path` so that the result outlives a power cut.

    Raises:
        OSError: it cannot be flushed or renamed.
    """
    if new.is_dir():
        for folder, _, names in os.walk(new, topdown=False):
            for name in names:
                _flush_to_disk(Path(folder, name))
            _flush_to_disk(Path(folder))
    else:
        _flush_to_disk(new)
    new.replace(path)
    _flush_to_disk(path.parent)  # the name itself is stored in the parent folder


def check_not_existing(path: Path, *, overwrite: bool) -> None:
    """Check that `path` does not exist, or may be overwritten.

    Raises:
        OutputError: `path` exists and `overwrite` is False, or cannot exist.
    """
    with as_output_error(path):
        exists = path.exists()  # fails where a name is too long, or a folder may not be entered
    if exists and not overwrite:
        raise OutputError(
            f"{path} exists already. Choose another name, or add --overwrite to replace it."
        )


def check_writable(path: Path, *, overwrite: bool) -> None:
    """Check before hours of work that `atomic_file` will be able to write `path`.

    Raises:
        OutputError: `path` exists and may not be overwritten, or its folder cannot be written to.
    """
    check_not_existing(path, overwrite=overwrite)
    if path.name in {"", ".."}:
        raise OutputError(f"{path} has no name of its own. Name a file or folder within it.")
    with as_output_error(path):
        _temporary_folder(path).rmdir()


def check_folder_writable(path: Path, *, overwrite: bool) -> None:
    """Check before hours of work that `atomic_folder` will be able to write `path`.

    Raises:
        OutputError: `path` exists and may not be overwritten, or its folder cannot be written to.
    """
    check_writable(path, overwrite=overwrite)
    _check_not_foreign(path)


@contextmanager
def as_output_error(path: Path) -> Iterator[None]:
    """Raise an `OSError` of the block as an `OutputError` about `path`."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{path} cannot be written: {reason}. Nothing was changed; "
            "choose a folder that exists, is writable and has room."
        ) from error


def _temporary_folder(path: Path) -> Path:
    """Make a folder beside `path`, on the same disk."""
    return Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))


def _check_not_foreign(path: Path) -> None:
    """Raise if `path` is a file, or a folder that another program may have filled."""
    if path.is_file() or (
        path.is_dir() and any(path.iterdir()) and not (path / "config.json").is_file()
    ):
        raise OutputError(
            f"{path} was not written by annoseq, so that --overwrite does not replace it. "
            "Choose another name, or remove it first."
        )


def _flush_to_disk(path: Path) -> None:
    """Wait until the content of a file, or the names in a folder, are on disk."""
    is_windows = os.name == "nt"
    if is_windows and path.is_dir():
        return  # Windows opens no folders; its file system journals names
    descriptor = os.open(path, os.O_RDWR if is_windows else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Atomic writing of files and folders: whole or not at all, and by one process at a time.

Everything is written beside its final place, flushed to disk and renamed when it is complete. No
reader meets half a result, a failure leaves what was there before, and a power cut leaves either
the old content or the new. While an output is written, a lock keeps other processes from it.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from annoseq.errors import OutputError
from annoseq.output_lock import (
    REPLACED,
    OutputLock,
    as_output_error,
    check_has_name,
    restore_interrupted,
    temporary_folder,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
"""Constants of Linux's renameat2(2)."""
_OWN_FILES = ("config.json", "ensemble.json")
"""Files of which every folder that this package writes has one."""


@contextmanager
def atomic_file(path: Path, *, overwrite: bool, private: bool = False) -> Iterator[Path]:
    """Yield the path of a new file, which becomes `path` when the block ends without an error.

    A private file may be read by its owner alone.

    Raises:
        OutputError: `path` exists and may not be overwritten, or cannot be written, or another
            process writes it.
    """
    _check_no_folder(path)
    check_not_existing(path, overwrite=overwrite)
    with OutputLock(path), as_output_error(path):
        folder = temporary_folder(path)
        try:
            new = folder / path.name
            yield new
            if private:
                new.chmod(0o600)
            durable_replace(new, path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def atomic_folder(path: Path, *, overwrite: bool, private: bool = False) -> Iterator[Path]:
    """Yield a new, empty folder, which becomes `path` when the block ends without an error.

    Only a folder of this package (with one of `_OWN_FILES`), or an empty one, is overwritten. The
    old folder is exchanged for the new one in one step, where the system can; elsewhere there is a
    moment without either, and the next start of a command on `path` puts the old one back if the
    process was killed in it. A private folder may be entered by its owner alone.

    Raises:
        OutputError: `path` exists and may not be overwritten, or cannot be written, or another
            process writes it.
    """
    check_not_existing(path, overwrite=overwrite)
    _check_not_foreign(path)
    with OutputLock(path), as_output_error(path):
        temporary = temporary_folder(path)
        try:
            new = temporary / "new"
            new.mkdir(mode=0o700 if private else 0o777)
            yield new
            _replace_folder(new, path, old=temporary / REPLACED)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def durable_replace(new: Path, path: Path) -> None:
    """Rename a complete file or folder to `path` so that the result outlives a power cut.

    Raises:
        OSError: it cannot be flushed or renamed.
    """
    _flush_all(new)
    new.replace(path)
    _flush_to_disk(path.parent)  # the name itself is stored in the parent folder


def remove_folder(path: Path) -> None:
    """Remove a folder so that a killed process leaves all of it under its name, or nothing."""
    temporary = temporary_folder(path)
    path.rename(temporary / "removed")
    shutil.rmtree(temporary)


def make_public(path: Path) -> None:
    """Give a file or folder that was private the usual rights of new ones."""
    with tempfile.TemporaryDirectory(dir=path.parent) as probes:
        folder, file = Path(probes, "folder"), Path(probes, "file")
        folder.mkdir()
        file.touch()
        folder_mode, file_mode = folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777
    for parent, _, names in os.walk(path):
        Path(parent).chmod(folder_mode)
        for name in names:
            Path(parent, name).chmod(file_mode)
    if path.is_file():
        path.chmod(file_mode)


def check_not_existing(path: Path, *, overwrite: bool) -> None:
    """Check that `path` does not exist, or may be overwritten.

    Raises:
        OutputError: `path` exists and `overwrite` is False, or cannot exist.
    """
    restore_interrupted(path)
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
    check_has_name(path)
    _check_no_folder(path)
    _check_place(path, overwrite=overwrite)


def check_folder_writable(path: Path, *, overwrite: bool) -> None:
    """Check before hours of work that `atomic_folder` will be able to write `path`.

    Raises:
        OutputError: `path` exists and may not be overwritten, or its folder cannot be written to.
    """
    check_has_name(path)
    _check_place(path, overwrite=overwrite)
    _check_not_foreign(path)


def _replace_folder(new: Path, path: Path, *, old: Path) -> None:
    """Put a complete folder in the place of `path`, of which nothing is left but `old`."""
    if not path.exists():
        durable_replace(new, path)
        return
    _flush_all(new)
    if _exchange(new, path):
        _flush_to_disk(path.parent)
        return
    try:
        path.rename(old)
        durable_replace(new, path)
    except BaseException:
        if old.exists() and not path.exists():
            old.rename(path)
        raise


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two names in one step; return False where the system or the disk cannot."""
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is None:
        return False
    names = os.fsencode(first), os.fsencode(second)
    return bool(rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0)


def _check_no_folder(path: Path) -> None:
    with as_output_error(path):
        is_folder = path.is_dir()
    if is_folder:
        raise OutputError(f"{path} is a folder, and a file is written. Choose another name.")


def _check_place(path: Path, *, overwrite: bool) -> None:
    """Check that something new could be made beside `path`, or in the parents it will have."""
    check_not_existing(path, overwrite=overwrite)
    with as_output_error(path):
        parent = next(folder for folder in path.parents if folder.exists())
        temporary_folder(parent / path.name).rmdir()


def _check_not_foreign(path: Path) -> None:
    """Raise if `path` is a file, or a folder that another program may have filled."""
    if path.is_file() or (
        path.is_dir()
        and any(path.iterdir())
        and not any((path / name).is_file() for name in _OWN_FILES)
    ):
        raise OutputError(
            f"{path} was not written by annoseq, so that --overwrite does not replace it. "
            "Choose another name, or remove it first."
        )


def _flush_all(path: Path) -> None:
    """Wait until a file, or a folder and all in it, is on disk."""
    for folder, _, names in os.walk(path, topdown=False):
        for name in names:
            _flush_to_disk(Path(folder, name))
        _flush_to_disk(Path(folder))
    if not path.is_dir():
        _flush_to_disk(path)


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

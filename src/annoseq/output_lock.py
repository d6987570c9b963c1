"""Lock of an output, for one process at a time, and removal of what killed processes left."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from annoseq.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

REPLACED = "old"
"""Name, in a temporary folder, of the folder that is being replaced."""
_RANDOM_LETTERS = 8
"""Letters that `tempfile.mkdtemp` adds to a name."""
_LOCK_TIMEOUT, _LOCK_POLL = 0.3, 0.05
"""Seconds: a lock file may be deleted by its last owner in the moment it is opened."""
_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK}


class OutputLock:
    """Lock of an output, for one process and thread at a time; it ends with the process at last.

    The thread that has it may take it again. Taking it makes the parent folders of `path`, and
    clears up after a process that was killed: hidden temporary files are removed, and a folder that
    was about to be replaced is put back. On disks without locks nothing is locked.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._made: list[Path] = []
        self._lock: FileLock | None = None

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            OutputError: another process has it, or the parent folder cannot be written to.
        """
        check_has_name(self._path)
        file = self._path.with_name(f".{self._path.name}.lock").absolute()
        lock = FileLock(
            file,
            timeout=_LOCK_TIMEOUT,
            poll_interval=_LOCK_POLL,
            is_singleton=True,
            fallback_to_soft=False,  # a soft lock would outlive a process that dies
        )
        with as_output_error(self._path):
            self._made = _make_parents(self._path)
            try:
                lock.acquire()
            except Timeout:
                self._remove_parents()
                _check_new_file(file)
                raise OutputError(
                    f"{self._path} is being written by {_owner(file)}. "
                    "Wait until it ends, or choose another name."
                ) from None
            except OSError as error:
                if error.errno in _NO_LOCKS:
                    file.unlink(missing_ok=True)
                    return
                self._remove_parents()
                raise
            self._lock = lock
            if lock.lock_counter == 1:
                file.write_text(str(os.getpid()), encoding="ascii")
                _clear_up(self._path)

    def release(self) -> None:
        """Give the lock back, and remove parent folders that are still empty."""
        if self._lock is not None:
            if self._lock.lock_counter == 1:
                with suppress(OSError):  # Windows deletes no open file
                    Path(self._lock.lock_file).unlink()
            self._lock.release()
            self._lock = None
        self._remove_parents()

    def _remove_parents(self) -> None:
        with suppress(OSError):  # which has the output in it by now
            while self._made:
                self._made.pop().rmdir()


def restore_interrupted(path: Path) -> None:
    """Put back a folder that a process was about to replace when it was killed, if there is one."""
    with suppress(OSError):
        if not path.exists() and _leftovers(path):
            with OutputLock(path):
                pass


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


def _prefix(path: Path) -> str:
    """Return how the names of temporary folders of `path` begin."""
    return f".{path.name}.annoseq-"


def temporary_folder(path: Path) -> Path:
    """Make a folder beside `path`, on the same disk, that only its owner may enter."""
    return Path(tempfile.mkdtemp(prefix=_prefix(path), dir=path.parent))


def _leftovers(path: Path) -> list[Path]:
    """Return the temporary folders of `path` that there are."""
    prefix = _prefix(path)
    if not path.name or not path.parent.is_dir():
        return []
    with os.scandir(path.parent) as entries:
        return [
            Path(entry)
            for entry in entries
            if entry.name.startswith(prefix) and len(entry.name) == len(prefix) + _RANDOM_LETTERS
        ]


def _clear_up(path: Path) -> None:
    """Remove what killed processes left of `path`; a folder without successor is put back."""
    for folder in _leftovers(path):
        if (folder / REPLACED).exists() and not path.exists():
            (folder / REPLACED).rename(path)
        shutil.rmtree(folder, ignore_errors=True)


def _owner(lock_file: Path) -> str:
    """Return a name for the process that has a lock, with its id if it can be read."""
    try:
        return f"process {int(lock_file.read_text(encoding='ascii'))}"
    except (OSError, ValueError):
        return "another process"


def _check_new_file(path: Path) -> None:
    """Raise the `OSError` of making a file that does not exist, if it cannot be made."""
    if not path.exists():
        path.touch()
        path.unlink()


def _make_parents(path: Path) -> list[Path]:
    """Make the missing parent folders of `path`; return them, the outermost first."""
    missing = [folder for folder in path.parents if not folder.exists()]
    if missing:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not path.parent.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    return missing[::-1]


def check_has_name(path: Path) -> None:
    """Raise an `OutputError` if a path, such as `..`, does not name something in its parent."""
    if path.name in {"", ".."}:
        raise OutputError(f"{path} has no name of its own. Name a file or folder within it.")

"""Writing files and folders whole or not at all.

Everything is written beside its final place and renamed when it is complete, so
that no reader ever meets half a result and a failure leaves what was there.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from annoseq.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Raise unless `path` is free or may be overwritten.

    Raises:
        OutputError: `path` exists and `overwrite` is False, or cannot exist.
    """
    with explained(path):
        exists = path.exists()  # fails where a name is too long, or a folder may not be entered
    if exists and not overwrite:
        raise OutputError(
            f"{path} exists already. Choose another name, or add --overwrite to replace it."
        )


def rehearse(path: Path, *, overwrite: bool) -> None:
    """Raise now if `replacing` or `replacing_folder` would, instead of after hours of work.

    Raises:
        OutputError: `path` exists and may not be overwritten, or its folder cannot be written to.
    """
    refuse_existing(path, overwrite=overwrite)
    if path.name in {"", ".."}:
        raise OutputError(f"{path} has no name of its own. Name a file or folder within it.")
    with explained(path):
        Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent)).rmdir()


def rehearse_folder(path: Path, *, overwrite: bool) -> None:
    """Do as `rehearse` does, and spare what `replacing_folder` spares."""
    rehearse(path, overwrite=overwrite)
    _spare_foreign(path)


@contextmanager
def replacing(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield the path of a new file, which becomes `path` when the block ends without an error.

    Raises:
        OutputError: `path` exists and may not be overwritten, or cannot be written.
    """
    refuse_existing(path, overwrite=overwrite)
    with explained(path):
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            yield folder / path.name
            (folder / path.name).replace(path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def replacing_folder(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a new, empty folder, which becomes `path` when the block ends without an error.

    Only a folder of this package (with a `config.json`), or an empty one, is ever overwritten.

    Raises:
        OutputError: `path` exists and may not be overwritten, or cannot be written.
    """
    refuse_existing(path, overwrite=overwrite)
    _spare_foreign(path)
    with explained(path):
        shelter = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            (shelter / "new").mkdir()
            yield shelter / "new"
            try:
                if path.exists():
                    path.rename(shelter / "old")
                (shelter / "new").rename(path)
            except BaseException:
                if (shelter / "old").exists() and not path.exists():
                    (shelter / "old").rename(path)
                raise
        finally:
            shutil.rmtree(shelter, ignore_errors=True)


def _spare_foreign(path: Path) -> None:
    """Raise if `path` is a file, or a folder that something else may have filled."""
    if path.is_file() or (
        path.is_dir() and any(path.iterdir()) and not (path / "config.json").is_file()
    ):
        raise OutputError(
            f"{path} was not written by annoseq, so that --overwrite does not replace it. "
            "Choose another name, or remove it first."
        )


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the system says of a failed write into an `OutputError` about `path`."""
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

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
        OutputError: `path` exists and `overwrite` is False.
    """
    if path.exists() and not overwrite:
        raise OutputError(
            f"{path} exists already. Choose another name, or add --overwrite to replace it."
        )


@contextmanager
def replacing(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield the path of a new file, which becomes `path` when the block ends without an error.

    Raises:
        OutputError: `path` exists and may not be overwritten, or cannot be written.
    """
    refuse_existing(path, overwrite=overwrite)
    with _explained(path):
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            yield folder / path.name
            (folder / path.name).replace(path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def replacing_folder(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a new, empty folder, which becomes `path` when the block ends without an error.

    Raises:
        OutputError: `path` exists and may not be overwritten, or cannot be written.
    """
    refuse_existing(path, overwrite=overwrite)
    with _explained(path):
        shelter = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            (shelter / "new").mkdir()
            yield shelter / "new"
            if path.exists():
                path.rename(shelter / "old")
            try:
                (shelter / "new").rename(path)
            except BaseException:
                if (shelter / "old").exists():
                    (shelter / "old").rename(path)
                raise
        finally:
            shutil.rmtree(shelter, ignore_errors=True)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
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

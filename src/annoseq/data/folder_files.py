"""Check of the files of a folder that annoseq reads, before one is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MEBIBYTE = 1 << 20


def describe_unsafe_file(folder: Path, max_bytes: Mapping[str, int | None]) -> str | None:
    """Describe the first file that should not be read, None if there is no such file.

    It is a pipe, a device or a folder, which may never end; a link to a file outside the folder; or
    larger than `max_bytes` of its name (None is without limit). Files may be missing.
    """
    for name, limit in max_bytes.items():
        path = folder / name
        if not path.exists():
            continue
        if not path.is_file():
            return f"{name} is not a regular file"
        if not path.resolve().is_relative_to(folder.resolve()):
            return f"{name} is a link to a file outside the folder"
        if limit is not None and path.stat().st_size > limit:
            size = path.stat().st_size
            return f"{name} has {size:,} bytes, and such a file has at most {limit:,}"
    return None

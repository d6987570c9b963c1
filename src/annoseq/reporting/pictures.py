"""Pictures that travel within a page."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, NamedTuple

from annoseq.errors import OptionError

if TYPE_CHECKING:
    from pathlib import Path

_KINDS = {".png": "image/png", ".svg": "image/svg+xml"}
_LARGEST = 1_000_000
"""Bytes: a report should stay small enough to be sent."""


class Picture(NamedTuple):
    """A picture as a `data:` address, and what it is called."""

    name: str
    address: str

    @classmethod
    def read(cls, path: Path) -> Picture:
        """Read a picture.

        Raises:
            OptionError: it cannot be read, is of another kind, or is too large.
        """
        kind = _KINDS.get(path.suffix.lower())
        if kind is None:
            raise OptionError(f"{path}: a picture in a report must end in {' or '.join(_KINDS)}.")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise OptionError(
                f"{path}: cannot be read: {error.strerror}. Name a picture, or leave it off."
            ) from error
        if len(data) > _LARGEST:
            raise OptionError(
                f"{path}: this picture has {len(data):,} bytes, and a report takes pictures of up "
                f"to {_LARGEST:,}. Make it smaller."
            )
        return cls(path.stem, f"data:{kind};base64,{b64encode(data).decode()}")

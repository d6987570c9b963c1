"""Which file of vectors it is, wherever it lies."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from annoseq.text.vectors.positioned import PositionedFile

if TYPE_CHECKING:
    from pathlib import Path

_EDGE, _SAMPLE, _SAMPLES = 1 << 16, 1 << 12, 64


def fingerprint(path: Path) -> str:
    """Return a checksum of a file's size, both its ends and blocks spread between them.

    Not of all of it: the file may have 7 GB, and this takes milliseconds.

    Raises:
        VectorsError: the file cannot be read.
    """
    with PositionedFile(path) as file:
        digest = hashlib.sha256(str(file.size).encode())
        digest.update(file.read_some(0, _EDGE))
        for sample in range(1, _SAMPLES):
            digest.update(file.read_some(file.size * sample // _SAMPLES, _SAMPLE))
        digest.update(file.read_some(max(0, file.size - _EDGE), _EDGE))
    return digest.hexdigest()

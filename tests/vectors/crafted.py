"""Files of fastText, written byte by byte."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

MAGIC = struct.pack("<i", 793712314)


def craft(
    words: Sequence[str],
    *,
    labels: Sequence[str] = (),
    buckets: int = 7,
    width: int = 3,
    min_n: int = 3,
    max_n: int = 6,
    version: int = 12,
    model: int = 1,
    pruned: int = -1,
    is_quantised: bool = False,
) -> bytes:
    """Write a `.bin` whose row r is `row(r, width)`."""
    arguments = [width, 5, 5, 5, 10, 1, 2, model, buckets, min_n, max_n, 100]
    rows = len(words) + buckets
    return b"".join(
        [
            MAGIC,
            struct.pack("<13id", version, *arguments, 1e-5),
            struct.pack("<3i2q", len(words) + len(labels), len(words), len(labels), 99, pruned),
            *(word.encode() + b"\0" + struct.pack("<qb", 5, 0) for word in words),
            *(label.encode() + b"\0" + struct.pack("<qb", 5, 1) for label in labels),
            struct.pack("<?2q", is_quantised, rows, width),
            np.array([row(r, width) for r in range(rows)], "<f4").tobytes(),
            struct.pack("<?2q", False, len(words), width),
            bytes(4 * len(words) * width),
        ]
    )


def row(number: int, width: int = 3) -> list[float]:
    """Return what stands in a row of a crafted file."""
    return [number + place / 8 for place in range(width)]

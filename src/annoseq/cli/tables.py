"""Tables of pairs by the options of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.pairs.pairs import Pairs, stream_pairs
from annoseq.pairs.sources import source_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from annoseq.config import ColumnsConfig
    from annoseq.pairs.pair import Pair
    from annoseq.pairs.rows import TableFormat


def read(path: Path, columns: ColumnsConfig, *, input_format: TableFormat | None = None) -> Pairs:
    """Read a table of pairs."""
    return Pairs(stream(path, columns, input_format=input_format), name=source_name(path))


def stream(
    path: Path, columns: ColumnsConfig, *, input_format: TableFormat | None = None
) -> Iterator[Pair]:
    """Read a table of pairs, one pair at a time."""
    return stream_pairs(
        path,
        source=columns.source,
        target=columns.target,
        document=columns.document,
        offset=columns.offset,
        format=input_format,
    )

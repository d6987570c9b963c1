"""Annotations as a Parquet table: spans as a list of structs, alternatives as JSON.

A column that is kept of the input has whole numbers (int64), numbers (float64) or text: the
narrowest type that holds all its values, of which None is one of any type.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from annoseq.atomic_io import atomic_file
from annoseq.config import OFFSET_COLUMN
from annoseq.inference.streaming import COLUMNS, cell_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import IO, Self

KeptType = Literal["whole", "number", "text"]
_Kind = Literal["exact", "large", "float", "other"]
"""Kinds of values: `exact` whole numbers are the same as floats, `large` ones need 64 bits."""

_MAX_WHOLE, _MAX_EXACT = 1 << 63, 1 << 53
_GROUP_ROWS = 1_000


def write_parquet_annotations(
    lines: Path, path: Path, *, kept: Sequence[str], overwrite: bool
) -> None:
    """Convert annotations that were formatted as JSONL to a Parquet table.

    They are read twice: the types of the columns in `kept` are those of all rows.

    Raises:
        OutputError: the table exists and `overwrite` is False, or it cannot be written.
    """
    with lines.open(encoding="utf-8", newline="\n") as records:
        types = kept_types(map(json.loads, records), kept) if kept else {}
    with (
        lines.open(encoding="utf-8", newline="\n") as records,
        atomic_file(path, overwrite=overwrite) as new,
        new.open("wb") as stream,
        AnnotationParquet(stream, kept, types) as table,
    ):
        for line in records:
            table.add(json.loads(line))


def kept_types(records: Iterable[Mapping[str, Any]], kept: Sequence[str]) -> dict[str, KeptType]:
    """Return the types of kept columns, without those that have no value."""
    kinds: dict[str, set[_Kind]] = {name: set() for name in kept}
    for record in records:
        for name in kept:
            if (value := record.get(name)) is not None:
                kinds[name].add(_kind(value))
    return {name: _type(found) for name, found in kinds.items() if found}


def _kind(value: Any) -> _Kind:
    if type(value) is float:
        return "float"
    if type(value) is not int or not -_MAX_WHOLE <= value < _MAX_WHOLE:
        return "other"
    return "exact" if abs(value) <= _MAX_EXACT else "large"


def _type(kinds: set[_Kind]) -> KeptType:
    """Return the narrowest type that holds values of these kinds unchanged."""
    if "other" in kinds or kinds >= {"float", "large"}:
        return "text"
    return "number" if "float" in kinds else "whole"


class AnnotationParquet:
    """Parquet writer of annotation records, and a context that ends the table.

    `types` are those of the columns in `kept`; a column without one is text.
    """

    def __init__(
        self, stream: IO[bytes], kept: Sequence[str], types: Mapping[str, KeptType]
    ) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._texts = [name for name in kept if types.get(name, "text") == "text"]
        self._records: list[dict[str, Any]] = []
        self._schema, self._table = _schema(kept, types), pa.Table
        self._writer = pq.ParquetWriter(stream, self._schema)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._flush()
        finally:
            self._writer.close()

    def add(self, record: dict[str, Any]) -> None:
        """Write a record."""
        for name in (*self._texts, "alternatives"):
            if (value := record.get(name)) is not None:
                record[name] = cell_text(value)
        self._records.append(record)
        if len(self._records) == _GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._records:
            self._writer.write_table(self._table.from_pylist(self._records, schema=self._schema))
            self._records = []


def _schema(kept: Sequence[str], types: Mapping[str, KeptType]) -> Any:
    """Return the schema of a table with columns of the input."""
    import pyarrow as pa

    text, whole, number = pa.string(), pa.int64(), pa.float64()
    named = {"whole": whole, "number": number, "text": text}
    span = {"start": whole, "end": whole, "label": text, "text": text, "score": number}
    columns = {
        OFFSET_COLUMN: whole,
        "spans": pa.list_(pa.struct(span)),
        "score": number,
        "windows": whole,
        **{name: named[type_] for name, type_ in types.items()},
    }
    return pa.schema([(name, columns.get(name, text)) for name in (*COLUMNS, *kept)])

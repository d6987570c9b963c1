"""Reader and writer of Parquet tables. It imports pyarrow, so import it only when needed."""

from __future__ import annotations

import gzip
import io
import math
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from annoseq.data.table_rows import TableRow, describe_number, display_column, is_missing
from annoseq.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import IO

    from annoseq.data.table_rows import ColumnSelection

_BATCH_ROWS = 1024
_GROUP_ROWS = 10_000
_READ_AHEAD = 1 << 20  # bytes: without it pyarrow loads a row group's columns whole


def read_parquet(
    stream: io.BufferedReader, name: str, selection: ColumnSelection
) -> Iterator[TableRow | TableError]:
    """Read the selected columns, one row at a time.

    A file is read piece by piece; a pipe or a compressed file is first read into memory.
    A row with a value that is null or not UTF-8 is yielded as an error.

    Raises:
        TableError: this is no readable Parquet file, or a column is missing, doubled or of the
            wrong type.
    """
    is_file = stream.seekable() and not isinstance(stream.raw, gzip.GzipFile)
    data = stream if is_file else io.BytesIO(stream.read())
    try:
        with pq.ParquetFile(data, buffer_size=_READ_AHEAD) as table:
            schema = table.schema_arrow
            columns = selection.select(schema.names, place=name)
            for column in columns:
                _check_type(schema.field(column).type, column, selection, name=name)
            kept = selection.select_kept(schema.names)
            selection.fill_header(columns, {c: _kept_type(schema.field(c).type) for c in kept})
            number = 0
            for batch in table.iter_batches(_BATCH_ROWS, columns=[*columns, *kept]):
                yield from _batch_rows(batch, columns, kept, selection, first=number + 1, name=name)
                number += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise TableError(
            f"{name}: this is not a Parquet file, or it is damaged. Write it again, or name "
            "its real format."
        ) from error


def write_parquet(
    rows: Iterable[Sequence[str | int]],
    stream: IO[bytes],
    columns: Mapping[str, type[str] | type[int]],
) -> None:
    """Write rows in groups, with text columns as strings and the others as 64-bit integers."""
    schema = pa.schema([(c, pa.int64() if t is int else pa.string()) for c, t in columns.items()])
    remaining = iter(rows)
    with pq.ParquetWriter(stream, schema) as writer:
        while group := list(islice(remaining, _GROUP_ROWS)):
            writer.write_table(pa.table(list(zip(*group, strict=True)), schema=schema))


def _check_type(column_type: Any, column: str, selection: ColumnSelection, *, name: str) -> None:
    is_text = column in selection.texts
    value_type = column_type
    if pa.types.is_dictionary(column_type):
        value_type = column_type.value_type
    is_string = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    if any(check(value_type) for check in is_string):
        return
    is_number = (pa.types.is_integer, pa.types.is_floating, pa.types.is_null)
    if not is_text and any(check(value_type) for check in is_number):
        return
    raise TableError(
        f"{name}: column {column!r} is of type {column_type} where {selection.expected(column)} "
        "was expected. Write it as strings."
    )


def _kept_type(column_type: Any) -> type[str] | type[int]:
    """Return the type that `write_parquet` can give a column: int if all its values fit."""
    if pa.types.is_dictionary(column_type):
        column_type = column_type.value_type
    is_whole = pa.types.is_integer(column_type) and not pa.types.is_uint64(column_type)
    return int if is_whole else str


def _batch_rows(
    batch: Any,
    columns: list[str],
    kept: list[str],
    selection: ColumnSelection,
    *,
    first: int,
    name: str,
) -> Iterator[TableRow | TableError]:
    names = [*columns, *kept]
    arrays = [batch.column(batch.schema.get_field_index(column)) for column in names]
    for number, values in enumerate(zip(*arrays, strict=True), first):
        place = f"{name}: row {number}"
        try:
            cells = {
                column: _cell(value, column, place=place)
                for column, value in zip(names, values, strict=True)
            }
            yield TableRow(
                number,
                {
                    column: _text(cells[column], column, selection, place=place)
                    for column in columns
                    if not (is_missing(cells[column]) and selection.allows_null(column))
                },
                {column: _plain_value(cells[column], column, place=place) for column in kept},
            )
        except TableError as error:
            yield error


def _cell(value: Any, column: str, *, place: str) -> Any:
    """Return a cell as an object of Python.

    Raises:
        TableError: it is not UTF-8, or Python has no such value, as of a date in the year 10,000.
    """
    if value.type == pa.time64("ns"):  # times of Python have microseconds
        value = value.cast(pa.string())
    try:
        return value.as_py()
    except UnicodeDecodeError as error:
        raise TableError(
            f"{place}: column {column!r} holds text that is not UTF-8. "
            "Write it again as UTF-8 strings."
        ) from error
    except (ValueError, OverflowError) as error:
        raise TableError(
            f"{place}: column {display_column(column)} holds a value of type {value.type} that "
            "Python cannot represent. Write the column as strings."
        ) from error


def _plain_value(cell: Any, column: str, *, place: str) -> Any:
    """Return a cell as a value of JSON, what is none (a time, infinity) as text, NaN as null.

    Raises:
        TableError: it is or has bytes, which may be anything.
    """
    if is_missing(cell):
        return None
    if isinstance(cell, bytes):
        raise TableError(
            f"{place}: column {display_column(column)} holds bytes, which have no place in other "
            "formats. Name the columns to keep, or write it as strings."
        )
    if isinstance(cell, list | tuple):
        return [_plain_value(item, column, place=place) for item in cell]
    if isinstance(cell, dict):
        return {name: _plain_value(item, column, place=place) for name, item in cell.items()}
    is_plain = isinstance(cell, int) or (isinstance(cell, float) and math.isfinite(cell))
    return cell if is_plain else str(cell)


def _text(cell: Any, column: str, selection: ColumnSelection, *, place: str) -> str:
    """Return a cell as text.

    Raises:
        TableError: it is null, or a number that the column may not hold.
    """
    if cell is None:
        raise TableError(
            f"{place}: column {column!r} is null where a value was expected. "
            "Fill it, or leave the row out."
        )
    if isinstance(cell, str):
        return cell
    number = selection.number_text(cell, column)
    if number is None:
        raise TableError(
            f"{place}: column {column!r} holds {describe_number(cell)} where "
            f"{selection.expected(column)} was expected. Fill it, or leave the row out."
        )
    return number

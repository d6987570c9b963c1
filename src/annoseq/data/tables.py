"""Reading and writing of tables: CSV, TSV, JSONL, Parquet and Excel, streamed row by row.

Reading holds one row (of Parquet, a few) in memory, whatever the table's size. Every field is
text and survives unchanged; a table that does not allow that is an error, never a guess.
"""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast, get_args

from annoseq.atomic_io import atomic_file
from annoseq.data.csv_table import check_encoding, decoded_as_utf8, read_csv, write_csv
from annoseq.data.jsonl_table import read_jsonl, write_jsonl
from annoseq.data.streams import is_standard_input, open_source, source_name
from annoseq.data.table_rows import (
    ColumnSelection,
    TableFormat,
    TableHeader,
    TableRow,
    TextDialect,
)
from annoseq.errors import EmptyTableError, OptionError, TableError

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import IO

__all__ = [
    "TableFormat",
    "TableRow",
    "check_bom",
    "check_dialect",
    "read_rows",
    "suffix_format",
    "table_format",
    "write_rows",
]

_SUFFIXES: dict[str, TableFormat] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".xlsx": "xlsx",
}
_DELIMITERS = {"csv": ",", "tsv": "\t"}
_NAMES = {"tsv": "TSV", "jsonl": "JSONL", "parquet": "Parquet", "xlsx": "Excel"}
_DELIMITER_NAMES = {"tab": "\t", "\\t": "\t"}


class _Dialect(NamedTuple):
    """The format of a table, and the delimiter and encoding that were named, if any."""

    format: TableFormat
    delimiter: str | None
    encoding: str | None

    @classmethod
    def of(cls, format_: TableFormat, *, delimiter: str | None, encoding: str | None) -> _Dialect:
        """Check that the options are valid, and belong to the format.

        Raises:
            OptionError: they are not.
        """
        if delimiter is not None:
            delimiter = _DELIMITER_NAMES.get(delimiter, delimiter)
            if format_ != "csv":
                raise OptionError(
                    f"--delimiter is for CSV, and the table is {_NAMES[format_]}. Leave it off."
                )
            if len(delimiter) != 1 or delimiter in '"\r\n\0':
                raise OptionError(
                    "--delimiter: found something else than one character. Give one, such as ';', "
                    "or tab."
                )
        if encoding is not None:
            if format_ in {"parquet", "xlsx"}:
                raise OptionError(
                    f"--encoding is for text, and the table is {_NAMES[format_]}. Leave it off."
                )
            check_encoding(encoding)
        return cls(format_, delimiter, encoding)


def check_dialect(format_: TableFormat, dialect: TextDialect) -> None:
    """Check that a delimiter and an encoding are valid, and have a meaning for a format.

    Raises:
        OptionError: they do not.
    """
    _Dialect.of(format_, delimiter=dialect.delimiter, encoding=dialect.encoding)


def read_rows(
    source: str | Path,
    *,
    columns: Sequence[str],
    keys: Sequence[str] = (),
    nullable: Sequence[str] = (),
    optional: Sequence[str] = (),
    fractions: Sequence[str] = (),
    keep: Sequence[str] | None = (),
    format: TableFormat | None = None,  # noqa: A002
    delimiter: str | None = None,
    encoding: str | None = None,
    on_bad: Callable[[TableError], None] | None = None,
    header: TableHeader | None = None,
) -> Iterator[TableRow]:
    """Read columns of a table, one row at a time.

    `source` is a file, compressed with gzip or not, or `-` for standard input, which is CSV
    unless `format` says otherwise. `columns` must be there and hold texts; so must `keys`, which
    may also hold whole numbers (in JSONL and Parquet, which tell them from text); `optional` ones
    are like `keys`, but are left out of every row where the table does not have them, and of a row
    where they are null, as `nullable` ones, which must be there. Those of them that are in
    `fractions` may hold any number. `keep` columns are only passed on; None keeps all that are not
    read otherwise. `delimiter` and `encoding` are those of a text table; without them, a CSV table
    may have another delimiter than the comma if its header leaves no doubt, and UTF-16 is known by
    its byte order mark; both are then logged. With `on_bad`, it is called with the error of a row
    that cannot be read, and the row is left out; the others keep their numbers. `header` is filled
    in before the first row.

    Raises:
        OptionError: `format` or `encoding` is none of the known ones, or the format has none.
        TableError: the table cannot be read, has no rows, lacks a column, or has a row that
            is not well-formed (most are raised when that row is reached).
    """
    if format is None and is_standard_input(source):
        format = "csv"  # noqa: A001
    selection = ColumnSelection(
        tuple(columns),
        tuple(keys),
        tuple(nullable),
        tuple(optional),
        tuple(fractions),
        tuple(keep or ()),
        keeps_others=keep is None,
        header=header,
    )
    chosen = table_format(source, format)
    dialect = _Dialect.of(chosen, delimiter=delimiter, encoding=encoding)
    return _rows(source, selection, dialect, on_bad)


def write_rows(
    rows: Iterable[Sequence[str | int]],
    path: str | Path,
    *,
    columns: Mapping[str, type[str] | type[int]],
    overwrite: bool,
    format: TableFormat | None = None,  # noqa: A002
    bom: bool = False,
) -> None:
    """Write a table whole or not at all, compressed with gzip if `path` ends in `.gz`.

    `columns` maps each column's name to its type; a row holds its values in the same order. With
    `bom`, a CSV or TSV table begins with a byte order mark, by which Excel knows UTF-8.

    Raises:
        OptionError: `format` is none of the known ones, or has no byte order mark.
        OutputError: the file exists and `overwrite` is False, or it cannot be written.
        TableError: the suffix is not known, or a text cannot be written as UTF-8.
    """
    path = Path(path)
    chosen = table_format(path, format)
    check_bom(chosen, bom=bom)
    is_packed = path.suffix.lower() == ".gz"
    if chosen in {"parquet", "xlsx"} and is_packed:
        raise TableError(f"{path}: {_NAMES[chosen]} compresses by itself. Leave .gz off.")
    with (
        atomic_file(path, overwrite=overwrite) as new,
        _created(new, is_packed=is_packed) as stream,
    ):
        checked = _checked(rows, list(columns), name=str(path))
        if chosen == "parquet":
            from annoseq.data.parquet_table import write_parquet

            write_parquet(checked, stream, columns)
        elif chosen == "xlsx":
            from annoseq.data.excel_table import write_excel

            write_excel(checked, stream, list(columns), name=str(path))
        elif chosen == "jsonl":
            write_jsonl(checked, stream, list(columns))
        else:
            write_csv(checked, stream, list(columns), delimiter=_DELIMITERS[chosen], bom=bom)


def check_bom(format_: TableFormat, *, bom: bool) -> None:
    """Check that a table which is to begin with a byte order mark is CSV or TSV.

    Raises:
        OptionError: it is not.
    """
    if bom and format_ not in _DELIMITERS:
        raise OptionError(f"--bom is for CSV, and the table is {_NAMES[format_]}. Leave it off.")


def _rows(
    source: str | Path,
    selection: ColumnSelection,
    dialect: _Dialect,
    on_bad: Callable[[TableError], None] | None,
) -> Iterator[TableRow]:
    name = source_name(source)
    is_empty = True
    with open_source(source) as stream:
        for row in _reader(stream, name, selection, dialect):
            is_empty = False
            if isinstance(row, TableRow):
                yield row
            elif on_bad:
                on_bad(row)
            else:
                raise row
    if is_empty:
        raise EmptyTableError(f"{name}: the table has no rows. Give it at least one.")


def _reader(
    stream: io.BufferedReader, name: str, selection: ColumnSelection, dialect: _Dialect
) -> Iterator[TableRow | TableError]:
    if dialect.format == "xlsx":
        from annoseq.data.excel_table import read_excel

        return read_excel(stream, name, selection)
    if dialect.format == "parquet":
        from annoseq.data.parquet_table import read_parquet

        return read_parquet(stream, name, selection)
    stream = decoded_as_utf8(stream, name, encoding=dialect.encoding)
    if dialect.format == "jsonl":
        return read_jsonl(stream, name, selection)
    if dialect.format == "csv" and dialect.delimiter is None:
        return read_csv(stream, name, selection)
    delimiter = dialect.delimiter or _DELIMITERS[dialect.format]
    return read_csv(stream, name, selection, delimiter=delimiter)


def table_format(path: str | Path, named: TableFormat | None = None) -> TableFormat:
    """Return the format that is named, or else that of the suffix.

    Raises:
        OptionError: the named format is none of the known ones.
        TableError: the suffix is not known, or `path` is a folder.
    """
    known = ", ".join(get_args(TableFormat))
    if named is not None:
        if named not in get_args(TableFormat):
            raise OptionError(f"found the table format {named!r}. Use one of {known}.")
        return named
    path = Path(path)
    if path.is_dir():
        raise TableError(f"{path}: {describe_folder(path)}")
    suffix = _suffix(path.name)
    if suffix not in _SUFFIXES:
        problem = (
            f"the suffix {suffix!r} stands for no known format" if suffix else "it has no suffix"
        )
        raise TableError(
            f"{path}: {problem}. Use a name that ends in one of {', '.join(_SUFFIXES)} (.gz may "
            f"follow), or name the format: {known}."
        )
    return _SUFFIXES[suffix]


def suffix_format(name: str) -> TableFormat | None:
    """Return the format that the suffix of a file's name stands for, None if for none.

    >>> suffix_format("notes.csv.gz"), suffix_format("README.md")
    ('csv', None)
    """
    return _SUFFIXES.get(_suffix(name))


def _suffix(name: str) -> str:
    path = Path(name)
    return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()


def describe_folder(folder: Path) -> str:
    """Return what a folder is and what to give instead, for messages where it is not expected."""
    if next(folder.rglob("*.ann"), None):
        return (
            "this is a brat corpus: there are .ann files in it. "
            f"Type: annoseq import brat {folder} PAIRS."
        )
    if (folder / "weights.safetensors").is_file():
        return "this is the folder of a model. Give a table of pairs."
    return "this is a folder. Name one file in it."


@contextmanager
def _created(path: Path, *, is_packed: bool) -> Iterator[IO[bytes]]:
    with path.open("wb") as stream:
        if not is_packed:
            yield stream
            return
        # No name and no time inside: the same rows are the same bytes.
        with gzip.GzipFile("", "wb", fileobj=stream, mtime=0) as packed:
            yield cast("IO[bytes]", packed)


def _checked(
    rows: Iterable[Sequence[str | int]], columns: list[str], *, name: str
) -> Iterator[Sequence[str | int]]:
    for number, row in enumerate(rows, 1):
        for column, value in zip(columns, row, strict=True):
            try:
                str(value).encode()
            except UnicodeEncodeError as error:
                raise TableError(
                    f"{name}: row {number}: column {column!r} holds a lone surrogate, which is "
                    "half a character and cannot be written. Leave the row out."
                ) from error
        yield row

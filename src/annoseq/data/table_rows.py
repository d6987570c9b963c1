"""Selected columns and rows of a table: the types that the readers of all formats share.

No message quotes the value of a field: a clinical text must not end up in a log. In a table
without a header, a text stands where a column's name is expected, so that a name is shown only if
it is an identifier (`display_column`).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from annoseq.config import DOCUMENT_COLUMN, OFFSET_COLUMN
from annoseq.errors import MissingColumnError, TableError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from annoseq.config import ColumnsConfig

TableFormat = Literal["csv", "tsv", "jsonl", "parquet", "xlsx"]

_COLUMNS_SHOWN = 20
_IDENTIFIER = re.compile(r"[\w.-]{1,40}")


class TextDialect(NamedTuple):
    """Delimiter and encoding of a table of text; None for what the table itself says."""

    delimiter: str | None = None
    encoding: str | None = None


DEFAULT_DIALECT = TextDialect()


@dataclass(frozen=True, slots=True)
class TableRow:
    """The selected fields of a row, by column; `number` counts from 1, after the header.

    A field without a value (null) is left out. `kept` holds the fields that are only passed on:
    texts, or any values of JSON.
    """

    number: int
    values: dict[str, str]
    kept: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class TableHeader:
    """Columns of a table, which its reader fills in before the first row.

    `columns` are read; `kept` are only passed on: whole numbers and null alone if the type is int,
    as Parquet knows it, or any cells of a workbook.
    """

    columns: tuple[str, ...] = ()
    kept: dict[str, type[str] | type[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ColumnSelection:
    """The columns to read.

    `texts`, `keys` and `nullable` must be there, `optional` ones may be absent. Texts must be
    strings; the others may also be whole numbers, which become text, and any numbers if they are
    also in `fractions`. `nullable` and `optional` columns may lack a value. `kept` columns must be
    there and may hold anything; if `keeps_others`, every column that is not read otherwise is kept.
    `header` is filled in with what a table has of them.
    """

    texts: tuple[str, ...]
    keys: tuple[str, ...] = ()
    nullable: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    fractions: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    keeps_others: bool = False
    header: TableHeader | None = field(default=None, compare=False)

    def select(self, columns: Sequence[str], *, place: str) -> list[str]:
        """Return the columns to read of those that a table has, each once.

        Raises:
            TableError: a column is missing, or is there more than once.
        """
        for column in (*self.texts, *self.keys, *self.nullable, *self.kept):
            if column not in columns:
                listed = _list_columns(columns)
                raise MissingColumnError(f"{place}: there is no column {column!r}. {listed}")
        candidates = dict.fromkeys(self._read_columns())
        selected = [column for column in candidates if column in columns]
        for column in (*selected, *self.select_kept(columns)):
            if (count := columns.count(column)) > 1:
                raise TableError(
                    f"{place}: the column {display_column(column)} is there {count} times. "
                    "Rename or remove all but one."
                )
        return selected

    def select_kept(self, columns: Sequence[str]) -> list[str]:
        """Return the columns to pass on, in the order of the table."""
        read = set(self._read_columns())
        return [
            column
            for column in columns
            if column in self.kept or (self.keeps_others and column not in read)
        ]

    def fill_header(
        self, columns: Iterable[str], kept: Mapping[str, type[str] | type[int]]
    ) -> None:
        """Fill in the header, if it is asked for."""
        if self.header is not None:
            self.header.columns, self.header.kept = tuple(columns), dict(kept)

    def allows_null(self, column: str) -> bool:
        """Return True if a row may lack a value in a column."""
        return column not in (*self.texts, *self.keys)

    def number_text(self, value: float, column: str) -> str | None:
        """Return a number as text, None if the column may not hold it.

        A whole number of floating point, as pandas writes one beside missing values, is whole.
        """
        if column in self.texts:
            return None
        if isinstance(value, int):
            return str(value)
        if not math.isfinite(value):
            return None
        if value.is_integer():
            return str(int(value))
        return repr(value) if column in self.fractions else None

    def expected(self, column: str) -> str:
        """Return what a column may hold, for a message."""
        if column in self.texts:
            return "a text"
        return f"a text or a {'' if column in self.fractions else 'whole '}number"

    def _read_columns(self) -> tuple[str, ...]:
        return (*self.texts, *self.keys, *self.nullable, *self.optional)


class PairColumns(NamedTuple):
    """Columns of a table of pairs; `required` are those besides the texts that must be there."""

    source: str
    target: str
    document: str | None
    offset: str | None
    required: tuple[str, ...]
    patient: str | None = None

    @classmethod
    def choose(cls, columns: ColumnsConfig, *, patient: str | None = None) -> PairColumns:
        """Take the default columns for those that are not named, unless they are taken."""
        source, target = columns.source, columns.target
        document, offset = columns.document, columns.offset
        required = tuple(column for column in (document, offset) if column is not None)
        taken = {source, target, *required}
        if document is None and DOCUMENT_COLUMN not in taken:
            document = DOCUMENT_COLUMN
        if offset is None and OFFSET_COLUMN not in taken:
            offset = OFFSET_COLUMN
        return cls(source, target, document, offset, required, patient)

    def selection(self) -> ColumnSelection:
        """Return the columns to read."""
        optional = [column for column in (self.document, self.offset) if column is not None]
        keys = self.required if self.patient is None else (*self.required, self.patient)
        return ColumnSelection((self.source, self.target), keys, optional=tuple(optional))


_OFFSET = re.compile(r"([0-9]{1,18})(?:\.0*)?")  # pandas writes 4.0 beside empty cells


def parse_offset(cell: str) -> int | None:
    """Return a cell's whole number from 0, None if it holds something else.

    >>> parse_offset("12"), parse_offset("12.0"), parse_offset("12.5")
    (12, 12, None)
    """
    match = _OFFSET.fullmatch(cell)
    return int(match[1]) if match else None


def read_offset(row: TableRow, column: str | None, *, is_required: bool, name: str) -> int | None:
    """Return a row's offset in its document, None if it has none and none is required.

    Raises:
        TableError: the cell holds something else; `name` is the table's.
    """
    cell = row.values.get(column, "") if column else ""
    if not cell and not is_required:
        return None
    if (start := parse_offset(cell)) is None:
        raise TableError(
            f"{name}: row {row.number}: column {column!r} does not hold a whole number from 0. "
            "Give the place of the text in its document, in characters."
        )
    return start


def check_kept(row: TableRow, kept: Collection[str], *, name: str) -> None:
    """Check that a row keeps no column besides those of the first row, as JSONL allows.

    Raises:
        TableError: it does; `name` is the table's.
    """
    if others := sorted(row.kept.keys() - set(kept)):
        raise TableError(
            f"{name}: row {row.number} has the column {display_column(others[0])}, which the first "
            "row lacks. Name the columns with --keep-columns, or give every row the same."
        )


def is_missing(value: object) -> bool:
    """Return True for null, and for what pandas has where a value is missing (NaN among them)."""
    is_nan = isinstance(value, float) and math.isnan(value)
    return value is None or is_nan or type(value).__name__ in {"NAType", "NaTType"}


def describe_number(value: float) -> str:
    """Return the kind of a number for a message, which does not quote it."""
    if math.isnan(value):
        return "NaN (no number)"
    if math.isinf(value):
        return "an infinite number"
    return "a whole number" if value == int(value) else "a fraction"


def display_column(name: str, *, position: int | None = None) -> str:
    """Return a column's name for a message: quoted if it is an identifier, else not at all.

    Identifiers are up to 40 letters, digits, underscores, dashes and dots.

    >>> display_column("orig_text"), display_column("Ms Ames came", position=2)
    ("'orig_text'", '(column 2, whose name is no identifier)')
    """
    if _IDENTIFIER.fullmatch(name):
        return repr(name)
    column = "a column" if position is None else f"column {position}"
    return f"({column}, whose name is no identifier)"


def _list_columns(columns: Sequence[str]) -> str:
    """List the columns that a table has instead, with what to do."""
    if not columns:
        return "It has no columns."
    names = [name for name in columns if _IDENTIFIER.fullmatch(name)]
    hidden = [position for position, name in enumerate(columns, 1) if name not in names]
    if not names:
        counted = (
            "1 column, whose name is"
            if len(columns) == 1
            else (f"{len(columns)} columns, whose names are")
        )
        return (
            f"It has {counted} no identifier{'s' * (len(columns) > 1)}. If its first row is a row "
            "of texts, put a row with the names of the columns before it."
        )
    shown = ", ".join(map(repr, names[:_COLUMNS_SHOWN]))
    if len(names) > _COLUMNS_SHOWN:
        listed = f"The first {_COLUMNS_SHOWN} of its {len(columns)} columns are {shown}."
    else:
        listed = f"Its columns are {shown}"
        if hidden:
            places = ", ".join(map(str, hidden[:_COLUMNS_SHOWN]))
            listed += (
                f", and column {places}, whose name is no identifier"
                if len(hidden) == 1
                else f", and columns {places}, whose names are no identifiers"
            )
        listed += "."
    return f"{listed} Name one of these."

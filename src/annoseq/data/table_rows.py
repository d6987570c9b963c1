"""Selected columns and rows of a table: the types that the readers of all formats share.

No message quotes the value of a field: a clinical text must not end up in a log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from annoseq.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Sequence

TableFormat = Literal["csv", "tsv", "jsonl", "parquet"]

_COLUMNS_SHOWN = 20
_NAME_LENGTH_SHOWN = 40
"""In characters: a longer "name" is more likely a text, in a table without a header."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """The selected fields of a row, by column; `number` counts from 1, after the header.

    `kept` holds the fields that are only passed on: texts, or any values of JSON.
    """

    number: int
    values: dict[str, str]
    kept: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ColumnSelection:
    """The columns to read.

    `texts` and `keys` must be there, `optional` ones may be absent. Texts must be strings;
    the other two may also be whole numbers, which become text. `kept` columns must be there and
    may hold anything; if `keeps_others`, every column that is not read otherwise is kept.
    """

    texts: tuple[str, ...]
    keys: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    keeps_others: bool = False

    def select(self, columns: Sequence[str], *, place: str) -> list[str]:
        """Return the columns to read of those that a table has, each once.

        Raises:
            TableError: a column is missing, or is there more than once.
        """
        for column in (*self.texts, *self.keys, *self.kept):
            if column not in columns:
                listed = _list_columns(columns)
                raise TableError(
                    f"{place}: there is no column {column!r}. {listed} Name one of these."
                )
        candidates = dict.fromkeys((*self.texts, *self.keys, *self.optional))
        selected = [column for column in candidates if column in columns]
        for column in (*selected, *self.select_kept(columns)):
            if (count := columns.count(column)) > 1:
                raise TableError(
                    f"{place}: the column {column!r} is there {count} times. "
                    "Rename or remove all but one."
                )
        return selected

    def select_kept(self, columns: Sequence[str]) -> list[str]:
        """Return the columns to pass on, in the order of the table."""
        read = {*self.texts, *self.keys, *self.optional}
        return [
            column
            for column in columns
            if column in self.kept or (self.keeps_others and column not in read)
        ]


def _list_columns(columns: Sequence[str]) -> str:
    names = ", ".join(map(_quote_name, columns[:_COLUMNS_SHOWN]))
    if len(columns) > _COLUMNS_SHOWN:
        return f"The first {_COLUMNS_SHOWN} of its {len(columns)} columns are {names}."
    return f"Its columns are {names}." if columns else "It has no columns."


def _quote_name(column: str) -> str:
    if len(column) <= _NAME_LENGTH_SHOWN:
        return repr(column)
    return f"(a name of {len(column)} characters)"

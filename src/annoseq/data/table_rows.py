"""Selected columns and rows of a table: the types that the readers of all formats share.

No message quotes the value of a field: a clinical text must not end up in a log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from annoseq.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Sequence

TableFormat = Literal["csv", "tsv", "jsonl", "parquet"]

_COLUMNS_SHOWN = 20
_NAME_LENGTH_SHOWN = 40
"""In characters: a longer "name" is more likely a text, in a table without a header."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """The selected fields of a row, by column; `number` counts from 1, after the header."""

    number: int
    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class ColumnSelection:
    """The columns to read.

    `texts` and `keys` must be there, `optional` ones may be absent. Texts must be strings;
    the other two may also be whole numbers, which become text.
    """

    texts: tuple[str, ...]
    keys: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    def select(self, columns: Sequence[str], *, place: str) -> list[str]:
        """Return the columns to read of those that a table has, each once.

        Raises:
            TableError: a column is missing, or is there more than once.
        """
        for column in (*self.texts, *self.keys):
            if column not in columns:
                listed = _list_columns(columns)
                raise TableError(
                    f"{place}: there is no column {column!r}. {listed} Name one of these."
                )
        candidates = dict.fromkeys((*self.texts, *self.keys, *self.optional))
        selected = [column for column in candidates if column in columns]
        for column in selected:
            if (count := columns.count(column)) > 1:
                raise TableError(
                    f"{place}: the column {column!r} is there {count} times. "
                    "Rename or remove all but one."
                )
        return selected


def _list_columns(columns: Sequence[str]) -> str:
    names = ", ".join(map(_quote_name, columns[:_COLUMNS_SHOWN]))
    if len(columns) > _COLUMNS_SHOWN:
        return f"The first {_COLUMNS_SHOWN} of its {len(columns)} columns are {names}."
    return f"Its columns are {names}." if columns else "It has no columns."


def _quote_name(column: str) -> str:
    if len(column) <= _NAME_LENGTH_SHOWN:
        return repr(column)
    return f"(a name of {len(column)} characters)"

"""What a table is read into, and which of its columns are wanted.

The readers of the formats (CSV, JSONL, Parquet) share these words. None of their messages
quotes what a field holds: a clinical text must not end up in a log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from annoseq.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Sequence

TableFormat = Literal["csv", "tsv", "jsonl", "parquet"]

_COLUMNS_SHOWN = 20
_NAME_SHOWN = 40  # characters: a longer "name" is more likely a text, in a table without a header


@dataclass(frozen=True, slots=True)
class TableRow:
    """The wanted fields of a table's row, by column; `number` counts from 1, after the header."""

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

    def found_in(self, columns: Sequence[str], *, place: str) -> list[str]:
        """Return the wanted columns that a table has, each once.

        Raises:
            TableError: a column is missing, or is there more than once.
        """
        for column in (*self.texts, *self.keys):
            if column not in columns:
                raise TableError(
                    f"{place}: there is no column {column!r}. {_listed(columns)} Name one of these."
                )
        wanted = dict.fromkeys((*self.texts, *self.keys, *self.optional))
        found = [column for column in wanted if column in columns]
        for column in found:
            if (count := columns.count(column)) > 1:
                raise TableError(
                    f"{place}: the column {column!r} is there {count} times. "
                    "Rename or remove all but one."
                )
        return found


def _listed(columns: Sequence[str]) -> str:
    shown = ", ".join(map(_shown, columns[:_COLUMNS_SHOWN]))
    if len(columns) > _COLUMNS_SHOWN:
        return f"The first {_COLUMNS_SHOWN} of its {len(columns)} columns are {shown}."
    return f"Its columns are {shown}." if columns else "It has no columns."


def _shown(column: str) -> str:
    return repr(column) if len(column) <= _NAME_SHOWN else f"(a name of {len(column)} characters)"

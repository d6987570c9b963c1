"""Rows of pandas data frames and Hugging Face datasets, checked cell by cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from annoseq.data.table_rows import TableRow, describe_number, is_missing
from annoseq.errors import OptionError, TableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from annoseq.data.table_rows import ColumnSelection


class HuggingFaceDataset(Protocol):
    """The parts of `datasets.Dataset` that are used here."""

    @property
    def column_names(self) -> Any:
        """Names of the columns."""

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        """Iterate over rows, each a dictionary."""
        ...


def load_datasets() -> Any:
    """Import the library `datasets`.

    Raises:
        OptionError: it is not installed.
    """
    try:
        import datasets
    except ImportError as error:
        raise OptionError(
            "this needs Hugging Face's datasets, which is not installed. Run: pip install "
            "'annoseq[datasets]'"
        ) from error
    return datasets


def read_frame(frame: pd.DataFrame, selection: ColumnSelection, *, name: str) -> Iterator[TableRow]:
    """Read the selected columns of a data frame; rows count from 1, whatever its index is.

    Raises:
        TableError: there are no rows, a column is missing or doubled, or a cell does not hold
            text.
    """
    names = [str(column) for column in frame.columns]
    columns = selection.select(names, place=name)
    cells = [frame.iloc[:, names.index(column)].tolist() for column in columns]
    return _rows(zip(*cells, strict=True), columns, selection, name=name)


def read_hugging_face_dataset(
    dataset: HuggingFaceDataset, selection: ColumnSelection, *, name: str
) -> Iterator[TableRow]:
    """Read the selected columns of a `datasets.Dataset`.

    Raises:
        TableError: there are no rows, several splits or no names of columns, a column is missing,
            or a cell does not hold text.
    """
    names = dataset.column_names
    if not isinstance(names, list):
        raise TableError(
            f"{name}: found {type(dataset).__name__} without a list of column names where one "
            'split of a dataset was expected. Name the split, such as dataset["train"].'
        )
    columns = selection.select(names, place=name)
    cells = ([row[column] for column in columns] for row in dataset)
    return _rows(cells, columns, selection, name=name)


def _rows(
    rows: Iterable[Sequence[Any]], columns: list[str], selection: ColumnSelection, *, name: str
) -> Iterator[TableRow]:
    number = 0
    for number, cells in enumerate(rows, 1):
        place = f"{name}: row {number}"
        named = zip(columns, cells, strict=True)
        values = {
            column: _text(cell, column, selection, place=place)
            for column, cell in named
            if not (is_missing(cell) and selection.allows_null(column))
        }
        yield TableRow(number, values)
    if not number:
        raise TableError(f"{name}: the table has no rows. Give it at least one.")


def _text(cell: Any, column: str, selection: ColumnSelection, *, place: str) -> str:
    if _is_number(cell) and (number := selection.number_text(_plain_number(cell), column)):
        return number
    if not isinstance(cell, str):
        raise TableError(
            f"{place}: column {column!r} holds {_kind(cell)} where {selection.expected(column)} "
            "was expected. Fill it with text, or leave the row out."
        )
    try:
        cell.encode()
    except UnicodeEncodeError as error:
        raise TableError(
            f"{place}: column {column!r} holds a lone surrogate, which is half a character. "
            "Write the character whole."
        ) from error
    return cell


def _is_number(cell: Any) -> bool:
    """Tell numbers, those of numpy among them, from other cells; numpy's are no `Number`."""
    return not isinstance(cell, bool) and (hasattr(cell, "__index__") or isinstance(cell, float))


def _plain_number(cell: Any) -> float:
    return float(cell) if isinstance(cell, float) else int(cell)


def _kind(cell: Any) -> str:
    if is_missing(cell):
        return "no value"
    is_fraction = isinstance(cell, float) and not cell.is_integer()
    return describe_number(cell) if is_fraction else f"a value of type {type(cell).__name__}"

"""Pairs of source and target, as a table has them: reading, writing, data frames, fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, overload

from annoseq.config import (
    DOCUMENT_COLUMN,
    OFFSET_COLUMN,
    SOURCE_COLUMN,
    TARGET_COLUMN,
    ColumnsConfig,
)
from annoseq.data.frame_table import load_datasets, read_frame, read_hugging_face_dataset
from annoseq.data.patients import PatientRegister
from annoseq.data.span_html import render_pairs_html
from annoseq.data.streams import source_name
from annoseq.data.table_rows import PairColumns, read_offset
from annoseq.data.tables import read_rows, write_rows
from annoseq.errors import TableError, count_noun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import pandas as pd
    from datasets import Dataset

    from annoseq.data.frame_table import HuggingFaceDataset
    from annoseq.data.patients import PatientRule
    from annoseq.data.splits import TextPair
    from annoseq.data.table_rows import TableFormat, TableRow


@dataclass(frozen=True, slots=True, repr=False)
class Pair:
    """A source text and its target text, with where they come from.

    `row` counts the rows of the table from 1, its header not counted. `document` and
    `start` (the source's offset in its document, in code points) are None where the table
    does not have them, `patient` where it was not asked for.
    """

    source: str
    target: str
    row: int
    document: str | None = None
    start: int | None = None
    patient: str | None = None

    def __repr__(self) -> str:  # without the texts, which are private
        target = count_noun(len(self.target), "character")
        return f"<Pair: row {self.row}, {len(self.source):,} and {target}>"


_DEFAULT_COLUMNS = ColumnsConfig()
_HTML_ROWS = 5
"""Number of rows in the table that a notebook shows."""


class Pairs(Sequence[Pair]):
    """Pairs in the order of their table.

    `name` is the table's, as given, for messages; `columns` are those that it was read from.
    """

    __slots__ = ("_name", "_pairs", "columns")

    def __init__(
        self, pairs: Iterable[Pair], *, name: str, columns: ColumnsConfig | None = None
    ) -> None:
        self._pairs = tuple(pairs)
        self._name = name
        self.columns = columns or _DEFAULT_COLUMNS

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        source: str = SOURCE_COLUMN,
        target: str = TARGET_COLUMN,
        document: str | None = None,
        offset: str | None = None,
        name: str = "the data frame",
    ) -> Pairs:
        """Read pairs from a data frame; the options name its columns, as in `read_pairs`.

        Rows count from 1, whatever the index of the frame is.

        Raises:
            TableError: there are no rows, a column is missing or doubled, or a cell does not hold
                text (a missing value among them).
        """
        columns = ColumnsConfig(source=source, target=target, document=document, offset=offset)
        chosen = PairColumns.choose(columns)
        rows = read_frame(frame, chosen.selection(), name=name)
        return cls(_to_pairs(chosen, rows, name=name), name=name, columns=columns)

    @classmethod
    def from_dataset(
        cls,
        dataset: HuggingFaceDataset,
        *,
        source: str = SOURCE_COLUMN,
        target: str = TARGET_COLUMN,
        document: str | None = None,
        offset: str | None = None,
        name: str = "the dataset",
    ) -> Pairs:
        """Read pairs from one split of a Hugging Face dataset, as `from_frame` does.

        Raises:
            TableError: as `from_frame`, or there are several splits.
        """
        columns = ColumnsConfig(source=source, target=target, document=document, offset=offset)
        chosen = PairColumns.choose(columns)
        rows = read_hugging_face_dataset(dataset, chosen.selection(), name=name)
        return cls(_to_pairs(chosen, rows, name=name), name=name, columns=columns)

    def __repr__(self) -> str:  # without the texts, which are private
        return f"Pairs({self.name!r}, {count_noun(len(self), 'pair')})"

    def __len__(self) -> int:
        return len(self._pairs)

    def __iter__(self) -> Iterator[Pair]:
        return iter(self._pairs)

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> Pairs: ...
    def __getitem__(self, index: int | slice) -> Pair | Pairs:
        if isinstance(index, slice):
            return Pairs(self._pairs[index], name=self._name, columns=self.columns)
        return self._pairs[index]

    @property
    def name(self) -> str:
        """The table's name, as given."""
        return self._name

    def _repr_html_(self) -> str:
        """Render the first rows as an HTML table, spans as coloured marks."""
        rows = [(pair.row, pair.source, pair.target) for pair in self._pairs[:_HTML_ROWS]]
        return render_pairs_html(rows, caption=repr(self))

    def head(self, n: int = 5) -> pd.DataFrame:
        """Show the first `n` pairs."""
        return self[:n].to_frame()

    def tail(self, n: int = 5) -> pd.DataFrame:
        """Show the last `n` pairs."""
        return self[-n:].to_frame() if n else self[:0].to_frame()

    def to_frame(self) -> pd.DataFrame:
        """Return a data frame with one row per pair, indexed by its row in the table.

        Its columns have the default names, so that `from_frame` reads them.
        """
        import pandas as pd

        rows = pd.Index([pair.row for pair in self._pairs], name="row")
        return pd.DataFrame(self._columns(), index=rows)

    def to_dataset(self) -> Dataset:
        """Return a Hugging Face dataset with the columns of `to_frame`.

        Raises:
            OptionError: the library `datasets` is not installed.
        """
        dataset: Dataset = load_datasets().Dataset.from_dict(self._columns())
        return dataset

    def _columns(self) -> dict[str, list[str] | list[str | None] | list[int | None]]:
        """Return the columns by their default names; optional ones only if they hold anything."""
        columns: dict[str, list[str] | list[str | None] | list[int | None]] = {
            SOURCE_COLUMN: [pair.source for pair in self._pairs],
            TARGET_COLUMN: [pair.target for pair in self._pairs],
        }
        if any(pair.document is not None for pair in self._pairs):
            columns[DOCUMENT_COLUMN] = [pair.document for pair in self._pairs]
        if any(pair.start is not None for pair in self._pairs):
            columns[OFFSET_COLUMN] = [pair.start for pair in self._pairs]
        return columns

    def fingerprint(self) -> str:
        """Return the SHA-256 of all sources, targets and documents, in hexadecimal."""
        return fingerprint_pairs(self._pairs)


def fingerprint_pairs(pairs: Iterable[TextPair]) -> str:
    """Return the SHA-256 of all sources, targets and documents, in hexadecimal.

    Each is hashed with its length in front, so that no two different tables run together
    into the same bytes.
    """
    digest = hashlib.sha256()
    for pair in pairs:
        for text in (pair.source, pair.target, pair.document):
            data = b"" if text is None else text.encode("utf-8", "surrogatepass")
            digest.update((-1 if text is None else len(data)).to_bytes(8, "big", signed=True))
            digest.update(data)
    return digest.hexdigest()


def read_pairs(
    path: str | Path,
    *,
    source: str = SOURCE_COLUMN,
    target: str = TARGET_COLUMN,
    document: str | None = None,
    offset: str | None = None,
    format: TableFormat | None = None,  # noqa: A002
    delimiter: str | None = None,
    encoding: str | None = None,
) -> Pairs:
    """Read a table of pairs; the options name its columns.

    `document` and `offset` must be there if named. If not, `doc_id` and `start` are used
    where the table has them. `delimiter` is that of CSV, by default the comma unless the header
    leaves no doubt, and `encoding` that of text, by default UTF-8, or UTF-16 with its mark.

    Raises:
        OptionError: `format` is none of the known ones.
        TableError: the table cannot be read, has no rows, lacks a column, or has a row that
            is not well-formed.
    """
    columns = ColumnsConfig(
        source=source,
        target=target,
        document=document,
        offset=offset,
        delimiter=delimiter,
        encoding=encoding,
    )
    pairs = stream_pairs(path, columns, format=format)
    return Pairs(pairs, name=source_name(path), columns=columns)


def stream_pairs(
    path: str | Path,
    columns: ColumnsConfig = _DEFAULT_COLUMNS,
    *,
    format: TableFormat | None = None,  # noqa: A002
    on_bad: Callable[[TableError], None] | None = None,
    requires_keys: bool = True,
    patients: PatientRule | None = None,
) -> Iterator[Pair]:
    """Read a table of pairs as `read_pairs` does, one pair at a time.

    Without `requires_keys`, the columns `document` and `offset` may be absent, though named. With
    `on_bad`, it is called with the error of a row that cannot be read, which is left out.
    `patients` tells the patient of each row.

    Raises:
        OptionError: `format` is none of the known ones.
        TableError: as `read_pairs` does, most when that row is reached.
    """
    chosen = PairColumns.choose(columns, patient=patients.column if patients else None)
    if not requires_keys:
        chosen = chosen._replace(required=())
    selection = chosen.selection()
    rows = read_rows(
        path,
        columns=selection.texts,
        keys=selection.keys,
        optional=selection.optional,
        format=format,
        delimiter=columns.delimiter,
        encoding=columns.encoding,
        on_bad=on_bad,
    )
    yield from _to_pairs(chosen, rows, name=source_name(path), patients=patients)


def write_pairs(
    pairs: Iterable[Pair], path: str | Path, *, overwrite: bool, bom: bool = False
) -> None:
    """Write a table of pairs, in the format of `path`'s suffix.

    Its columns are `doc_id`, `start`, `orig_text` and `annotated_text`, the first two only
    if the first pair has them. With `bom`, CSV begins with a byte order mark, for Excel.

    Raises:
        OptionError: the format has no byte order mark.
        OutputError: the file exists and `overwrite` is False, or it cannot be written.
        TableError: the suffix is not known, a text cannot be written as UTF-8, or only some
            pairs have a document or a start.
    """
    remaining = iter(pairs)
    first = next(remaining, None)
    everything = remaining if first is None else chain([first], remaining)
    columns = list(_present(first)) if first else [SOURCE_COLUMN, TARGET_COLUMN]
    write_rows(
        (_fields(pair, columns, name=str(path)) for pair in everything),
        path,
        columns={column: int if column == OFFSET_COLUMN else str for column in columns},
        overwrite=overwrite,
        bom=bom,
    )


def _present(pair: Pair) -> dict[str, str | int]:
    fields = {
        DOCUMENT_COLUMN: pair.document,
        OFFSET_COLUMN: pair.start,
        SOURCE_COLUMN: pair.source,
        TARGET_COLUMN: pair.target,
    }
    return {column: field for column, field in fields.items() if field is not None}


def _fields(pair: Pair, columns: list[str], *, name: str) -> list[str | int]:
    fields = _present(pair)
    if list(fields) != columns:
        odd = sorted(set(fields) ^ set(columns))[0]
        raise TableError(
            f"{name}: the pair of row {pair.row} or the first pair has a {odd!r}, but not both. "
            "Give it to every pair or to none."
        )
    return list(fields.values())


def _to_pairs(
    columns: PairColumns,
    rows: Iterable[TableRow],
    *,
    name: str,
    patients: PatientRule | None = None,
) -> Iterator[Pair]:
    """Make a pair of each row."""
    offset = columns.offset
    register = PatientRegister(patients) if patients else None
    for row in rows:
        document = row.values.get(columns.document) if columns.document else None
        is_required = offset in columns.required
        yield Pair(
            source=row.values[columns.source],
            target=row.values[columns.target],
            row=row.number,
            document=document,
            start=read_offset(row, offset, is_required=is_required, name=name),
            patient=register.add(row, document, name=name) if register else None,
        )

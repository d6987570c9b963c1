"""Input texts for annotation: streamed from a table, a file, a folder or standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator
from pydantic_core import PydanticKnownError

from annoseq.config import DOCUMENT_COLUMN, OFFSET_COLUMN
from annoseq.data.streams import is_standard_input, read_text, source_name
from annoseq.data.table_rows import TableHeader, check_kept, parse_offset
from annoseq.data.tables import read_rows, table_format
from annoseq.errors import FormatError, OptionError, TableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from annoseq.data.table_rows import TableFormat, TableRow

InputFormat = Literal["text", "csv", "tsv", "jsonl", "parquet", "xlsx"]


class InputText(NamedTuple):
    """A text with its id: the number of its row, or the path of its file in the folder.

    `document` and `start` (its offset there, in code points) are those of a row that has them;
    `kept` are the columns of the row that are only passed on.
    """

    id: str
    text: str
    document: str | None = None
    start: int | None = None
    kept: dict[str, Any] | None = None


def is_text_input(
    source: Path, format_: InputFormat | None, *, advice: str = "add --input-format text"
) -> bool:
    """Return True if `source` is whole texts (a .txt file, a folder of them, a pipe), not a table.

    `advice` is for a file whose name does not say which.

    Raises:
        TableError: there is no such file or folder.
        OptionError: neither `format_` nor the name of the file says which.
    """
    if format_ is not None:
        return format_ == "text"
    if is_standard_input(source) or source.is_dir() or source.suffix.lower() == ".txt":
        return True
    try:
        table_format(source)
    except TableError as error:
        if not source.exists():
            raise TableError(
                f"{source}: there is no such file or folder. Check its name."
            ) from error
        raise OptionError(f"{error} If it is one whole text, {advice}.") from error
    return False


def read_texts(
    source: str | Path,
    *,
    column: str,
    format_: InputFormat | None = None,
    keep: Sequence[str] | None = (),
    delimiter: str | None = None,
    encoding: str | None = None,
    on_bad: Callable[[TableError], None] | None = None,
    as_table: bool = False,
    reserved: frozenset[str] = frozenset(),
) -> Iterator[InputText]:
    """Read texts lazily.

    A folder's `.txt` files come in the order of their paths. The columns `keep` of a table are
    passed on, all others if it is None; `as_table` allows none that the first row lacks, and none
    has a name that is `reserved`. With `on_bad`, it is called with the error of a row or file that
    cannot be read, which is left out.

    Raises:
        TableError: a row or a file cannot be read.
        OptionError: a folder without `.txt` files, a name that does not say what it is, or a table
            that has a reserved column to pass on.
    """
    if not is_text_input(Path(source), format_):
        optional = [name for name in (DOCUMENT_COLUMN, OFFSET_COLUMN) if name != column]
        table, found = _table_format(format_), TableHeader()
        for row in read_rows(
            source,
            columns=[column],
            optional=optional,
            keep=keep,
            format=table,
            delimiter=delimiter,
            encoding=encoding,
            on_bad=on_bad,
            header=found,
        ):
            try:
                if as_table:
                    check_kept(row, found.kept, name=source_name(source))
                _check_reserved(row, reserved, found, name=source_name(source))
            except TableError as error:
                if on_bad is None:
                    raise
                on_bad(error)
            else:
                yield _from_row(row, column)
        return
    for path, name in _text_files(Path(source)):
        try:
            yield InputText(_check_name(name), read_whole_text(path))
        except TableError as error:
            if on_bad is None:
                raise
            error.document = name
            on_bad(error)


def count_texts(
    source: Path,
    *,
    column: str,
    format_: InputFormat | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
) -> int | None:
    """Return the number of texts, for a progress bar, or None if they can be read only once."""
    if is_standard_input(source):
        return None
    if is_text_input(source, format_):
        return len(_text_files(source))
    table = _table_format(format_)
    rows = read_rows(
        source,
        columns=[column],
        format=table,
        delimiter=delimiter,
        encoding=encoding,
        on_bad=lambda _: None,
    )
    return sum(1 for _ in rows)


def _from_row(row: TableRow, column: str) -> InputText:
    text = InputText(str(row.number), row.values[column], kept=row.kept or None)
    if column == DOCUMENT_COLUMN or not (document := row.values.get(DOCUMENT_COLUMN)):
        return text
    start = "" if column == OFFSET_COLUMN else row.values.get(OFFSET_COLUMN, "")
    # A column of this name may hold something else: a place is a whole number.
    return text._replace(document=document, start=parse_offset(start))


def _check_reserved(
    row: TableRow, reserved: frozenset[str], header: TableHeader, *, name: str
) -> None:
    """Check that a row keeps no column whose name the output has of its own.

    Raises:
        OptionError: the table has one.
        TableError: this row has one, and the first row has not.
    """
    if not (clashes := sorted(reserved & row.kept.keys())):
        return
    found = f"the output has a column {clashes[0]!r} of its own"
    if clashes[0] in header.kept:
        raise OptionError(
            f"--keep-columns: {found}. Rename this column of the table, or name the columns to "
            "keep."
        )
    raise TableError(
        f"{name}: row {row.number}: {found}. Rename this column, or name those to keep with "
        "--keep-columns."
    )


def _table_format(format_: InputFormat | None) -> TableFormat | None:
    return None if format_ == "text" else format_


def _text_files(source: Path) -> list[tuple[Path, str]]:
    if not source.is_dir():
        return [(source, source_name(source))]
    paths = sorted(
        path for path in source.rglob("*") if path.suffix.lower() == ".txt" and path.is_file()
    )
    if not paths:
        raise OptionError(f"{source}: there is no .txt file in this folder or below it.")
    return [(path, path.relative_to(source).as_posix()) for path in paths]


def _check_name(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise TableError(f"{name!r}: this file's name is not UTF-8. Rename the file.") from error
    return name


def read_whole_text(path: str | Path) -> str:
    """Read a whole text as it is: line ends and a byte order mark are part of it.

    Raises:
        TableError: it cannot be read, or is not UTF-8.
    """
    try:
        return read_text(path, keep_bom=True, allow_nul=True)
    except FormatError as error:
        raise TableError(str(error)) from error


def check_texts(texts: object) -> list[str]:
    """Return texts as a list.

    Raises:
        OptionError: this is neither a text nor an iterable of texts; no text is quoted.
    """
    if isinstance(texts, str):
        texts = [texts]
    if not isinstance(texts, Iterable) or isinstance(texts, bytes | Mapping) or _is_frame(texts):
        raise OptionError(
            f"cannot annotate a {type(texts).__name__}. Give a text, or a list or pandas Series of "
            "texts, such as a column of a data frame."
        )
    checked = list(texts)
    for index, text in enumerate(checked):
        if not isinstance(text, str):
            raise OptionError(
                f"cannot annotate element {index}: it is a {type(text).__name__}, not a text. "
                "Give texts only; of a data frame's column, fill missing values first."
            )
        if not is_well_formed(text):
            raise OptionError(
                f"cannot annotate element {index}: it holds a lone surrogate, which is half a "
                "character. Decode the text again, or leave it out."
            )
    return checked


def is_well_formed(text: str) -> bool:
    """Return True if a text holds no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_well_formed(text: str) -> str:
    """Raise the error that pydantic has for a text with half a character, which it lets pass."""
    if not is_well_formed(text):
        raise PydanticKnownError("string_unicode")
    return text


WellFormedText = Annotated[str, AfterValidator(_check_well_formed)]
"""Text in JSON, which can hold half a character, and nothing else can."""


def _is_frame(texts: object) -> bool:
    pandas = sys.modules.get("pandas")  # slow to import, and not needed without a frame
    return pandas is not None and isinstance(texts, pandas.DataFrame)

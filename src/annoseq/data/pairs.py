"""Pairs of source and target: reading, writing, fingerprint and task inference.

annotate: the target is the source plus tags. translate: the target is anything else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, overload

from annoseq.config import DOCUMENT_COLUMN, OFFSET_COLUMN, SOURCE_COLUMN, TARGET_COLUMN, Task
from annoseq.data.alignment import align
from annoseq.data.markup import Span, Tag, scan
from annoseq.data.streams import source_name
from annoseq.data.tables import read_rows, write_rows
from annoseq.errors import MarkupError, MismatchError, PairsError, TableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import pandas as pd

    from annoseq.data.rows import TableFormat, TableRow


@dataclass(frozen=True, slots=True)
class Pair:
    """A source text and its target text, with where they come from.

    `row` counts the rows of the table from 1, its header not counted. `document` and
    `start` (the source's offset in its document, in code points) are None where the table
    does not have them.
    """

    source: str
    target: str
    row: int
    document: str | None = None
    start: int | None = None


_NAMED = 5
"""How many unusable rows an error names; all are counted."""

_OFFSET = re.compile("[0-9]{1,18}")


class Pairs(Sequence[Pair]):
    """Pairs in the order of their table; `name` is the table's, as given, for messages."""

    __slots__ = ("_name", "_pairs")

    def __init__(self, pairs: Iterable[Pair], *, name: str) -> None:
        self._pairs = tuple(pairs)
        self._name = name

    def __repr__(self) -> str:  # without the texts, which are private
        return f"Pairs({self.name!r}, {len(self)} pairs)"

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
            return Pairs(self._pairs[index], name=self._name)
        return self._pairs[index]

    @property
    def name(self) -> str:
        """The table's name, as given."""
        return self._name

    @property
    def has_documents(self) -> bool:
        """Whether every pair says which document it is from."""
        return bool(self._pairs) and all(pair.document is not None for pair in self._pairs)

    def head(self, n: int = 5) -> pd.DataFrame:
        """Show the first `n` pairs."""
        return self[:n].to_frame()

    def tail(self, n: int = 5) -> pd.DataFrame:
        """Show the last `n` pairs."""
        return self[-n:].to_frame() if n else self[:0].to_frame()

    def to_frame(self) -> pd.DataFrame:
        """Return a data frame with one row per pair, indexed by its row in the table."""
        import pandas as pd

        columns: dict[str, list[str] | list[str | None] | list[int | None]] = {
            "source": [pair.source for pair in self._pairs],
            "target": [pair.target for pair in self._pairs],
        }
        if any(pair.document is not None for pair in self._pairs):
            columns["document"] = [pair.document for pair in self._pairs]
        if any(pair.start is not None for pair in self._pairs):
            columns["start"] = [pair.start for pair in self._pairs]
        return pd.DataFrame(columns, index=pd.Index([p.row for p in self._pairs], name="row"))

    def fingerprint(self) -> str:
        """Return the SHA-256 of all sources, targets and documents, in hexadecimal."""
        return fingerprint(self._pairs)


def fingerprint(pairs: Iterable[Pair]) -> str:
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
) -> Pairs:
    """Read a table of pairs; the options name its columns.

    `document` and `offset` must be there if named. If not, `doc_id` and `start` are used
    where the table has them.

    Raises:
        OptionError: `format` is none of the known ones.
        TableError: the table cannot be read, has no rows, lacks a column, or has a row that
            is not well-formed.
    """
    pairs = stream_pairs(
        path, source=source, target=target, document=document, offset=offset, format=format
    )
    return Pairs(pairs, name=source_name(path))


def stream_pairs(
    path: str | Path,
    *,
    source: str = SOURCE_COLUMN,
    target: str = TARGET_COLUMN,
    document: str | None = None,
    offset: str | None = None,
    format: TableFormat | None = None,  # noqa: A002
) -> Iterator[Pair]:
    """Read a table of pairs as `read_pairs` does, one pair at a time.

    Raises:
        OptionError: `format` is none of the known ones.
        TableError: as `read_pairs` does, most when that row is reached.
    """
    keys = [column for column in (document, offset) if column is not None]
    taken = {source, target, *keys}
    document = document or _unless_taken(DOCUMENT_COLUMN, taken)
    offset = offset or _unless_taken(OFFSET_COLUMN, taken)
    optional = [column for column in (document, offset) if column is not None]
    name = source_name(path)
    rows = read_rows(path, columns=(source, target), keys=keys, optional=optional, format=format)
    for row in rows:
        yield Pair(
            source=row.values[source],
            target=row.values[target],
            row=row.number,
            document=row.values.get(document) if document else None,
            start=_start(row, offset, name=name) if offset and offset in row.values else None,
        )


def write_pairs(pairs: Iterable[Pair], path: str | Path, *, overwrite: bool) -> None:
    """Write a table of pairs, in the format of `path`'s suffix.

    Its columns are `doc_id`, `start`, `orig_text` and `annotated_text`, the first two only
    if the first pair has them.

    Raises:
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


def _unless_taken(column: str, taken: set[str]) -> str | None:
    return None if column in taken else column


def _start(row: TableRow, column: str, *, name: str) -> int:
    if not _OFFSET.fullmatch(row.values[column]):
        raise TableError(
            f"{name}: row {row.number}: column {column!r} does not hold a whole number from 0. "
            "Give the place of the text in its document, in characters."
        )
    return int(row.values[column])


def align_pairs(pairs: Sequence[Pair], *, name: str = "") -> list[list[Span]]:
    """Find the spans of every pair; `name` is their table's, for the message.

    Raises:
        PairsError: names the first rows whose target is not their source plus tags.
    """
    spans, problems = _align_all(pairs)
    if problems:
        place = f"{name}: " if name else ""
        listed = [f"  row {row}: {error}" for row, error in list(problems.items())[:_NAMED]]
        if len(problems) > _NAMED:
            listed.append(f"  and {len(problems) - _NAMED} more")
        raise PairsError(
            "\n".join(
                [
                    f"{place}{len(problems)} of {len(pairs)} rows cannot be used:",
                    *listed,
                    "Mend them (`annoseq check` shows each), or leave them out with --skip-bad.",
                ]
            )
        )
    return spans


def find_unusable(pairs: Iterable[Pair]) -> dict[int, MarkupError | MismatchError]:
    """Return by its number what is wrong with each row that is not its source plus tags."""
    return _align_all(pairs)[1]


def _align_all(
    pairs: Iterable[Pair],
) -> tuple[list[list[Span]], dict[int, MarkupError | MismatchError]]:
    spans: list[list[Span]] = []
    problems: dict[int, MarkupError | MismatchError] = {}
    for pair in pairs:
        try:
            spans.append(align(pair.source, pair.target).spans)
        except (MarkupError, MismatchError) as error:
            problems[pair.row] = error
    return spans, problems


def infer_task(pairs: Iterable[Pair]) -> Task:
    """Tell what the pairs are for.

    The task is "annotate" if a target holds a tag, and at least half of the targets are
    their source plus well-nested tags.

    >>> from annoseq.data.pairs import Pair
    >>> infer_task([Pair("Dr. Ames", "Dr. {{NAME}}Ames{{/NAME}}", row=1)])
    'annotate'
    """
    rows = aligned = 0
    tag_is_seen = False
    for pair in pairs:
        rows += 1
        aligned += _is_aligned(pair)
        tag_is_seen = tag_is_seen or has_tag(pair.target)
    return "annotate" if tag_is_seen and 2 * aligned >= rows else "translate"


def has_tag(text: str) -> bool:
    """Tell whether a text holds a tag.

    >>> has_tag("{{NAME}}Ames"), has_tag(r"Dear {{\\NAME}}")
    (True, False)
    """
    return any(isinstance(piece, Tag) for piece in scan(text))


def _is_aligned(pair: Pair) -> bool:
    try:
        align(pair.source, pair.target)
    except (MarkupError, MismatchError):
        return False
    return True

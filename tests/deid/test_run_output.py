"""Columns of redacted tables."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annoseq.deid.document_source import DocumentSource
from annoseq.deid.redaction import RedactedDocument
from annoseq.deid.run_output import OutputLayout, stream_redacted
from annoseq.errors import TableError
from tests.deid.documents import redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from annoseq.errors import AnnoseqError


def write_table(
    source: Path,
    *,
    keep: Sequence[str] | None = (),
    column: str = "text",
    on_bad: Callable[[AnnoseqError], None] | None = None,
    first: int = 0,
) -> bytes:
    """Write the documents of a table from one on, without any span."""
    documents = DocumentSource(source, column, keep=keep, on_bad=on_bad)
    layout = OutputLayout.of(source, is_text=False, column=column, document="doc_id", format_=None)

    def redacted() -> Iterator[RedactedDocument]:
        for number, document in enumerate(documents.read()):
            texts = tuple(redactor("label").redact(document))
            if number >= first:
                yield RedactedDocument(document.id, texts, is_named=document.is_named)

    stream = io.BytesIO()
    stream_redacted(stream, layout, redacted(), documents.header)
    return stream.getvalue()


MIXED = {
    "t.csv": ("doc_id,text\n,a\nd2,b\n", '"doc_id","text"\n"","a"\n"d2","b"\n'),
    "t.jsonl": (
        '{"doc_id": null, "text": "a"}\n{"doc_id": "d2", "text": "b"}\n',
        '{"doc_id": "", "text": "a"}\n{"doc_id": "d2", "text": "b"}\n',
    ),
}


@pytest.mark.parametrize("name", MIXED)
def test_a_document_column_stays_whatever_its_first_row_holds(name: str, tmp_path: Path) -> None:
    content, expected = MIXED[name]
    (tmp_path / name).write_text(content)
    assert write_table(tmp_path / name).decode() == expected


def test_the_header_is_that_of_the_table_if_nothing_is_to_do(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("day,doc_id,text\nx,1,a\n")
    written = write_table(tmp_path / "t.csv", keep=None, first=9)
    assert written == b'"doc_id","text","day"\n'


def test_a_text_column_of_this_name_is_no_document_column(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("doc_id\na\n")
    assert write_table(tmp_path / "t.csv", column="doc_id") == b'"doc_id"\n"a"\n'


@pytest.mark.parametrize(
    ("values", "type_", "expected"),
    [
        (pa.array([None, 5, 7]), pa.int64(), [None, 5, 7]),
        (pa.array([5, 5, None], pa.uint8()).dictionary_encode(), pa.int64(), [5, 5, None]),
        (pa.array([None, 2**63], pa.uint64()), pa.string(), [None, str(2**63)]),
        (pa.array([None, None]), pa.string(), [None, None]),
        (pa.array([None, 0.5, 7.0]), pa.string(), [None, "0.5", "7.0"]),
        (pa.array([None, True]), pa.string(), [None, "true"]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else None,
)
def test_kept_columns_of_parquet_have_the_type_of_their_table(
    values: Any, type_: Any, expected: list[object], tmp_path: Path
) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"n": values, "text": ["a"] * len(values)}), path)
    column = pq.read_table(io.BytesIO(write_table(path, keep=None))).column("n")
    assert (column.type, column.to_pylist()) == (type_, expected)


def test_a_column_that_the_first_row_lacks_is_named_with_its_row(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"text": "a", "x": 1}\n{"text": "b", "y": 2}\n{"text": ""}')
    with pytest.raises(TableError) as raised:
        write_table(path, keep=None)
    assert str(raised.value) == (
        f"{path}: row 2 has the column 'y', which the first row lacks. Name the columns with "
        "--keep-columns, or give every row the same."
    )
    errors: list[AnnoseqError] = []
    written = write_table(path, keep=None, on_bad=errors.append)
    assert written == b'{"text": "a", "x": 1}\n{"text": "", "x": null}\n'
    assert len(errors) == 1

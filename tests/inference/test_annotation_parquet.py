"""Annotations as a Parquet table: types of kept columns."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annoseq.inference.annotation_parquet import AnnotationParquet, write_parquet_annotations

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, values: list[Any]) -> tuple[str, list[Any]]:
    """Write a table with one kept column; return its type and values."""
    lines, path = folder / "lines.jsonl", folder / "table.parquet"
    records = [{"id": str(row), "text": "", "n": value} for row, value in enumerate(values)]
    lines.write_text("".join(json.dumps(record) + "\n" for record in records))
    write_parquet_annotations(lines, path, kept=["n"], overwrite=True)
    column = pq.read_table(path)["n"]
    return str(column.type), column.to_pylist()


@pytest.mark.parametrize(
    ("values", "type_", "expected"),
    [
        ([None, 3, -1], "int64", [None, 3, -1]),
        ([1, 2.5, None], "double", [1.0, 2.5, None]),
        ([2**63 - 1, -(2**63)], "int64", [2**63 - 1, -(2**63)]),
        ([2**63, 1], "string", [str(2**63), "1"]),
        ([2**53 + 1, 0.5], "string", [str(2**53 + 1), "0.5"]),
        ([1, "x", None], "string", ["1", "x", None]),
        ([True, 1], "string", ["true", "1"]),
        ([{"a": 1}, ["é"]], "string", ['{"a": 1}', '["é"]']),
        ([None, None], "string", [None, None]),
        ([], "string", []),
    ],
)
def test_a_kept_column_has_the_narrowest_type_that_holds_all_its_values(
    values: list[Any], type_: str, expected: list[Any], tmp_path: Path
) -> None:
    assert write(tmp_path, values) == (type_, expected)


@pytest.mark.parametrize("value", [1, "no number"])
def test_a_table_that_is_left_by_an_error_is_closed(value: Any, tmp_path: Path) -> None:
    def fill(table: AnnotationParquet) -> None:
        with table:
            table.add({"id": "1", "n": value})
            if value == 1:
                raise KeyboardInterrupt

    with (tmp_path / "part.parquet").open("wb") as stream:
        table = AnnotationParquet(stream, ["n"], {"n": "whole"})
        with pytest.raises((KeyboardInterrupt, pa.ArrowInvalid)):
            fill(table)
        assert table._writer.is_open is False

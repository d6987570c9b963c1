from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annoseq.data.table_rows import TableRow
from annoseq.data.tables import read_rows
from annoseq.errors import TableError

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = ["0012", "", "NA", "a\r\nb\r", "\0", " é\U0001f600 "]


def write(folder: Path, columns: dict[str, Any]) -> Path:
    path = folder / "t.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=4)
    return path


def message(path: Path, **options: Any) -> str:
    with pytest.raises(TableError) as caught:
        list(read_rows(path, **options))
    return str(caught.value).replace(str(path), path.name)


@pytest.mark.parametrize(
    "kind",
    [
        *[pa.string(), pa.large_string(), pa.string_view()],
        *[pa.dictionary(pa.int32(), pa.string()), pa.dictionary(pa.int8(), pa.large_string())],
    ],
    ids=str,
)
def test_every_type_of_text_is_read(kind: Any, tmp_path: Path) -> None:
    path = write(tmp_path, {"x": list(range(6)), "a": pa.array(TEXTS).cast(kind)})
    rows = list(read_rows(path, columns=["a"]))
    assert rows == [TableRow(number, {"a": text}) for number, text in enumerate(TEXTS, 1)]


def test_what_pandas_writes_is_read(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": TEXTS, "b": pd.Categorical(TEXTS), "n": range(6)})
    frame.to_parquet(tmp_path / "t.parquet")
    rows = list(read_rows(tmp_path / "t.parquet", columns=["a", "b"], optional=["n", "m"]))
    assert [row.values for row in rows] == [
        {"a": text, "b": text, "n": str(n)} for n, text in enumerate(TEXTS)
    ]


def test_rows_are_counted_through_batches_and_groups(tmp_path: Path) -> None:
    path = write(tmp_path, {"a": [str(n) for n in range(3000)]})
    rows = list(read_rows(path, columns=["a"]))
    assert [(row.number - 1, row.values["a"]) for row in rows] == [(n, str(n)) for n in range(3000)]


def test_a_name_with_a_dot_is_one_column(tmp_path: Path) -> None:
    path = write(tmp_path, {"a.b": ["x"], "a": pa.array([{"b": "y"}])})
    assert list(read_rows(path, columns=["a.b"])) == [TableRow(1, {"a.b": "x"})]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "int64"),
        ([1.5], "double"),
        ([b"x"], "binary"),
        ([["x"]], "list<"),
        ([None], "null"),
    ],
)
def test_another_type_is_named(values: list[object], kind: str, tmp_path: Path) -> None:
    found = message(write(tmp_path, {"a": values}), columns=["a"])
    assert found.startswith(f"t.parquet: column 'a' is of type {kind}")
    assert found.endswith(" where a text was expected. Write it as strings.")


def test_a_key_may_be_a_whole_number_but_no_other_number(tmp_path: Path) -> None:
    columns = {"a": ["x"], "k": [7], "g": [7.0], "f": [7.5], "n": [float("nan")], "b": [True]}
    path = write(tmp_path, columns)
    assert list(read_rows(path, columns=["a"], keys=["k", "g"], optional=["n"])) == [
        TableRow(1, {"a": "x", "k": "7", "g": "7"})
    ]
    for key, found in [("f", "a fraction"), ("n", "NaN (no number)")]:
        assert message(path, columns=["a"], keys=[key]) == (
            f"t.parquet: row 1: column {key!r} holds {found} where a text or a whole number was "
            "expected. Fill it, or leave the row out."
        )
    assert message(path, columns=["a"], keys=["b"]) == (
        "t.parquet: column 'b' is of type bool where a text or a whole number was expected. "
        "Write it as strings."
    )


@pytest.mark.parametrize("kind", [pa.string(), pa.dictionary(pa.int8(), pa.string())], ids=str)
def test_a_null_is_named_by_its_row(kind: Any, tmp_path: Path) -> None:
    path = write(tmp_path, {"a": pa.array(["x"] * 2000 + [None]).cast(kind)})
    assert message(path, columns=["a"]) == (
        "t.parquet: row 2001: column 'a' is null where a value was expected. "
        "Fill it, or leave the row out."
    )


def test_text_that_is_not_utf_8_is_named_by_its_row(tmp_path: Path) -> None:
    path = write(tmp_path, {"a": pa.array([b"x", b"caf\xe9"], pa.binary()).view(pa.string())})
    assert message(path, columns=["a"]) == (
        "t.parquet: row 2: column 'a' holds text that is not UTF-8. "
        "Write it again as UTF-8 strings."
    )


def test_kept_lists_and_structs_are_those_of_json_and_nan_is_null(tmp_path: Path) -> None:
    columns: dict[str, Any] = {
        "a": ["x"],
        "nan": [float("nan")],
        "inf": [float("-inf")],
        "list": [[0.5, float("nan"), None]],
        "struct": [{"on": date(2024, 2, 29), "by": ["é"]}],
        "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
        "time": pa.array([3_600_000_000_001], pa.time64("ns")),
    }
    [row] = read_rows(write(tmp_path, columns), columns=["a"], keep=None)
    assert row.kept == {
        "nan": None,
        "inf": "-inf",
        "list": [0.5, None, None],
        "struct": {"on": "2024-02-29", "by": ["é"]},
        "map": [["k", 1]],
        "time": "01:00:00.000000001",
    }


@pytest.mark.parametrize("value", [b"x", [b"x"], {"bytes": b"x"}], ids=str)
def test_kept_bytes_are_named_by_their_row(value: object, tmp_path: Path) -> None:
    path = write(tmp_path, {"a": ["x", "y"], "b": [None, value]})
    assert message(path, columns=["a"], keep=None) == (
        "t.parquet: row 2: column 'b' holds bytes, which have no place in other formats. "
        "Name the columns to keep, or write it as strings."
    )


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (pa.array([10**9], pa.date32()), "date32[day]"),
        (pa.array([10**15], pa.timestamp("ms")), "timestamp[ms]"),
        (pa.array([0], pa.timestamp("us", "No/Where")), "timestamp[us, tz=No/Where]"),
    ],
    ids=str,
)
def test_a_kept_value_that_python_lacks_is_named_by_its_row(
    value: Any, kind: str, tmp_path: Path
) -> None:
    assert message(write(tmp_path, {"a": ["x"], "d": value}), columns=["a"], keep=None) == (
        f"t.parquet: row 1: column 'd' holds a value of type {kind} that Python cannot represent. "
        "Write the column as strings."
    )


def test_a_missing_or_doubled_column_is_named(tmp_path: Path) -> None:
    assert message(write(tmp_path, {"b": ["x"]}), columns=["a"]) == (
        "t.parquet: there is no column 'a'. Its columns are 'b'. Name one of these."
    )
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table([["x"], ["y"]], names=["a", "a"]), path)
    assert message(path, columns=["a"]) == (
        "t.parquet: the column 'a' is there 2 times. Rename or remove all but one."
    )


def test_a_table_without_rows_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, {"a": pa.array([], pa.string())})
    assert message(path, columns=["a"]) == (
        "t.parquet: the table has no rows. Give it at least one."
    )


@pytest.mark.parametrize("damage", ["cut", "overwritten", "empty", "text"])
def test_a_damaged_file_is_one_clear_line(damage: str, tmp_path: Path) -> None:
    path = write(tmp_path, {"a": [f"text {n}" for n in range(500)]})
    data = path.read_bytes()
    middle = len(data) // 4
    path.write_bytes(
        {
            "cut": data[:middle],
            "overwritten": data[:8] + b"\xff" * middle + data[8 + middle :],
            "empty": b"",
            "text": b"a,b\n1,2\n",
        }[damage]
    )
    assert message(path, columns=["a"]) == (
        "t.parquet: this is not a Parquet file, or it is damaged. Write it again, or name its "
        "real format."
    )

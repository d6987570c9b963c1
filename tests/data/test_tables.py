from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.data.table_rows import TableRow
from annoseq.data.tables import read_rows, write_rows
from annoseq.errors import OptionError, OutputError, TableError
from tests.data.strategies import texts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SUFFIXES = [".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".csv.gz", ".TSV.GZ", ".jsonl.gz"]
SUFFIXES += [".xlsx"]
COLUMNS: dict[str, type[str] | type[int]] = {"a": str, "n": int}
KNOWN = (
    "Use a name that ends in one of .csv, .tsv, .jsonl, .ndjson, .parquet, .xlsx "
    "(.gz may follow), or name the format: csv, tsv, jsonl, parquet, xlsx."
)
SCRIPT = """
import sys
from annoseq.errors import TableError
from annoseq.data.tables import read_rows
try:
    for row in read_rows("-", columns=["a"], format=sys.argv[1] if sys.argv[1:] else None):
        print(row.number, ascii(row.values["a"]), flush=True)
except TableError as error:
    sys.exit(str(error))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


def message(source: Path, **options: Any) -> str:
    with pytest.raises(TableError) as caught:
        list(read_rows(source, **{"columns": ["a"], **options}))
    return str(caught.value).replace(str(source), source.name)


def piped(data: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], input=data, capture_output=True, check=False
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=20, deadline=None)
@given(rows=st.lists(st.tuples(texts, st.integers(0, 2**40)), min_size=1, max_size=4))
def test_what_is_written_is_read(suffix: str, rows: list[tuple[str, int]], folder: Path) -> None:
    path = folder / f"t{suffix}"
    write_rows(rows, path, columns=COLUMNS, overwrite=True)
    found = list(read_rows(path, columns=["a"], keys=["n"], optional=["doc"]))
    assert found == [
        TableRow(number, {"a": text, "n": str(n)}) for number, (text, n) in enumerate(rows, 1)
    ]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_rows_are_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_rows([("x", 1)], tmp_path / (name + suffix), columns=COLUMNS, overwrite=False)
    assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_without_rows_can_be_written_but_not_read(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"t{suffix}"
    write_rows([], path, columns=COLUMNS, overwrite=False)
    assert message(path) == f"t{suffix}: the table has no rows. Give it at least one."


@pytest.mark.parametrize("data", [b"", b"a\n", b"\xef\xbb\xbf", b"\n\n\n", b"a\n\n"])
def test_an_empty_file_is_an_error(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    assert message(tmp_path / "t.csv") == "t.csv: the table has no rows. Give it at least one."


def test_gzip_is_seen_by_its_content_not_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "packed.csv").write_bytes(gzip.compress(b"a\nx\n") + gzip.compress(b"y\n"))
    (tmp_path / "plain.csv.gz").write_bytes(b"a\nx\ny\n")
    expected = [TableRow(1, {"a": "x"}), TableRow(2, {"a": "y"})]
    assert list(read_rows(tmp_path / "packed.csv", columns=["a"])) == expected
    assert list(read_rows(str(tmp_path / "plain.csv.gz"), columns=["a"])) == expected


def test_parquet_may_be_compressed_again(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": ["x"]}), tmp_path / "t.parquet")
    packed = tmp_path / "t.parquet.gz"
    packed.write_bytes(gzip.compress((tmp_path / "t.parquet").read_bytes()))
    assert list(read_rows(packed, columns=["a"])) == [TableRow(1, {"a": "x"})]


def test_a_named_format_overrules_the_suffix(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(b"a\tb\nx,y\tz\n")
    assert list(read_rows(tmp_path / "t.txt", columns=["a"], format="tsv")) == [
        TableRow(1, {"a": "x,y"})
    ]
    write_rows([("x", 1)], tmp_path / "u.txt", columns=COLUMNS, overwrite=False, format="jsonl")
    assert (tmp_path / "u.txt").read_bytes() == b'{"a": "x", "n": 1}\n'


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("t.ods", "the suffix '.ods' stands for no known format"),
        ("t.ods.gz", "the suffix '.ods' stands for no known format"),
        ("t", "it has no suffix"),
        ("t.gz", "it has no suffix"),
    ],
)
def test_an_unknown_suffix_is_an_error(name: str, found: str, tmp_path: Path) -> None:
    assert message(tmp_path / name) == f"{name}: {found}. {KNOWN}"
    with pytest.raises(TableError, match=r"or name the format: csv, tsv, jsonl, parquet, xlsx\.$"):
        write_rows([], tmp_path / name, columns=COLUMNS, overwrite=False)


def test_an_unknown_format_is_an_error() -> None:
    with pytest.raises(OptionError) as caught:
        read_rows("t.csv", columns=["a"], format="ods")  # type: ignore[arg-type]
    assert str(caught.value) == (
        "found the table format 'ods'. Use one of csv, tsv, jsonl, parquet, xlsx."
    )


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    expected = "t.csv: there is no such file. Check its name and folder."
    assert message(tmp_path / "t.csv") == expected


def test_a_folder_is_an_error(tmp_path: Path) -> None:
    expected = f"{tmp_path.name}: this is a folder. Name one file in it."
    assert message(tmp_path) == message(tmp_path, format="csv") == expected


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert message(tmp_path / "file" / "t.csv") == (
        "t.csv: cannot be read: Not a directory. Name a file that can be read."
    )


@pytest.mark.parametrize("damage", ["cut", "header", "middle", "checksum", "tail"])
def test_damaged_gzip_is_an_error(damage: str, tmp_path: Path) -> None:
    data = gzip.compress(b"a\n" + os.urandom(5000).hex().encode() + b"\nx\n", mtime=0)
    (tmp_path / "t.csv.gz").write_bytes(
        {
            "cut": data[:-20],
            "header": data[:2] + b"\xff" + data[3:],
            "middle": data[:2000] + b"\xff" * 500 + data[2500:],
            "checksum": data[:-8] + b"\0" * 8,
            "tail": data + b"more",
        }[damage]
    )
    assert message(tmp_path / "t.csv.gz") == (
        "t.csv.gz: the gzip compression is damaged or cut off. Copy or compress the file again."
    )


def test_standard_input_is_csv_and_may_be_compressed() -> None:
    data = b"a,b\nx\ry,\n"
    assert piped(data).stdout == piped(gzip.compress(data)).stdout == b"1 'x\\ry'\n"


def test_standard_input_may_be_another_format(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": ["x"]}), tmp_path / "t.parquet")
    data = (tmp_path / "t.parquet").read_bytes()
    assert piped(data, "parquet").stdout == piped(b'{"a": "x"}', "jsonl").stdout == b"1 'x'\n"
    with (tmp_path / "t.parquet").open("rb") as stream:  # a file, not a pipe
        found = subprocess.check_output([sys.executable, "-c", SCRIPT, "parquet"], stdin=stream)
    assert found == b"1 'x'\n"


def test_standard_input_is_named_in_errors() -> None:
    assert piped(b"").stderr.decode().strip() == (
        "standard input: the table has no rows. Give it at least one."
    )
    assert b"standard input: row 1 (line 2): found 2 fields" in piped(b"a\n1,2\n").stderr


def test_the_first_row_comes_before_the_rest_of_a_pipe_is_written(tmp_path: Path) -> None:
    pipe = tmp_path / "t.csv"
    os.mkfifo(pipe)
    first_seen = threading.Event()

    def feed() -> None:
        with pipe.open("wb", buffering=0) as stream:
            stream.write(b"a,b\n0,x\n")
            assert first_seen.wait(timeout=10)
            stream.write(b"".join(b"%d,x\n" % n for n in range(1, 100_000)))

    feeder = threading.Thread(target=feed)
    feeder.start()
    rows = read_rows(pipe, columns=["a"])
    assert next(rows) == TableRow(1, {"a": "0"})
    first_seen.set()
    assert sum(int(row.values["a"]) for row in rows) == sum(range(100_000))
    feeder.join()


def test_a_fault_is_met_only_when_its_row_is_reached(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a\n" + b"x\n" * 100_000 + b"\xff\n")
    rows = read_rows(tmp_path / "t.csv", columns=["a"])
    assert [next(rows).number for _ in range(100_000)][-1] == 100_000
    with pytest.raises(TableError, match="row 100001 "):
        next(rows)


def test_a_reader_that_is_left_early_closes_its_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a\nx\ny\n")
    rows = read_rows(tmp_path / "t.csv", columns=["a"])
    next(rows)
    del rows  # an open file would be a ResourceWarning, which is an error here


def test_what_is_there_is_kept_unless_it_may_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    write_rows([("x", 1)], path, columns=COLUMNS, overwrite=False)
    with pytest.raises(OutputError, match="exists already"):
        write_rows([("y", 1)], path, columns=COLUMNS, overwrite=False)
    write_rows([("z", 1)], path, columns=COLUMNS, overwrite=True)
    assert path.read_bytes() == b'"a","n"\n"z",1\n'


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_lone_surrogate_is_named_and_nothing_is_written(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"t{suffix}"
    rows: Sequence[tuple[str, int]] = [("x", 1), ("\udc0d", 2)]
    with pytest.raises(TableError) as caught:
        write_rows(rows, path, columns=COLUMNS, overwrite=False)
    assert str(caught.value) == (
        f"{path}: row 2: column 'a' holds a lone surrogate, which is half a character and "
        "cannot be written. Leave the row out."
    )
    assert list(tmp_path.iterdir()) == []


def test_compressed_parquet_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet.gz"
    with pytest.raises(TableError) as caught:
        write_rows([], path, columns=COLUMNS, overwrite=False)
    assert str(caught.value) == f"{path}: Parquet compresses by itself. Leave .gz off."


def test_reading_text_imports_no_slow_library() -> None:
    check = "import sys, annoseq.data.pairs; print({'pandas', 'pyarrow'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", check]) == b"set()\n"


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("t.csv", b"a,b\n1,2\n3\n4,5\n", "t.csv: row 2 (line 3): found 1 field where the header"),
        ("t.csv", b"a,b\n1,2\n\xff,3\n4,5\n", "t.csv: row 2 (line 3): found the byte 0xFF"),
        ("t.jsonl", b'{"a":"1"}\n{"a":"\\ud800"}\n{"a":"4"}\n', "t.jsonl: row 2 (line 2): column"),
        ("t.jsonl", b'{"a":"1"}\nnothing\n{"a":"4"}\n', "t.jsonl: row 2 (line 2): this is not"),
        ("t.jsonl", b'{"a":"1"}\n{"a":"\xff"}\n{"a":"4"}\n', "t.jsonl: row 2 (line 2): found the"),
    ],
)
def test_a_bad_row_can_be_told_and_left_out(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(data)
    told: list[TableError] = []
    rows = list(read_rows(tmp_path / name, columns=["a"], on_bad=told.append))
    assert [(row.number, row.values["a"]) for row in rows] == [(1, "1"), (3, "4")]
    assert [str(error).startswith(f"{tmp_path}/{message}") for error in told] == [True]


MIXED = '{"orig_text": "a", "patient": 7, "seen": {"on": [1, null]}, "n": null}\n'


@pytest.mark.parametrize(("keep", "kept"), [(None, ["patient", "seen", "n"]), (["n"], ["n"])])
def test_kept_columns_are_passed_on_as_they_are(
    keep: list[str] | None, kept: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "mixed.jsonl"
    path.write_text(MIXED)
    [row] = read_rows(path, columns=["orig_text"], keep=keep)
    whole = {"patient": 7, "seen": {"on": [1, None]}, "n": None}
    assert row == TableRow(1, {"orig_text": "a"}, {name: whole[name] for name in kept})


def test_kept_columns_of_csv_are_texts_and_those_of_parquet_values(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("patient,orig_text,day\n007,a,\n")
    [row] = read_rows(tmp_path / "a.csv", columns=["orig_text"], keep=None)
    assert row.kept == {"patient": "007", "day": ""}
    table = pa.table({"orig_text": ["a"], "n": [7], "x": [None], "f": [0.5], "b": [True]})
    pq.write_table(table, tmp_path / "a.parquet")
    [row] = read_rows(tmp_path / "a.parquet", columns=["orig_text"], keep=None)
    assert row.kept == {"n": 7, "x": None, "f": 0.5, "b": True}


def test_a_column_to_keep_must_be_there_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("patient,orig_text,patient\n1,a,2\n")
    for keep in (["visit"], ["patient"], None):
        with pytest.raises(TableError, match=r"there is no column 'visit'|is there 2 times"):
            list(read_rows(tmp_path / "a.csv", columns=["orig_text"], keep=keep))

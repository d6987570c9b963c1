from __future__ import annotations

import contextlib
import gzip
import shutil
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annoseq.data.filesystems import (
    atomic_output,
    delete_files,
    has_wildcard,
    join_address,
    list_files,
    open_input,
    split_pattern,
    stat_file,
)
from annoseq.data.tables import read_rows
from annoseq.errors import OptionError, OutputError, TableError

if TYPE_CHECKING:
    from pathlib import Path


def write(address: str, content: bytes = b"x") -> None:
    with atomic_output(address) as stream:
        stream.write(content)


@pytest.fixture(params=["", "file://", "memory://"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a folder: a path, one of pyarrow, one of fsspec."""
    return f"{request.param}{tmp_path}"


def test_files_are_written_listed_read_and_deleted(folder: str) -> None:
    for name in ("b/2.csv", "a.csv", ".hidden", "_temporary/c.csv"):
        write(join_address(folder, name), name.encode())
    root, files = list_files(folder)
    assert root == folder
    assert [(file.name, file.size) for file in files] == [("a.csv", 5), ("b/2.csv", 7)]
    with open_input(join_address(folder, "b/2.csv")) as stream:
        assert stream.read() == b"b/2.csv"
    assert stat_file(join_address(folder, "a.csv")) == files[0][1:]
    delete_files(join_address(folder, "b"))
    delete_files(join_address(folder, "a.csv"))
    delete_files(join_address(folder, "a.csv"))
    assert stat_file(join_address(folder, "a.csv")) is None
    assert list_files(folder)[1] == []


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.csv", ["1.csv"]),
        ("**/*.csv", ["1.csv", "x/2.csv", "x/y/3.csv"]),
        ("x/?.csv", ["2.csv"]),
        ("[!2-9].csv", ["1.csv"]),
        ("*/*/[0-9].csv", ["x/y/3.csv"]),
        ("x/**/*.csv", ["2.csv", "y/3.csv"]),
        ("*.txt", []),
    ],
)
def test_patterns_name_files(folder: str, pattern: str, expected: list[str]) -> None:
    for name in ("1.csv", "x/2.csv", "x/y/3.csv", "x/4.txt"):
        write(join_address(folder, name))
    found = [file.name for file in list_files(join_address(folder, pattern))[1]]
    assert found == expected


def test_one_file_is_a_listing_of_its_own(folder: str) -> None:
    write(join_address(folder, "a.csv"))
    root, files = list_files(join_address(folder, "a.csv"))
    assert (root, [file.name for file in files]) == (folder, ["a.csv"])


def test_an_output_is_whole_or_not_at_all(folder: str) -> None:
    address = join_address(folder, "a.csv")
    write(address, b"old")
    stopped = contextlib.suppress(RuntimeError)
    with stopped, atomic_output(address) as stream:
        stream.write(b"new")
        raise RuntimeError
    with open_input(address) as stream:
        assert stream.read() == b"old"
    assert [file.name for file in list_files(folder)[1]] == ["a.csv"]


def test_an_upload_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", fail)
    with pytest.raises(OutputError, match=r"a.csv cannot be written: No space left on device"):
        write(f"file://{tmp_path}/a.csv")
    assert list(tmp_path.iterdir()) == []


def test_tables_are_read_from_any_filesystem(folder: str) -> None:
    address = join_address(folder, "a.csv.gz")
    write(address, gzip.compress(b"orig_text\nDr. Ames\n"))
    assert [row.values for row in read_rows(address, columns=["orig_text"])] == [
        {"orig_text": "Dr. Ames"}
    ]
    address = join_address(folder, "a.parquet")
    with atomic_output(address) as stream:
        pq.write_table(pa.table({"orig_text": ["Dr. Ames"]}), stream)
    assert [row.values for row in read_rows(address, columns=["orig_text"])] == [
        {"orig_text": "Dr. Ames"}
    ]


def test_an_existing_name_is_no_pattern(tmp_path: Path) -> None:
    (tmp_path / "a[1].csv").touch()
    assert not has_wildcard(str(tmp_path / "a[1].csv"))
    assert has_wildcard(str(tmp_path / "a[2].csv"))
    assert split_pattern("*.csv")[0] == "."
    assert split_pattern("/*.csv")[0] == "/"


def test_what_is_not_there_is_refused(folder: str) -> None:
    address = join_address(folder, "none")
    with pytest.raises(TableError, match=r"none: there is no such file or folder. Check its name"):
        list_files(address)


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(OptionError, match="nowhere:// is no filesystem that pyarrow or fsspec"):
        list_files("nowhere://notes")


def test_a_missing_driver_is_named() -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(
        OptionError, match=r"^adl:// needs a driver that is not installed. Run: pip install"
    ):
        list_files("adl://notes/a")

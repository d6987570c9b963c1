from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.errors import OptionError, TableError
from annoseq.scale.parts import find_parts, is_folder_input

if TYPE_CHECKING:
    from pathlib import Path


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("orig_text\nx\n")
    return folder


def test_the_tables_of_a_folder_are_its_parts(tmp_path: Path) -> None:
    touch(tmp_path, "2026/b.csv", "a.csv.gz", "README.md", "_SUCCESS", ".c.csv")
    parts, ignored = find_parts(str(tmp_path))
    assert [part.name for part in parts] == ["2026/b.csv", "a.csv.gz"]
    assert [part.stem for part in parts] == ["2026/b", "a"]
    assert [part.format for part in parts] == ["csv", "csv"]
    assert parts[0].address == str(tmp_path / "2026/b.csv")
    assert ignored == 1


def test_files_of_one_format_are_parts(tmp_path: Path) -> None:
    touch(tmp_path, "a.csv", "b.jsonl", "c.parquet", "d.txt", "e.tsv", "f.xlsx")
    with pytest.raises(OptionError) as raised:
        find_parts(str(tmp_path))
    assert str(raised.value) == (
        f"{tmp_path}: found files of several formats: csv, jsonl, parquet, text, tsv. Name one "
        "with --input-format, or give a pattern in quotes, such as 'notes/*.parquet'."
    )
    assert [part.name for part in find_parts(str(tmp_path), "text").parts] == ["d.txt"]
    assert [part.name for part in find_parts(f"{tmp_path}/*.jsonl").parts] == ["b.jsonl"]


def test_a_folder_without_parts_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "f.xlsx")
    with pytest.raises(OptionError, match=r"there is no Parquet, JSONL, CSV, TSV or text file in"):
        find_parts(str(tmp_path))
    with pytest.raises(OptionError, match=r"there is no csv file in it. Name a folder of such"):
        find_parts(str(tmp_path), "csv")
    with pytest.raises(TableError, match=r"there is no such file or folder"):
        find_parts(str(tmp_path / "none"))


def test_parts_whose_outputs_would_have_one_name_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.csv", "a.csv.gz", "b.csv")
    with pytest.raises(OptionError, match=r"1 file would be written under the name of another"):
        find_parts(str(tmp_path))


def test_a_folder_of_tables_alone_is_read_as_parts(tmp_path: Path) -> None:
    folder = str(touch(tmp_path, "x/a.csv"))
    assert is_folder_input(folder)
    assert not is_folder_input(f"{folder}/x/a.csv")
    assert is_folder_input(f"{folder}/x/*.csv")
    assert is_folder_input("s3://bucket/notes")
    touch(tmp_path, "x/a.txt")
    assert not is_folder_input(folder)
    assert not is_folder_input(str(tmp_path / "none"))

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from annoseq.data.text_inputs import InputText, count_texts, is_text_input, read_texts
from annoseq.errors import OptionError, TableError

NOTE = b"\xef\xbb\xbfDr. Ames\r\nsaw\rher"
MISSING = Path("missing")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three texts, two in subfolders, and something else."""
    path = tmp_path / "notes"
    for name, content in {"b.txt": b"", "sub/a.txt": NOTE, "sub/deep/C.TXT": b"x\n"}.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    (path / "table.csv").write_text("orig_text\nx\n")
    (path / "folder.txt").mkdir()
    return path


def read(source: Path, column: str = "orig_text") -> list[tuple[str, str]]:
    return [(one.id, one.text) for one in read_texts(source, column=column)]


def test_a_folder_is_its_texts_by_path_unchanged(folder: Path) -> None:
    assert read(folder) == [
        ("b.txt", ""),
        ("sub/a.txt", "\ufeffDr. Ames\r\nsaw\rher"),
        ("sub/deep/C.TXT", "x\n"),
    ]
    assert count_texts(folder, column="orig_text") == 3


def test_a_text_file_is_one_text(folder: Path) -> None:
    path = folder / "sub" / "a.txt"
    assert read(path) == [(str(path), NOTE.decode())]
    assert count_texts(path, column="orig_text") == 1


def test_a_table_is_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "new.csv.gz"
    path.write_bytes(gzip.compress(b'note\n"a\rb"\n\n""\n'))
    assert read(path, "note") == [("1", "a\rb"), ("2", "")]
    assert count_texts(path, column="note") == 2


def test_a_row_says_which_document_it_is_from(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text("doc_id,start,orig_text\nn1,0,a\nn1,12:30,b\n,7,c\n")
    assert list(read_texts(path, column="orig_text")) == [
        InputText("1", "a", "n1", 0),
        InputText("2", "b", "n1", None),  # a column of this name may hold something else
        InputText("3", "c"),
    ]
    assert list(read_texts(path, column="doc_id"))[:2] == [
        InputText("1", "n1"),
        InputText("2", "n1"),
    ]


def test_the_name_tells_what_an_input_is(folder: Path) -> None:
    assert is_text_input(Path("-"), None)
    assert is_text_input(folder, None)
    assert is_text_input(folder / "b.txt", None)
    assert not is_text_input(folder / "table.csv", None)


def test_what_was_said_goes_before_the_name() -> None:
    assert is_text_input(Path("new.csv"), "text")
    assert not is_text_input(Path("-"), "jsonl")


def test_a_name_that_is_nothing() -> None:
    with pytest.raises(TableError) as caught:
        is_text_input(MISSING, None)
    assert str(caught.value) == "missing: there is no such file or folder. Check its name."


def test_a_name_that_does_not_tell(tmp_path: Path) -> None:
    path = tmp_path / "README"
    path.write_text("Dr. Ames")
    with pytest.raises(OptionError) as caught:
        is_text_input(path, None)
    assert str(caught.value) == (
        f"{path}: it has no suffix. Use a name that ends in one of .csv, .tsv, .jsonl, .ndjson, "
        ".parquet, .xlsx (.gz may follow), or name the format: csv, tsv, jsonl, parquet, xlsx. "
        "If it is one whole text, add --input-format text."
    )
    assert list(read_texts(path, column="", format_="text")) == [InputText(str(path), "Dr. Ames")]


def test_a_folder_without_texts(tmp_path: Path) -> None:
    with pytest.raises(OptionError) as caught:
        read(tmp_path)
    assert str(caught.value) == f"{tmp_path}: there is no .txt file in this folder or below it."


def test_a_text_that_is_not_utf8(folder: Path) -> None:
    bad = folder / "a.txt"
    bad.write_bytes(b"Dr. \xff")
    message = (
        f"{bad}: line 1: found the byte 0xFF at offset 4, which is not UTF-8 text. "
        "Save the file as UTF-8."
    )
    with pytest.raises(TableError) as caught:
        read(folder)
    assert str(caught.value) == message
    told: list[TableError] = []
    assert len(list(read_texts(folder, column="", on_bad=told.append))) == 3
    assert [str(error) for error in told] == [message]


def test_a_file_name_that_is_not_utf8(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"\xff.txt")).touch()
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(TableError, match=r"'\\udcff\.txt': this file's name is not UTF-8"):
        read(tmp_path)


def test_rows_that_cannot_be_read_are_told_and_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "new.jsonl"
    path.write_text('{"orig_text": "a"}\n{"orig_text": "\\ud800"}\n{"orig_text": "c"}\n')
    told: list[TableError] = []
    found = list(read_texts(path, column="orig_text", on_bad=told.append))
    assert found == [InputText("1", "a"), InputText("3", "c")]
    assert len(told) == 1
    assert "row 2" in str(told[0])
    assert count_texts(path, column="orig_text") == 2


def test_standard_input_cannot_be_counted() -> None:
    assert count_texts(Path("-"), column="orig_text", format_="csv") is None

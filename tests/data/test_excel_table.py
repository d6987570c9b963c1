from __future__ import annotations

import datetime
import io
import sys
import zipfile
from collections import Counter
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.data.pairs import read_pairs, write_pairs
from annoseq.data.tables import read_rows, write_rows
from annoseq.errors import OptionError, TableError
from annoseq.sample import sample_pairs
from tests.data.strategies import texts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def workbook(path: Path, *rows: tuple[Any, ...]) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def rows_of(path: Path, **options: Any) -> list[dict[str, str]]:
    return [row.values for row in read_rows(path, **{"columns": ["a", "b"], **options})]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=3))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[str, str]]
) -> None:
    records = [("x" + first, second) for first, second in records]  # no row is empty
    path = tmp_path_factory.mktemp("excel") / "t.xlsx"
    write_rows(records, path, columns={"a": str, "b": str}, overwrite=False)
    assert [tuple(row.values()) for row in rows_of(path)] == records


@pytest.mark.parametrize(
    "text",
    ["=1+1", "#N/A", "0012", "a\rb", "a\r\nb", " a ", "_x000D_", "_x005F_x000D_", "\x07", "\ufffe"],
)
def test_texts_stay_texts(text: str, tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    write_rows([(text, "x")], path, columns={"a": str, "b": str}, overwrite=False)
    assert rows_of(path) == [{"a": text, "b": "x"}]


def test_a_corpus_is_read_as_it_was_written(tmp_path: Path) -> None:
    pairs = list(sample_pairs(30, seed=1))
    for name in ("t.xlsx", "t.csv"):
        write_pairs(pairs, tmp_path / name, overwrite=False)
    assert [*read_pairs(tmp_path / "t.xlsx")] == [*read_pairs(tmp_path / "t.csv")]


def test_empty_cells_are_empty_and_empty_rows_are_skipped(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", ("a", "b", None), ("x",), (None, None), ("y", "z", None))
    assert rows_of(path) == [{"a": "x", "b": ""}, {"a": "y", "b": "z"}]


def test_escapes_of_excel_are_undone(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", ("a", "b"), ("x_x000D_y", "_x005F_x000D_"))
    assert rows_of(path) == [{"a": "x\ry", "b": "_x000D_"}]


def test_numbers_are_texts_in_keys_only(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", ("a", "id"), ("x", 7), ("y", "8"))
    assert rows_of(path, columns=["a"], keys=["id"]) == [
        {"a": "x", "id": "7"},
        {"a": "y", "id": "8"},
    ]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (12, "a number"),
        (1.5, "a number"),
        (True, "true or false"),
        ("=1+1", "a formula"),
        (datetime.date(2020, 1, 2), "a date"),
        ("#N/A", "an error"),
    ],
)
def test_cells_that_are_no_text_are_errors(value: Any, kind: str, tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", ("a", "b"), ("x", "y"), ("x", value))
    if kind == "an error":
        assert rows_of(path)[1]["b"] == "#N/A"  # it may as well be a text
        return
    with pytest.raises(TableError) as caught:
        rows_of(path)
    assert str(caught.value).endswith(
        f"t.xlsx: row 2 (row 3 of the sheet): column 2 holds {kind} where a text was expected. "
        "Format the column as text in Excel, and enter the value again."
    )
    bad: list[TableError] = []
    assert len(rows_of(path, on_bad=bad.append)) == len(bad) == 1


def test_a_missing_column_is_named_as_in_csv(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", ("Ms Ames came", "x"), ("x", "y"))
    with pytest.raises(TableError, match="there is no column 'a'") as caught:
        rows_of(path)
    assert "Ames" not in str(caught.value)


def test_no_rows_are_an_error(tmp_path: Path) -> None:
    for number, rows in enumerate([(), (("a", "b"),)]):
        with pytest.raises(TableError, match="the table has no rows"):
            rows_of(workbook(tmp_path / f"{number}.xlsx", *rows))


@pytest.mark.parametrize("content", [b"", b"a,b\n", b"PK\x03\x04 and no more"])
def test_what_is_no_workbook_is_an_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    path.write_bytes(content)
    with pytest.raises(TableError, match="this is not an Excel workbook"):
        rows_of(path)


def test_what_openpyxl_warns_of_is_not_printed(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    book = openpyxl.Workbook()
    book.active.append(["a", "b"])
    book.active.append(["x", 10.0**9])
    book.active["B2"].number_format = "yyyy-mm-dd"  # a day that openpyxl quotes in a warning
    book.save(path)
    assert rows_of(path) == [{"a": "x", "b": "#VALUE!"}]


def test_a_damaged_workbook_is_an_error_or_rows(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", ("a", "b"), ("x", "y"))
    whole = path.read_bytes()
    outcomes: Counter[str] = Counter()
    for place in range(0, len(whole), 151):
        for content in (whole[:place], flipped(whole, place), *damaged_parts(whole, place)):
            path.write_bytes(content)
            try:
                outcomes[str(rows_of(path))] += 1
            except TableError as error:
                outcomes[str(error).partition(": ")[2].partition(",")[0]] += 1
    assert outcomes["this is not an Excel workbook (.xlsx)"] > 60


def flipped(content: bytes, place: int) -> bytes:
    """Return bytes of which one has another bit."""
    return content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :]


def damaged_parts(whole: bytes, place: int) -> Iterator[bytes]:
    """Yield a workbook without one of its parts, and with a part cut off or changed."""
    archive = zipfile.ZipFile(io.BytesIO(whole))
    victim = archive.namelist()[place % len(archive.namelist())]
    part = archive.read(victim)
    for damaged in (None, part[: place % len(part)], flipped(part, place % len(part))):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as written:
            for name in archive.namelist():
                content = damaged if name == victim else archive.read(name)
                if content is not None:
                    written.writestr(name, content)
        yield stream.getvalue()


def test_a_text_that_is_too_long_for_a_cell_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    with pytest.raises(TableError, match=r"row 1: a text of 40,000 characters is too long"):
        write_rows([("x" * 40_000, "")], path, columns={"a": str, "b": str}, overwrite=False)
    assert not path.exists()


def test_a_missing_extra_is_an_error_that_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = workbook(tmp_path / "t.xlsx", ("a", "b"), ("x", "y"))
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(OptionError, match=r"Run: pip install 'annoseq\[excel\]'"):
        rows_of(path)


def test_delimiters_and_encodings_are_no_options_of_a_workbook(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", ("a", "b"), ("x", "y"))
    with pytest.raises(OptionError, match="--delimiter is for CSV, and the table is Excel"):
        rows_of(path, delimiter=";")
    with pytest.raises(OptionError, match="--encoding is for text, and the table is Excel"):
        rows_of(path, encoding="cp1252")


def test_kept_cells_are_values_of_json_or_texts(tmp_path: Path) -> None:
    day = datetime.date(2024, 2, 29)
    cells = {"n": 7, "f": 0.5, "b": True, "d": day, "t": "007", "empty": None}
    path = workbook(tmp_path / "t.xlsx", ("a", *cells), ("x", *cells.values()))
    [row] = read_rows(path, columns=["a"], keep=None)
    expected = {**cells, "d": "2024-02-29 00:00:00", "empty": ""}
    assert row.kept == expected
    assert isinstance(row.kept["b"], bool)


@pytest.mark.parametrize(
    ("name", "value", "place"),
    [("k", "_xD800_", "row 1 (row 2 of the sheet)"), ("_xD800_", "v", "the header")],
)
def test_a_lone_surrogate_in_a_kept_column_is_an_error(
    name: str, value: str, place: str, tmp_path: Path
) -> None:
    path = workbook(tmp_path / "t.xlsx", ("a", name), ("x", value))
    with pytest.raises(TableError) as caught:
        list(read_rows(path, columns=["a"], keep=None))
    assert str(caught.value) == (
        f"{path}: {place}: column 2 holds a lone surrogate, which is half a character. "
        "Write the character whole."
    )
    assert len(list(read_rows(path, columns=["a"]))) == 1

"""`annoseq annotate` to tables: workbooks of Excel, and CSV with a byte order mark."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest

from annoseq.data import excel_table
from annoseq.data.tables import read_rows
from tests.cli.command import check_written, refusal, run, snapshot

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = ["=1+1 Dr. Ames", "", " two  spaces ", "a\r\nb\x07", "_x000D_ 👩‍⚕️", "0012"]
LONG = "Dr. Ames saw her. " + "x" * 35_982


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A table of texts that a spreadsheet could misunderstand, with two other columns."""
    return write_notes(tmp_path / "notes.jsonl", *TEXTS)


def write_notes(path: Path, *texts: str) -> Path:
    lines = (
        {"orig_text": text, "doc_id": f"d{number}", "start": 0, "visit": 10**15 + number, "age": 7}
        for number, text in enumerate(texts)
    )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def cells(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the header of the sheet of annotations, and its rows with their cells."""
    header, *rows = openpyxl.load_workbook(path)["annotations"].iter_rows()
    names = [cell.value for cell in header]
    return names, [dict(zip(names, row, strict=True)) for row in rows]


def test_a_workbook_holds_what_csv_does(model: Path, notes: Path, tmp_path: Path) -> None:
    book, table = tmp_path / "out.xlsx", tmp_path / "out.csv"
    for out in (book, table):
        result = run("annotate", model, notes, "--out", out, "--keep-columns", "visit", "age")
        check_written(result, out)
        assert result.err.endswith(f"Next: annoseq export FORMAT {out} TARGET\n")
    columns = ["id", "doc_id", "text", "annotated", "spans", "problem", "alternatives", "visit"]
    read = {
        path: [row.values for row in read_rows(path, columns=columns)] for path in (book, table)
    }
    assert read[book] == read[table]
    assert [row["text"] for row in read[book]] == TEXTS
    names, rows = cells(book)
    assert names == table.read_text().splitlines()[0].replace('"', "").split(",")
    kinds = {name: rows[0][name].data_type for name in ("text", "score", "windows", "start", "age")}
    assert kinds == {"text": "s", "score": "n", "windows": "n", "start": "n", "age": "n"}
    exported = {path: tmp_path / f"{path.name}.spans.csv" for path in (book, table)}
    for path, target in exported.items():
        assert run("export", "spans", path, target).code == 0
    assert exported[book].read_bytes() == exported[table].read_bytes()


def test_a_folder_becomes_a_workbook(model: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("Dr. Ames")
    out = tmp_path / "out.xlsx"
    check_written(run("annotate", model, tmp_path / "notes", "--out", out), out)
    assert cells(out)[1][0]["id"].value == "a.txt"


def test_a_workbook_is_resumed_and_replaced(model: Path, tmp_path: Path) -> None:
    notes, out = write_notes(tmp_path / "notes.jsonl", *TEXTS), tmp_path / "out.xlsx"
    whole = tmp_path / "whole.xlsx"
    check_written(run("annotate", model, notes, "--out", whole, "--chunk-size", 2), whole)
    good = notes.read_text()
    notes.write_text("".join(good.splitlines(keepends=True)[:4]) + "{\n")
    arguments = ("annotate", model, notes, "--out", out, "--chunk-size", 2)
    result = run(*arguments)
    assert result.err.startswith("4 texts done. Add --resume to the same command")
    assert not out.exists()
    notes.write_text(good)
    result = run(*arguments, "--resume")
    check_written(result, out)
    assert "6 texts" in result.err
    values = [
        [{name: cell.value for name, cell in row.items()} for row in cells(path)[1]]
        for path in (out, whole)
    ]
    assert values[0] == values[1]
    assert "add --overwrite to replace it" in refusal(run(*arguments))
    check_written(run(*arguments, "--overwrite"), out)


def test_a_text_that_no_cell_holds_ends_the_run(model: Path, tmp_path: Path) -> None:
    """The texts done before are kept, and may be written in a format without this limit."""
    out = tmp_path / "out.xlsx"
    message = (
        "a text of 36,000 characters is too long for Excel, whose cells hold 32,767 (emoji count "
        "twice). Write CSV or JSONL."
    )
    notes = write_notes(tmp_path / "notes.jsonl", LONG)
    before = snapshot(tmp_path)
    assert refusal(run("annotate", model, notes, "--out", out)) == f"text '1': {message}"
    assert snapshot(tmp_path) == before
    write_notes(notes, "Dr. Ames", LONG)
    arguments = ("annotate", model, notes, "--out", out, "--chunk-size", 1)
    done, problem = run(*arguments).err.splitlines()
    assert done.startswith("1 text done.")
    assert problem == f"annoseq: text '2': {message}"
    check_written(run(*arguments, "--resume", "--format", "jsonl"), out)
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == ["1", "2"]


def test_more_columns_than_a_sheet_has_are_refused(
    model: Path, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(excel_table, "_MOST_COLUMNS", 11)
    before = snapshot(tmp_path)
    out = tmp_path / "out.xlsx"
    options = ("--keep-columns", "visit", "age")
    assert refusal(run("annotate", model, notes, "--out", out, *options)) == (
        "text '1': found 12 columns where a sheet of Excel holds 11. Keep fewer, or write CSV or "
        "JSONL."
    )
    assert snapshot(tmp_path) == before
    check_written(run("annotate", model, notes, "--out", out, *options[:2]), out)


def test_more_texts_than_a_sheet_has_rows_are_refused(
    model: Path, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(excel_table, "_MOST_ROWS", 6)
    before = snapshot(tmp_path)
    assert refusal(run("annotate", model, notes, "--out", tmp_path / "out.xlsx")) == (
        "a sheet of Excel holds 6 rows, the header among them. Write CSV or JSONL."
    )
    assert snapshot(tmp_path) == before


def test_what_no_workbook_can_be_is_refused_before_the_work(
    model: Path, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(tmp_path)
    assert refusal(run("annotate", model, notes, "--format", "xlsx")) == (
        "--format xlsx writes a file. Name it with --out."
    )
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    assert refusal(run("annotate", "absent", notes, "--out", tmp_path / "out.xlsx")) == (
        "Excel workbooks need openpyxl, which is not installed. Run: pip install 'annoseq[excel]'"
    )
    assert snapshot(tmp_path) == before


def test_csv_begins_with_a_byte_order_mark_on_request(
    model: Path, notes: Path, tmp_path: Path
) -> None:
    plain, marked = tmp_path / "plain.csv", tmp_path / "marked.csv"
    for out, options in ((plain, ()), (marked, ("--bom",))):
        check_written(run("annotate", model, notes, "--out", out, *options), out)
    assert marked.read_bytes() == b"\xef\xbb\xbf" + plain.read_bytes()
    piped = run("annotate", model, notes, "--format", "csv", "--bom")
    assert piped.out.encode() == marked.read_bytes()
    for path in (plain, marked):
        assert run("export", "conll", path, tmp_path / f"{path.name}.conll", "--lossy").code == 0
    exported = [(tmp_path / f"{path.name}.conll").read_bytes() for path in (plain, marked)]
    assert exported[0] == exported[1]


@pytest.mark.parametrize("format_", ["jsonl", "xlsx", "brat"])
def test_a_byte_order_mark_is_for_csv(
    format_: str, model: Path, notes: Path, tmp_path: Path
) -> None:
    options = ("--format", format_, "--bom", "--out", tmp_path / "out")
    assert refusal(run("annotate", model, notes, *options)) == (
        f"--bom is for CSV, and the format is {format_}. Leave it off."
    )

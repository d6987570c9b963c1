"""A table that cannot be read is refused in one clear line, by every command that reads tables."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.cli.command import SECRET, TINY, refusal, run, snapshot

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "orig_text,annotated_text\n"
ROW = f"Dr. {SECRET},Dr. {{{{NAME}}}}{SECRET}{{{{/NAME}}}}\n"
FAR = 20_000  # rows, a megabyte: past the first block of every reader
VERBS = ["check", "show-batch", "prepare", "find-lr", "train", "evaluate"]


class Bad(NamedTuple):
    """A bad table, and what is said of it after its name."""

    content: bytes
    message: str
    name: str = "pairs.csv"


BAD = {
    "no content": Bad(b"", "the table has no rows. Give it at least one."),
    "no rows": Bad(HEADER.encode(), "the table has no rows. Give it at least one."),
    "no column": Bad(
        f"text,label\n{SECRET},x\n".encode(),
        "there is no column 'orig_text'. Its columns are 'text', 'label'.",
    ),
    "no header": Bad(
        (f"{'long ' * 20}{SECRET},x\n" * 2).encode(), "there is no column 'orig_text'."
    ),
    "doubled column": Bad(
        b"orig_text,annotated_text,orig_text\na,b,c\n", "the column 'orig_text' is there 2 times."
    ),
    "Latin-1": Bad(
        f"{HEADER}{ROW}".encode() + b"caf\xe9,caf\xe9\n",
        f"row 2 (line 3): found the byte 0xE9 at offset {len(HEADER + ROW) + 3} ",
    ),
    "Latin-1 from the start": Bad(
        b"\xe9" + f"{HEADER}{ROW}".encode(), "the header (line 1): found the byte 0xE9 at offset 0 "
    ),
    "broken UTF-16": Bad(
        f"{HEADER}{ROW}".encode("utf-16")[:-1] + b"\xd8" * 3,
        "at or soon after byte 0, this is not utf-16 text.",
    ),
    "Latin-1 far in": Bad(
        f"{HEADER}{ROW * FAR}".encode() + b"caf\xe9,caf\xe9\n",
        f"row {FAR + 1} (line {FAR + 2}): found the byte 0xE9 at offset "
        f"{len(HEADER + ROW * FAR) + 3} ",
    ),
    "too many fields": Bad(
        f"{HEADER}{ROW}{SECRET},a,b\n".encode(),
        "row 2 (line 3): found 3 fields where the header has 2.",
    ),
    "too few fields": Bad(
        f"{HEADER}{ROW}{SECRET}\n".encode(), "row 2 (line 3): found 1 field where the header has 2."
    ),
    "open quote": Bad(
        f'{HEADER}"{SECRET},a\n'.encode(), "row 1 (line 2): found the end of the table inside"
    ),
    "suffix": Bad(b"", "the suffix '.ods' stands for no known format.", "pairs.ods"),
    "no workbook": Bad(ROW.encode(), "this is not an Excel workbook (.xlsx)", "pairs.xlsx"),
    "no suffix": Bad(b"", "it has no suffix. Use a name that ends in one of .csv", "pairs"),
    "cut-off gzip": Bad(
        gzip.compress((HEADER + ROW * 99).encode())[:60],
        "the gzip compression is damaged or cut off.",
        "pairs.csv.gz",
    ),
    "broken JSON": Bad(f'{{"orig_text": "{SECRET}\n'.encode(), "row 1", "pairs.jsonl"),
    "not an object": Bad(f'["{SECRET}"]\n'.encode(), "row 1", "pairs.jsonl"),
    "a number for a text": Bad(
        json.dumps({"orig_text": 1, "annotated_text": SECRET}).encode(), "row 1", "pairs.jsonl"
    ),
    "half a character": Bad(
        json.dumps({"orig_text": f"{SECRET} \ud800", "annotated_text": "x"}).encode(),
        "row 1",
        "pairs.jsonl",
    ),
    "not Parquet": Bad(f"{HEADER}{ROW}".encode(), "this is not a Parquet file", "pairs.parquet"),
}


def command(verb: str, table: Path, *, model: Path, out: Path) -> tuple[object, ...]:
    """Return the words of a command that would read a table and write below a folder."""
    options: dict[str, tuple[object, ...]] = {
        "check": (table,),
        "show-batch": (table,),
        "prepare": (table, "--out", out / "data"),
        "find-lr": (table, "--plot", out / "lr.png"),
        "train": (table, "--out", out / "model", "--plot", out / "lr.png", *TINY),
        "annotate": (model, table),
        "evaluate": (model, table, "--json", out / "scores.json", "--out", out / "out.csv"),
    }
    return (verb, *options[verb])


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", BAD)
def test_a_bad_table_is_refused(kind: str, verb: str, model: Path, tmp_path: Path) -> None:
    bad = BAD[kind]
    table, out = tmp_path / bad.name, tmp_path / "out"
    table.write_bytes(bad.content)
    out.mkdir()
    message = refusal(run(*command(verb, table, model=model, out=out)))
    assert message.startswith(f"{table}: {bad.message}")
    assert message.endswith(".")
    assert snapshot(out) == {}


@pytest.mark.parametrize("verb", [*VERBS, "annotate"])
def test_a_missing_table_is_refused(verb: str, model: Path, tmp_path: Path) -> None:
    table = tmp_path / "absent.csv"
    message = refusal(run(*command(verb, table, model=model, out=tmp_path)))
    assert message == f"{table}: there is no such file. Check its name and folder."
    assert snapshot(tmp_path) == {}


@pytest.mark.parametrize("verb", ["check", "evaluate"])
def test_a_folder_is_no_table(verb: str, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tables.csv"
    folder.mkdir()
    message = refusal(run(*command(verb, folder, model=model, out=tmp_path)))
    assert message == f"{folder}: this is a folder. Name one file in it."


@pytest.mark.parametrize("verb", ["show-batch", "find-lr", "train"])
def test_a_folder_that_is_not_prepared_is_refused(verb: str, model: Path, tmp_path: Path) -> None:
    message = refusal(run(*command(verb, tmp_path, model=model, out=tmp_path)))
    assert message == f"{tmp_path}: this is a folder. Name one file in it."
    assert snapshot(tmp_path) == {}


@pytest.mark.parametrize("verb", ["show-batch", "prepare", "find-lr", "train"])
def test_one_row_cannot_be_split(verb: str, model: Path, tmp_path: Path) -> None:
    table, out = tmp_path / "pairs.csv", tmp_path / "out"
    table.write_text(HEADER + ROW)
    out.mkdir()
    message = refusal(run(*command(verb, table, model=model, out=out)))
    assert message == (
        "a split needs at least 2 rows, and the pairs have 1. "
        "Add rows, or give validation pairs with --valid."
    )
    assert snapshot(out) == {}


@pytest.mark.parametrize("verb", ["check", "prepare", "find-lr", "train"])
def test_a_bad_validation_table_is_refused(
    verb: str, table: Path, model: Path, tmp_path: Path
) -> None:
    valid = tmp_path / "absent.csv"
    message = refusal(run(*command(verb, table, model=model, out=tmp_path), "--valid", valid))
    assert message == f"{valid}: there is no such file. Check its name and folder."


def test_the_columns_that_there_are_are_listed(table: Path) -> None:
    assert refusal(run("check", table, "--source", "text")) == (
        f"{table}: there is no column 'text'. Its columns are 'doc_id', 'start', 'orig_text', "
        "'annotated_text'. Name one of these. Use --source or --target."
    )
    message = refusal(run("check", table, "--document", "patient"))
    assert "there is no column 'patient'" in message


def test_a_column_to_annotate_must_be_there(model: Path, table: Path) -> None:
    message = refusal(run("annotate", model, table, "--column", "note"))
    assert message.startswith(f"{table}: there is no column 'note'. Its columns are 'doc_id', ")

"""Patients of rows: by column, by expression, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.config import ColumnsConfig
from annoseq.data.pairs import stream_pairs
from annoseq.data.patients import PatientRule
from annoseq.errors import OptionError, TableError

if TYPE_CHECKING:
    from pathlib import Path


def patients(
    folder: Path, table: str, *, column: str | None = None, pattern: str | None = None
) -> list[str | None]:
    path = folder / "notes.csv"
    path.write_text(table)
    rule = PatientRule.of(column=column, pattern=pattern)
    return [pair.patient for pair in stream_pairs(path, ColumnsConfig(), patients=rule)]


HEAD = "doc_id,who,orig_text,annotated_text\n"


def test_a_column_tells_the_patient(tmp_path: Path) -> None:
    table = HEAD + "a,7,x,x\nb,7,x,x\n,8,x,x\n"
    assert patients(tmp_path, table, column="who") == ["7", "7", "8"]
    assert patients(tmp_path, table) == [None, None, None]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"^\d+", ["12", "7"]),
        (r"^(\d+)_(?:\d)", ["12", "7"]),
        (r"^(\d)(?P<patient>\d*)_\d", ["2", None]),
    ],
)
def test_an_expression_finds_the_patient_in_the_document_id(
    pattern: str, expected: list[str | None], tmp_path: Path
) -> None:
    table = HEAD + "12_1,,x,x\n" + ("7_3,,x,x\n" if expected[1] else "")
    assert patients(tmp_path, table, pattern=pattern) == [one for one in expected if one]


@pytest.mark.parametrize(
    ("row", "options", "problem"),
    [
        ("a, ,x,x", {"column": "who"}, "row 2: the column of --patient is empty. Name a patient"),
        (
            ",7,x,x",
            {"pattern": "^1"},
            "row 2: --patient-from looks for the patient in the document's",
        ),
        ("q,7,x,x", {"pattern": "^1"}, "document's id, and it has none. Give an expr"),
        ("q,7,x,x", {"pattern": "^(1?)"}, "document's id, and it has none. Give an expr"),
        ("1,8,x,x", {"column": "who"}, "row 2: another row of its document has another patient."),
        ("1,8,x,x", {"column": "nobody"}, "there is no column 'nobody'"),
    ],
)
def test_a_row_without_a_patient_is_refused(
    row: str, options: dict[str, str], problem: str, tmp_path: Path
) -> None:
    with pytest.raises(TableError) as caught:
        patients(tmp_path, f"{HEAD}1,7,x,x\n{row}\n", **options)
    assert problem in str(caught.value)


def test_bad_rules_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match="two ways to tell whose note a row is"):
        PatientRule.of(column="a", pattern="b")
    with pytest.raises(OptionError, match="--patient-from: this is not a regular expression: "):
        PatientRule.of(column=None, pattern="(")
    monkeypatch.setattr("annoseq.data.patients._SECONDS", 0.05)
    table = HEAD + "a" * 40 + "!,7,x,x\n"
    with pytest.raises(OptionError, match=r"row 1: --patient-from takes more than 0.05 seconds on"):
        patients(tmp_path, table, pattern=r"^(?:(a+)+)+$|(a|aa)+\d")

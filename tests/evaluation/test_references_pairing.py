from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from annoseq.data.markup import Span
from annoseq.data.pairs import Pair
from annoseq.errors import PairsError
from annoseq.evaluation.counts import SpanComparison, group_by_document
from annoseq.evaluation.references import GoldRow, pair_with_predictions

if TYPE_CHECKING:
    from pathlib import Path

GOLD = [
    GoldRow(str(row), Pair(text, text.replace("Ames", "{{N}}Ames{{/N}}"), row, document, start))
    for row, (text, document, start) in enumerate(
        [("Dr. Ames", "a", 0), ("came", "a", 9), ("Ames left", "b", 0)], 1
    )
]
FOUND: list[dict[str, object]] = [
    {"id": row.id, "text": row.pair.source, "spans": [{"start": 0, "end": 4, "label": "N"}]}
    for row in GOLD
]


def compare(
    path: Path, records: list[dict[str, object]], gold: list[GoldRow] | None = None
) -> list[SpanComparison]:
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    rows = pair_with_predictions(
        gold or GOLD, path, name="gold.csv", is_unseen=lambda text: text == "came"
    )
    return list(rows)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "found.jsonl"


def problem(path: Path, records: list[dict[str, object]], gold: list[GoldRow] | None = None) -> str:
    with pytest.raises(PairsError) as caught:
        compare(path, records, gold)
    assert "Ames" not in str(caught.value)
    return str(caught.value)


def test_rows_meet_their_predictions(path: Path) -> None:
    rows = compare(path, FOUND)
    assert rows[0] == SpanComparison(
        "1", "Dr. Ames", (Span(4, 8, "N"),), (Span(0, 4, "N"),), "Dr. {{N}}Ames{{/N}}", None,
        "a", 0, is_unseen=False,
    )  # fmt: skip
    assert [row.is_unseen for row in rows] == [False, True, False]
    assert [[row.id for row in rows] for rows in group_by_document(rows)] == [["1", "2"], ["3"]]


def test_rows_without_documents_are_documents() -> None:
    rows = [SpanComparison("1", "", (), ())] * 2
    assert list(group_by_document(rows)) == [[rows[0]], [rows[1]]]


def test_another_order_is_named(path: Path) -> None:
    assert problem(path, [FOUND[0], FOUND[2], FOUND[1]]) == (
        f"{path}: row 2 (line 2): found another id than that of gold.csv: row 2, whose prediction "
        "is number 3. Bring the predictions into the order of the table."
    )


def test_a_missing_prediction_is_named(path: Path) -> None:
    missing = (
        "gold.csv: row {}: there is no prediction with this row's id among 2. "
        "Ids are row numbers, counted from 1, unless --id names the column that holds them."
    )
    assert problem(path, [FOUND[0], FOUND[2]]) == missing.format(2)
    assert problem(path, FOUND[:2]) == missing.format(3)


def test_a_prediction_too_many_is_named(path: Path) -> None:
    assert problem(path, [*FOUND, {**FOUND[0], "id": "4"}]) == (
        f"{path}: row 4 (line 4): there is a prediction, but gold.csv has no more rows. "
        "Score predictions of this table, one for each row."
    )


def test_an_id_that_is_there_twice_is_named(path: Path) -> None:
    twice = (
        "its id is that of several rows or predictions (prediction {} is the first). "
        "Give each row an id of its own."
    )
    records = [FOUND[0], FOUND[0], FOUND[1], FOUND[1], FOUND[2]]
    assert problem(path, records) == "gold.csv: row 2: " + twice.format(3)
    gold = [GOLD[0], GOLD[1], GoldRow("2", GOLD[2].pair)]
    assert problem(path, FOUND[:2], gold) == "gold.csv: row 3: " + twice.format(2)


def test_another_text_is_named(path: Path) -> None:
    place = f"{path}: row 2 (line 2): its text differs from that of gold.csv: row 2 at character"
    other = {**FOUND[1], "text": "cane with Ames"}
    assert problem(path, [FOUND[0], other, FOUND[2]]) == (
        f"{place} 2. Score predictions for the very texts of the table."
    )
    bare: dict[str, object] = {"id": "2", "annotated": "{{N}}came{{/N}} Ames"}
    assert problem(path, [FOUND[0], bare, FOUND[2]]) == (
        f"{place} 4. If the tool changed it, give the text that it read as `text`."
    )


def test_gold_that_is_not_its_source_plus_tags_is_named(path: Path) -> None:
    gold = [GoldRow("1", Pair("Dr. Ames", "Dr. {{N}}Ames", 1))]
    assert problem(path, FOUND[:1], gold) == (
        "gold.csv: row 1: {{N}} is never closed, at character 4. Add {{/N}}. "
        "`annoseq check` shows every such row of the table."
    )

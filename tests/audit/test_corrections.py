"""The table of suspected errors, and corrected pairs."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

from annoseq.audit.corrections import (
    COLUMNS,
    Correction,
    apply_corrections,
    read_corrections,
    write_label_errors,
)
from annoseq.audit.label_errors import LabelError
from annoseq.data.examples import parse_pair
from annoseq.data.markup import Span
from annoseq.data.pairs import Pair
from annoseq.errors import PairsError, TableError

if TYPE_CHECKING:
    from pathlib import Path

PAIR = Pair("Dr. Ada Ames of Bonn", "Dr. {{NAME}}Ada{{/NAME}} Ames of Bonn", row=3, document="d")
OTHER = Pair("Seen.", "Seen.", row=4, document="d")
ADA, BOTH, BONN = Span(4, 7, "NAME"), Span(4, 12, "NAME"), Span(16, 20, "CITY")
EDGE = LabelError(parse_pair(PAIR), "wrong edge", ADA, BOTH, 0.05, 0.95)
MISSED = LabelError(parse_pair(PAIR), "missed", None, BONN, 0.3, 0.7)
GONE = LabelError(parse_pair(PAIR), "spurious", ADA, None, 0.2, 0.5)


def table_of(folder: Path, *errors: LabelError, accept: str = "", context: int = 4) -> Path:
    """Write errors, all with the same word in the column `accept`."""
    path = folder / "audit.csv"
    write_label_errors(errors, path, context=context, overwrite=True)
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{**row, "accept": accept} for row in csv.DictReader(file)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(COLUMNS))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_the_table_has_the_error_the_suggestion_and_the_context(tmp_path: Path) -> None:
    path = table_of(tmp_path, EDGE, MISSED, GONE)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:10] == [
        *("row", "doc_id", "start", "end", "label", "problem"),
        *("suggested_start", "suggested_end", "suggested_label", "score"),
    ]
    assert list(rows[0].values()) == [
        *("3", "d", "4", "7", "NAME", "wrong edge", "4", "12", "NAME", "0.9000"),
        *("0.0500", "0.9500", "Dr. [{Ada] Ames} of ", ""),
    ]
    assert (rows[1]["start"], rows[1]["context"]) == ("", " of {Bonn}")
    assert (rows[2]["suggested_start"], rows[2]["context"]) == ("", "Dr. [Ada] Ame")


def test_without_context_there_is_no_text(tmp_path: Path) -> None:
    assert "Ada" not in table_of(tmp_path, EDGE, context=0).read_text()


@pytest.mark.parametrize(
    ("accept", "least_score", "count"),
    [("", None, 0), ("no", 0.5, 0), ("YES", None, 2), (" x ", None, 2), ("", 0.5, 1), ("", 0, 2)],
)
def test_corrections_are_accepted_by_word_or_by_score(
    accept: str, least_score: float | None, count: int, tmp_path: Path
) -> None:
    path = table_of(tmp_path, EDGE, MISSED, accept=accept)
    assert len(read_corrections(path, least_score=least_score)) == count


def test_corrected_pairs_have_the_suggested_spans_and_the_others_are_as_they_were(
    tmp_path: Path,
) -> None:
    corrections = read_corrections(table_of(tmp_path, EDGE, MISSED, accept="yes"))
    corrected, same = apply_corrections([PAIR, OTHER], corrections, name="audit.csv")
    assert corrected.target == "Dr. {{NAME}}Ada Ames{{/NAME}} of {{CITY}}Bonn{{/CITY}}"
    assert (corrected.source, corrected.row, corrected.document) == (PAIR.source, 3, "d")
    assert same is OTHER
    gone = read_corrections(table_of(tmp_path, GONE, accept="yes"))
    assert next(apply_corrections([PAIR], gone, name="audit.csv")).target == PAIR.source


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("accept", "perhaps", "the column 'accept' holds neither yes nor no."),
        ("row", "", "there is no row number, or neither a span nor a suggested one."),
        ("start", "four", "'start', 'end' and 'label' do not hold two whole numbers and a label."),
        ("suggested_label", "", "'suggested_start', 'suggested_end' and 'suggested_label' do not"),
    ],
)
def test_a_table_that_was_spoiled_is_told(
    column: str, value: str, problem: str, tmp_path: Path
) -> None:
    path = table_of(tmp_path, EDGE, accept="yes")
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{**row, column: value} for row in csv.DictReader(file)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(COLUMNS))
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(TableError) as caught:
        read_corrections(path)
    assert str(caught.value).startswith(f"{path}: row 1: {problem}")


@pytest.mark.parametrize(
    ("corrections", "problem"),
    [
        (
            [Correction(9, 1, "d", ADA, BOTH)],
            "the pairs have no row 9 of its document. Give the pairs that were audited.",
        ),
        (
            [Correction(3, 1, "e", ADA, BOTH)],
            "the pairs have no row 3 of its document. Give the pairs that were audited.",
        ),
        (
            [Correction(3, 1, "d", BONN, None)],
            "row 3 of the pairs has no such span. Give the pairs that were audited, and accept "
            "one correction of a span.",
        ),
        (
            [Correction(3, 1, "d", None, BOTH)],
            "the suggested span overlaps another annotation of row 3. Accept the correction of "
            "that one too, or neither.",
        ),
    ],
)
def test_corrections_that_do_not_fit_the_pairs_are_refused(
    corrections: list[Correction], problem: str
) -> None:
    with pytest.raises(PairsError) as caught:
        list(apply_corrections([PAIR], corrections, name="audit.csv"))
    assert str(caught.value) == f"audit.csv: row 1: {problem}"


def test_nested_annotations_may_get_a_nested_span() -> None:
    pair = Pair("Dr. Ada", "{{WHO}}Dr. {{NAME}}Ada{{/NAME}}{{/WHO}}", row=1)
    correction = Correction(1, 1, "", Span(4, 7, "NAME"), Span(0, 3, "TITLE"))
    (corrected,) = apply_corrections([pair], [correction], name="audit.csv")
    assert corrected.target == "{{WHO}}{{TITLE}}Dr.{{/TITLE}} Ada{{/WHO}}"

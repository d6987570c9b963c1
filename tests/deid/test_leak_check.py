"""Gold identifiers of redacted texts, and counts of those that were missed."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

from annoseq.config import ColumnsConfig
from annoseq.data.markup import Span
from annoseq.deid.leak_check import GoldIdentifiers, LeakCounts, count_leaks
from annoseq.deid.redaction import DetectedSpan, DocumentPart
from annoseq.errors import PairsError, TableError

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "Dr. Ames\nsaw Ida"
AMES, IDA = Span(4, 8, "NAME"), Span(13, 16, "NAME")


def table(folder: Path, *rows: tuple[str, ...], header: str = "doc_id,start") -> Path:
    path = folder / "gold.csv"
    with path.open("w", newline="") as file:
        names = [*header.split(","), "orig_text", "annotated_text"]
        csv.writer(file).writerows([names, *rows])
    return path


def test_a_document_is_put_together_from_its_rows(tmp_path: Path) -> None:
    rows = [
        ("a", "0", "Dr. Ames", "Dr. {{NAME}}Ames{{/NAME}}"),
        ("a", "9", "saw Ida", "saw {{NAME}}Ida{{/NAME}}"),
    ]
    gold = GoldIdentifiers.load(table(tmp_path, *rows))
    for name in ("a", "a.txt", "ward/a.txt"):
        assert gold.spans(DocumentPart(name, TEXT), is_row=False) == [AMES, IDA]
    with pytest.raises(PairsError, match=r"there is no gold for b.txt. Give --gold a table"):
        gold.spans(DocumentPart("b.txt", TEXT), is_row=False)
    with pytest.raises(PairsError, match=r"row 1 is not what stands in a.txt at its start"):
        gold.spans(DocumentPart("a.txt", "Other"), is_row=False)


def test_rows_are_compared_with_rows(tmp_path: Path) -> None:
    row = ("a", "0", "Dr. Ames", "Dr. {{NAME}}Ames{{/NAME}}")
    gold = GoldIdentifiers.load(table(tmp_path, row, ("a", "9", "x", "{{NAME}}y{{/NAME}}")))
    assert gold.spans(DocumentPart("1", "Dr. Ames"), is_row=True) == [AMES]
    with pytest.raises(PairsError, match=r"row 1 is of another text. Give --gold the same rows"):
        gold.spans(DocumentPart("1", "Dr. Bond"), is_row=True)
    with pytest.raises(PairsError, match="row 3 is missing"):
        gold.spans(DocumentPart("3", "Dr. Bond"), is_row=True)
    with pytest.raises(PairsError, match="the gold of 2: the annotated text without its tags"):
        gold.spans(DocumentPart("2", "x"), is_row=True)


def test_annotated_files_are_gold_for_files_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text("Dr. {{NAME}}Ames{{/NAME}}\nsaw {{NAME}}Ida{{/NAME}}")
    (tmp_path / "b.txt").write_text("nobody")
    gold = GoldIdentifiers.load(tmp_path)
    assert gold.spans(DocumentPart("sub/a.txt", TEXT), is_row=False) == [AMES, IDA]
    with pytest.raises(PairsError, match=r"there is no gold for c.txt. Give --gold an annotated"):
        gold.spans(DocumentPart("c.txt", TEXT), is_row=False)
    gold = GoldIdentifiers.load(tmp_path / "sub" / "a.txt")
    assert gold.spans(DocumentPart("elsewhere/a.txt", TEXT), is_row=False) == [AMES, IDA]


def test_a_table_of_gold_may_have_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "gold.csv"
    path.write_text("note,tagged\nDr. Ames,Dr. {{NAME}}Ames{{/NAME}}\n")
    columns = ColumnsConfig(source="note", target="tagged", document="absent", offset="absent")
    gold = GoldIdentifiers.load(path, columns=columns)
    assert gold.spans(DocumentPart("1", "Dr. Ames"), is_row=True) == [AMES]
    with pytest.raises(TableError, match="there is no column 'orig_text'"):
        GoldIdentifiers.load(path)


def test_leaks_count_documents_identifiers_and_characters() -> None:
    leaks = LeakCounts()
    first, last = DetectedSpan(0, 3, "X"), DetectedSpan(4, 8, "Y")
    name, age = Span(0, 8, "NAME"), Span(9, 11, "AGE")
    leaks.add("a", count_leaks([("Ida Ames", [name], [first, last])]))
    leaks.add("b", count_leaks([("Ida Ames 12", [name, age], [last])]))
    leaks.add("c", count_leaks([("nothing", [], [])]))
    words = [DetectedSpan(0, 7, "X"), DetectedSpan(11, 18, "X")]
    text = "Nothing of nothing"
    leaks.add("d", count_leaks([(text, [Span(8, 10, "NAME")], words)], counts_words=True))
    assert leaks.to_dict() == {
        "documents": 4,
        "documents_without_a_miss": 2,
        "share_without_a_miss": 0.5,
        "identifiers": 4,
        "missed": 3,
        "recall": 0.25,
        "characters": 18,
        "character_recall": 0.611111,
        "missed_by_label": {"NAME": 2, "AGE": 1},
        "documents_with_a_miss": ["b", "d"],
        "other_tokens": 3,
        "lost_tokens": 2,
        "over_redaction": 0.666667,
    }
    leaks.listed_words = 5
    assert leaks.to_dict()["lost_words"] == [{"word": "nothing", "lost": 2, "kept": 0}]


def test_punctuation_in_an_identifier_is_no_leak() -> None:
    name, parts = Span(0, 9, "NAME"), [DetectedSpan(0, 3, "X"), DetectedSpan(5, 8, "Y")]
    assert count_leaks([("Ida, Lim.", [name], parts)]).missed == {}
    assert count_leaks([("Ida+ Lim.", [name], parts)]).missed == {"NAME": 1}
    assert LeakCounts().to_dict()["share_without_a_miss"] is None


def test_characters_that_are_not_displayed_are_no_leak() -> None:
    name = Span(0, 5, "NAME")
    assert count_leaks([("Ames\xad", [name], [DetectedSpan(0, 4, "X")])]).missed == {}

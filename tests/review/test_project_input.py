from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.config import ColumnsConfig
from annoseq.data.markup import Span
from annoseq.errors import AnnoseqError, PairsError, TableError
from annoseq.review.project_input import (
    InputRow,
    fingerprint_input,
    make_documents,
    read_input,
    read_replay,
    read_suspected,
)
from tests.review.projects import AMES, BO, TEXT, rows_of

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "row,doc_id,start,end,label,problem,suggested_start,suggested_end,suggested_label,score"


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_table_with_annotated_texts_is_pairs(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "doc_id,orig_text,annotated_text", "d,Ames,{{A}}Ames{{/A}}")
    assert read_input(path, ColumnsConfig()) == [InputRow(1, "d", None, "Ames", (Span(0, 4, "A"),))]


def test_a_table_without_them_is_texts(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "doc_id,start,note", "d,7,Ames")
    assert read_input(path, ColumnsConfig(source="note")) == [InputRow(1, "d", 7, "Ames")]


def test_text_files_are_texts_by_their_names(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "one")
    write(tmp_path / "b.txt", "two\r")
    rows = read_input(tmp_path, ColumnsConfig())
    assert [(row.row, row.doc_id, row.text) for row in rows] == [
        (1, "a.txt", "one\n"),
        (2, "b.txt", "two\r\n"),
    ]


def test_a_row_that_does_not_fit_is_named_or_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "orig_text,annotated_text", "Ames,Bond", "Bo,{{A}}Bo{{/A}}")
    with pytest.raises(PairsError) as error:
        read_input(path, ColumnsConfig())
    assert str(error.value).startswith(f"{path}: row 1: the annotated text without its tags")
    assert "Bond" not in str(error.value)
    left_out: list[AnnoseqError] = []
    rows = read_input(path, ColumnsConfig(), on_bad=left_out.append)
    assert [row.row for row in rows] == [2]
    assert len(left_out) == 1


def test_the_random_share_is_drawn_in_whole_documents_from_the_seed() -> None:
    rows = [row._replace(doc_id=f"d{row.row // 2}") for row in rows_of([TEXT] * 40)]
    documents = make_documents(rows, seed=7, random_share=0.25)
    assert documents == make_documents(rows, seed=7, random_share=0.25)
    assert documents != make_documents(rows, seed=8, random_share=0.25)
    drawn = {document.doc_id for document in documents if document.in_random_share}
    assert len(drawn) == round(0.25 * 21)
    assert all(each.in_random_share == (each.doc_id in drawn) for each in documents)
    assert sorted(each.rank for each in documents) == list(range(40))
    assert max(each.rank for each in documents if each.in_random_share) < 12


def test_names_tell_the_rows_of_a_document_apart() -> None:
    rows = [
        InputRow(1, "a", 0, "x"),
        InputRow(2, "b", 0, "y"),
        InputRow(3, "b", 5, "z"),
        InputRow(4, None, None, "w"),
    ]
    names = [each.name for each in make_documents(rows, seed=1, random_share=0)]
    assert names == ["a", "b, row 2", "b, row 3", "row 4"]


def test_an_audit_is_read_by_row(tmp_path: Path) -> None:
    rows = rows_of([TEXT, TEXT], [(AMES, BO), ()])
    path = write(
        tmp_path / "audit.csv",
        HEAD,
        "1,doc-1,13,15,NAME,wrong edge,13,20,NAME,0.9",
        "2,doc-2,,,,missed,4,8,NAME,0.8",
        "1,doc-1,4,8,NAME,spurious,,,,0.2",
    )
    suspected = read_suspected(path, rows)
    assert [(each.problem, each.score) for each in suspected[1]] == [
        ("wrong edge", 0.9),
        ("spurious", 0.2),
    ]
    assert suspected[2][0].new == Span(4, 8, "NAME")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("7,doc-7,,,,missed,4,8,NAME,0.8", "row 7 of the pairs is not there"),
        ("1,other,,,,missed,4,8,NAME,0.8", "row 1 of the pairs is not there"),
        ("1,doc-1,5,8,NAME,spurious,,,,0.8", "has no such span"),
        ("1,doc-1,,,,missed,4,80,NAME,0.8", "the suggested span is outside the text of row 1"),
    ],
)
def test_an_audit_of_other_pairs_is_refused(tmp_path: Path, line: str, message: str) -> None:
    path = write(tmp_path / "audit.csv", HEAD, line)
    with pytest.raises(PairsError, match=message):
        read_suspected(path, rows_of([TEXT], [(AMES,)]))


def test_inputs_with_the_same_texts_and_spans_have_the_same_fingerprint() -> None:
    rows = rows_of([TEXT], [(AMES,)])
    assert fingerprint_input(rows) == fingerprint_input(rows_of([TEXT], [(AMES,)]))
    assert fingerprint_input(rows) != fingerprint_input(rows_of([TEXT], [(BO,)]))


def test_pairs_to_replay_are_examples(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "orig_text,annotated_text", "Ames,{{A}}Ames{{/A}}")
    (example,) = read_replay(path)
    assert example.spans == (Span(0, 4, "A"),)


def test_a_column_of_annotated_texts_that_is_named_must_be_there(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "orig_text,annotated_text", "Ames,{{A}}Ames{{/A}}")
    with pytest.raises(TableError, match="anotated"):
        read_input(path, ColumnsConfig(target="anotated"), requires_target=True)

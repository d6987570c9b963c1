from __future__ import annotations

import json
from traceback import format_exception
from typing import TYPE_CHECKING, Any

import pytest

from annoseq.data.markup import Span
from annoseq.errors import TableError
from annoseq.formats.annoseq_output import OutputRow, is_annoseq_output, read_ids, read_output

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "Dr. Ames 😀 came"
GOOD = {"start": 4, "end": 8, "label": "NAME"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "predictions.jsonl"


def read_records(path: Path, *records: Any) -> list[OutputRow]:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return list(read_output(path))


def problem(path: Path, record: Any) -> str:
    with pytest.raises(TableError) as caught:
        read_records(path, {"id": 1, "text": "x", "spans": []}, record)
    message = str(caught.value)
    assert "Ames" not in message
    assert message.startswith(f"{path}: row 2 (line 2): ")
    return message.removeprefix(f"{path}: row 2 (line 2): ")


def test_spans_are_read(path: Path) -> None:
    score = {"start": 9, "end": 10, "label": "FACE", "text": "😀", "score": 0.25, "more": None}
    [row] = read_records(path, {"id": 1, "text": TEXT, "spans": [GOOD, score], "windows": 1})
    assert (row.id, row.text, row.annotated, row.has_text) == ("1", TEXT, None, True)
    assert row.spans == (Span(4, 8, "NAME"), Span(9, 10, "FACE"))
    assert [span.score for span in row.spans] == [None, 0.25]


def test_an_annotated_text_alone_is_enough(path: Path) -> None:
    [row] = read_records(path, {"id": "a", "annotated": "Dr. {{NAME}}Ames{{/NAME}}"})
    assert (row.text, row.spans, row.has_text) == ("Dr. Ames", (Span(4, 8, "NAME"),), False)


@pytest.mark.parametrize(
    "annotated", ["Dr. {{NAME}}Bond{{/NAME}} 😀 came", "Dr. {{NAME}}Ames 😀 came", "{{/X}}"]
)
def test_another_text_plus_tags_has_no_spans(path: Path, annotated: str) -> None:
    [row] = read_records(path, {"id": 1, "text": TEXT, "spans": None, "annotated": annotated})
    assert (row.spans, row.annotated) == (None, annotated)


def test_columns_of_evaluate_are_known(path: Path) -> None:
    [row] = read_records(
        path, {"row": 3, "source": "a b", "target": "", "output": "a {{X}}b{{/X}}"}
    )
    assert (row.id, row.text, row.spans) == ("3", "a b", (Span(2, 3, "X"),))


def test_tables_hold_spans_as_json(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text('id,text,spans\n7,Dr. Ames,"[{""start"":4,""end"":8,""label"":""N""}]"\n8,b,\n')
    first, second = read_output(path)
    assert (first.id, first.spans) == ("7", (Span(4, 8, "N"),))
    assert (second.text, second.spans) == ("b", None)
    path.write_text("id,text,spans\n7,Dr. Ames,[{\n")
    with pytest.raises(TableError) as caught:
        list(read_output(path))
    assert str(caught.value) == (
        f"{path}: row 1: column 'spans': this is not valid JSON: the fault is at character 2. "
        "Write a list of objects with start, end and label."
    )


def test_ids_alone(path: Path) -> None:
    read_records(path, {"id": 1, "text": "x", "spans": []}, {"id": "b", "text": "x", "spans": []})
    path.write_text(path.read_text() + '{"id": true}\n\n{}\n')
    assert list(read_ids(path)) == ["1", "b", None, None]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ([], "this is not a JSON object. Write one JSON object per line."),
        (
            {"text": "x", "spans": []},
            "this row has no id. Give each the id of its text: the number of its row, counted "
            "from 1, or what the column of --id holds.",
        ),
        (
            {"id": 1, "spans": []},
            "found neither an annotated text nor a text with spans. "
            "Write `text` and `spans`, or `annotated`.",
        ),
        (
            {"id": 1, "text": TEXT, "spans": {"a": 1}},
            "'spans' is not a list. Write a list of objects.",
        ),
        *(
            (
                {"id": 1, "text": TEXT, "spans": [GOOD, bad]},
                "span 2: expected an object with the whole numbers start and end and the text "
                "label.",
            )
            for bad in (
                {**GOOD, "end": 8.0},
                {**GOOD, "start": True},
                {**GOOD, "label": 1},
                "x",
                {},
            )
        ),
        *(
            (
                {"id": 1, "text": TEXT, "spans": [{**GOOD, "start": start, "end": end}]},
                f"span 1: it is from {start} to {end}, and the text has 15 characters. "
                "Count code points from 0, the end excluded.",
            )
            for start, end in ((4, 16), (4, 4), (-1, 2))
        ),
        (
            {"id": 1, "text": TEXT, "spans": [{**GOOD, "text": "mes "}]},
            "span 1: its own text is not the text from 4 to 8. "
            "Count code points (not bytes or UTF-16 units) from 0, the end excluded.",
        ),
        (
            {"id": 1, "text": TEXT, "spans": [{**GOOD, "label": "a name"}]},
            "span 1: its label cannot stand in a tag. "
            "Use a label without white space, braces and backslashes.",
        ),
        *(
            (
                {"id": 1, "text": TEXT, "spans": [{**GOOD, "score": score}]},
                "span 1: its score is not a probability. Give a number from 0 to 1.",
            )
            for score in (1.5, -0.1, "high", True)
        ),
    ],
)
def test_an_invalid_row_is_named_by_row_and_field(path: Path, record: Any, expected: str) -> None:
    assert problem(path, record) == expected


def test_a_line_that_is_not_json_is_refused(path: Path) -> None:
    path.write_text('{"id": 1,\n')
    with pytest.raises(TableError) as caught:
        list(read_output(path))
    assert str(caught.value) == (
        f"{path}: row 1 (line 1): this is not valid JSON: the fault is at character 10. "
        "Write one JSON object per line."
    )
    path.write_bytes(b'{"id": "\xff"}\n')
    with pytest.raises(TableError, match="which is not UTF-8 text"):
        list(read_output(path))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"id": True, "text": "x", "spans": []}, "this row has no id. "),
        ({"id": 1, "text": 3, "spans": []}, "the field 'text' holds a number where a text was "),
        ({"id": 1, "annotated": [TEXT]}, "the field 'annotated' holds a list where a text was "),
        ({"id": 1, "text": "\ud800", "spans": []}, "the field 'text' holds half a character. "),
        ({"id": "\ud800", "text": "", "spans": []}, "the field 'id' holds half a character. "),
        ({"id": 1, "text": "a", "spans": [{**GOOD, "text": 1}]}, "span 1: its own text is no text"),
    ],
)
def test_a_field_of_another_type_is_named(path: Path, record: Any, expected: str) -> None:
    assert problem(path, record).startswith(expected)


def test_nothing_of_a_row_is_quoted_even_by_the_traceback(path: Path) -> None:
    path.write_text(json.dumps({"id": 1, "text": TEXT, "spans": [{**GOOD, "label": TEXT}]}))
    with pytest.raises(TableError) as caught:
        list(read_output(path))
    assert "Ames" not in "".join(format_exception(caught.value))


def test_documents_and_offsets_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text("id,doc_id,start,text,spans\n1,a,7,x,[]\n2,,,y,[]\n3,b,7:30,z,[]\n")
    rows = [(row.document, row.start) for row in read_output(path)]
    assert rows == [("a", 7), ("", None), ("b", "7:30")]


def test_the_output_of_annotate_is_recognised(path: Path, tmp_path: Path) -> None:
    read_records(path, {"id": 1, "text": "x", "spans": []})
    assert is_annoseq_output(path)
    path.write_text('{"orig_text": "x", "annotated_text": "x"}\n')
    assert not is_annoseq_output(path)
    table = tmp_path / "pairs.csv"
    table.write_text("orig_text,text\nx,x\n")
    assert not is_annoseq_output(table)
    table.write_text("id,text,spans\n1,x,\n")
    assert is_annoseq_output(table)

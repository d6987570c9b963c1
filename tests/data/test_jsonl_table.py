from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.data.jsonl_table import read_jsonl, write_jsonl
from annoseq.data.table_rows import ColumnSelection, TableRow
from annoseq.errors import TableError
from tests.data.strategies import texts

WANTED = ColumnSelection(("a", "b"), optional=("doc",))


def read(data: bytes, wanted: ColumnSelection = WANTED) -> list[TableRow]:
    stream: Any = io.BufferedReader(io.BytesIO(data))
    rows: list[TableRow] = []
    for row in read_jsonl(stream, "t.jsonl", wanted):
        if isinstance(row, TableError):
            raise row
        rows.append(row)
    return rows


def message(data: bytes, wanted: ColumnSelection = WANTED) -> str:
    with pytest.raises(TableError) as caught:
        read(data, wanted)
    return str(caught.value)


def test_rows_are_objects_of_texts() -> None:
    data = b'\xef\xbb\xbf{"b": "0012", "x": [1, {"a": 2}], "a": "\\r\\n\\u0000"}\r\n\n \n'
    assert read(data + b'{"a":"","b":"NA"}') == [
        TableRow(1, {"a": "\r\n\0", "b": "0012"}),
        TableRow(2, {"a": "", "b": "NA"}),
    ]


def test_surrogate_pairs_are_one_character() -> None:
    assert read(b'{"a": "\\ud83d\\ude00", "b": ""}')[0].values["a"] == "\U0001f600"


def test_keys_may_be_whole_numbers() -> None:
    wanted = ColumnSelection(("a",), keys=("k",), optional=("doc",))
    assert read(b'{"a": "x", "k": 12, "doc": -3}', wanted) == [
        TableRow(1, {"a": "x", "k": "12", "doc": "-3"})
    ]


def test_whole_numbers_of_floating_point_are_whole() -> None:
    wanted = ColumnSelection(("a",), keys=("k",), nullable=("n",), fractions=("n",))
    rows = read(b'{"a": "x", "k": 3.0, "n": 0.5}\n{"a": "", "k": -1e3, "n": null}', wanted)
    assert [row.values for row in rows] == [
        {"a": "x", "k": "3", "n": "0.5"},
        {"a": "", "k": "-1000"},
    ]


@pytest.mark.parametrize("missing", [b"null", b"NaN"])
def test_an_optional_column_may_lack_a_value(missing: bytes) -> None:
    rows = read(b'{"a": "", "b": "", "doc": %s}\n{"a": "", "b": "", "doc": "d"}' % missing)
    assert [row.values.get("doc") for row in rows] == [None, "d"]


def test_a_key_may_not_lack_a_value() -> None:
    assert message(b'{"a": "", "k": null}', ColumnSelection(("a",), keys=("k",))).startswith(
        "t.jsonl: row 1 (line 1): column 'k' holds null where a text or a whole number was "
    )


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        *[("1", "a number"), ("1.5", "a number"), ("null", "null"), ("true", "true or false")],
        *[("[]", "a list"), ("{}", "an object"), ("NaN", "a number")],
    ],
)
def test_a_text_that_is_none_is_named_by_row_column_and_type(value: str, kind: str) -> None:
    assert message(b'{"a": "x", "b": "y"}\n\n{"a": "x", "b": %s}' % value.encode()) == (
        f"t.jsonl: row 2 (line 3): column 'b' holds {kind} where a text was expected. "
        "Write texts in double quotes."
    )


@pytest.mark.parametrize(
    ("value", "kind"),
    [("1.5", "a fraction"), ("true", "true or false"), ("-Infinity", "an infinite number")],
)
def test_a_key_that_is_neither_is_named_too(value: str, kind: str) -> None:
    assert message(b'{"a": "x", "b": "y", "doc": %s}' % value.encode()) == (
        f"t.jsonl: row 1 (line 1): column 'doc' holds {kind} where a text or a whole number "
        "was expected. Write texts in double quotes."
    )


def test_a_missing_column_is_named_by_row() -> None:
    assert message(b'{"a": "x", "b": "y"}\n{"a": "x"}') == (
        "t.jsonl: row 2 (line 2): there is no column 'b'. Its columns are 'a'. Name one of these."
    )
    assert message(b"{}") == ("t.jsonl: row 1 (line 1): there is no column 'a'. It has no columns.")


def test_a_column_that_is_there_twice_is_an_error() -> None:
    assert message(b'{"a": "x", "b": "y", "a": "z"}') == (
        "t.jsonl: row 1 (line 1): the column 'a' is there 2 times. Rename or remove all but one."
    )


@pytest.mark.parametrize("with_first", [True, False])
def test_an_optional_column_is_in_every_row_or_in_none(with_first: bool) -> None:
    rows = [b'{"a": "", "b": "", "doc": "d"}', b'{"a": "", "b": ""}']
    assert message(b"\n".join(rows if with_first else rows[::-1])) == (
        "t.jsonl: row 2 (line 2): the column 'doc' is in this row or in row 1, but not in both. "
        "Give it to every row or to none."
    )


def test_invalid_json_is_named_by_row_and_character() -> None:
    assert message(b'{"a": "", "b": ""}\n{"a": secret}') == (
        "t.jsonl: row 2 (line 2): this is not valid JSON: the fault is at character 6. "
        "Write one JSON object per line."
    )
    assert "character 18" in message(b'{"a": "", "b": ""}{"a": "", "b": ""}')


@pytest.mark.parametrize(
    ("value", "kind"), [("[[]]", "a list"), ("3", "a number"), ('""', "a text")]
)
def test_a_line_that_is_no_object_is_an_error(value: str, kind: str) -> None:
    assert message(value.encode()) == (
        f"t.jsonl: row 1 (line 1): found {kind} where a JSON object was expected. "
        "Write one JSON object per line."
    )


def test_deep_nesting_is_an_error() -> None:
    assert message(b'{"a": ' + b"[" * 200_000) == (
        "t.jsonl: row 1 (line 1): the JSON is nested too deeply. Flatten it."
    )


def test_a_kept_object_has_each_name_once() -> None:
    row = b'{"a": "x", "n": [{"y": 1, "z": 2, "y": 3}]}'
    assert message(row, ColumnSelection(("a",), kept=("n",))) == (
        "t.jsonl: row 1 (line 1): column 'n' holds an object with a name twice. Remove all but one."
    )


@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"y":', "}")])
def test_a_kept_value_is_nested_a_hundred_levels_deep_at_most(begin: str, end: str) -> None:
    def row(levels: int) -> bytes:
        return f'{{"a": "x", "n": {begin * levels}1{end * levels}}}'.encode()

    wanted = ColumnSelection(("a",), kept=("n",))
    assert read(row(100), wanted)
    assert message(row(101), wanted) == (
        "t.jsonl: row 1 (line 1): column 'n' is nested more than 100 levels deep. Flatten it."
    )


def test_a_number_with_too_many_digits_is_an_error() -> None:
    assert message(b'{"x": ' + b"1" * 5000 + b"}") == (
        "t.jsonl: row 1 (line 1): a number has too many digits. Write it as text, in double quotes."
    )


def test_a_lone_surrogate_is_an_error() -> None:
    assert message(b'{"a": "x", "b": "\\ud800"}') == (
        "t.jsonl: row 1 (line 1): column 'b' holds a lone surrogate, which is half a character. "
        "Write the character whole."
    )


@pytest.mark.parametrize(
    ("kept", "found"),
    [
        ('"\\ud800": 1', "the name of column 2"),
        ('"x": {"\\ud800": 1}', "column 'x'"),
        ('"x": [{"y": "\\udfff"}]', "column 'x'"),
        ('"Ms Ames": "\\ud800"', "column (column 2, whose name is no identifier)"),
    ],
)
def test_a_lone_surrogate_in_a_kept_column_is_an_error(kept: str, found: str) -> None:
    wanted = ColumnSelection(("a",), keeps_others=True)
    assert message(b'{"a": "x", %s}' % kept.encode(), wanted) == (
        f"t.jsonl: row 1 (line 1): {found} holds a lone surrogate, which is half a character. "
        "Write the character whole."
    )
    assert read(b'{"a": "x", %s}' % kept.encode(), ColumnSelection(("a",)))[0].kept == {}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("1e999", "an infinite number"),
        ("[-Infinity]", "an infinite number"),
        ('{"y": NaN}', "NaN (no number)"),
    ],
)
def test_a_kept_number_that_is_not_finite_is_an_error(value: str, kind: str) -> None:
    row = b'{"a": "x", "n": %s}' % value.encode()
    assert message(b'{"a": "x", "n": 1e308}\n' + row, ColumnSelection(("a",), kept=("n",))) == (
        f"t.jsonl: row 2 (line 2): column 'n' holds {kind} where one up to 1.8e308 was expected. "
        "Write null, or a text in double quotes."
    )


def test_a_byte_that_is_not_utf_8_is_named_with_its_place() -> None:
    assert message(b'{"a": "", "b": ""}\n{"a": "\xe9"}').startswith(
        "t.jsonl: row 2 (line 2): found the byte 0xE9 at offset 26 "
    )


def test_an_empty_table_yields_nothing() -> None:
    assert read(b"") == read(b"\n \n") == []


@settings(max_examples=40, deadline=None)
@given(records=st.lists(st.tuples(texts, texts), min_size=1, max_size=4))
def test_what_is_written_is_read(records: list[tuple[str, str]]) -> None:
    stream = io.BytesIO()
    write_jsonl(records, stream, ["a", "b"])
    assert [(row.values["a"], row.values["b"]) for row in read(stream.getvalue())] == records

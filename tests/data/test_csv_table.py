from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.data.csv_table import read_csv, write_csv
from annoseq.data.table_rows import ColumnSelection, TableRow
from annoseq.data.tables import read_rows
from annoseq.errors import OptionError, TableError
from tests.data.strategies import texts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


RECORDS = st.lists(st.tuples(texts, texts), min_size=1, max_size=4)
THOROUGH = settings(max_examples=40, deadline=None)


def read(data: bytes, columns: Sequence[str] = ("a", "b"), delimiter: str = ",") -> list[TableRow]:
    stream: Any = io.BufferedReader(io.BytesIO(data))
    rows: list[TableRow] = []
    for row in read_csv(stream, "t.csv", ColumnSelection(tuple(columns)), delimiter=delimiter):
        if isinstance(row, TableError):
            raise row
        rows.append(row)
    return rows


def fields(data: bytes, delimiter: str = ",") -> list[tuple[str, ...]]:
    return [tuple(row.values.values()) for row in read(data, delimiter=delimiter)]


def message(data: bytes, columns: Sequence[str] = ("a", "b")) -> str:
    with pytest.raises(TableError) as caught:
        read(data, columns)
    return str(caught.value)


@pytest.mark.parametrize(
    "field",
    [
        *["0012", "1.0", "NA", "nan", "None", "null", "true", "", " ", "  x  ", "\tx\t", "'", "#x"],
        *["\x00", "a\x00b", "\x1a", "\x1c", "\x85", "\u2028", "\ufeff", "\\", 'in"side', "=1+1"],
    ],
)
def test_a_bare_field_stays_as_it_is(field: str) -> None:
    assert fields(f"a,b\n{field},{field}\n".encode()) == [(field, field)]


@pytest.mark.parametrize(
    "field",
    [
        "0012",
        "",
        " ",
        '"',
        '""',
        ",",
        "\n",
        "\r",
        "\r\n",
        "\n\r",
        "a,\r\n\r\nb\r",
        "\n\n",
        "NA",
        "\0",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_quoted_field_stays_as_it_is(field: str, end: str) -> None:
    quoted = '"' + field.replace('"', '""') + '"'
    data = f"a,b{end}{quoted},{quoted}{end}x,y{end}"
    assert fields(data.encode()) == [(field, field), ("x", "y")]


def test_where_the_header_ends_in_lf_every_carriage_return_is_data() -> None:
    assert fields(b"a,b\n\rx\ry\r,z\r\n1,2\n") == [("\rx\ry\r", "z\r"), ("1", "2")]


def test_where_the_header_ends_in_cr_lf_one_return_belongs_to_the_row_end() -> None:
    assert fields(b"a,b\r\nx\ry,z\r\r\n1,2\r\n3,4\n") == [("x\ry", "z\r"), ("1", "2"), ("3", "4")]


def test_the_last_line_of_a_header_decides() -> None:
    assert read(b'"a\r\nb",c\nx,y\r\n', ["a\r\nb", "c"]) == [
        TableRow(1, {"a\r\nb": "x", "c": "y\r"})
    ]
    assert read(b'"a\nb",c\r\nx,y\r\n', ["a\nb", "c"]) == [TableRow(1, {"a\nb": "x", "c": "y"})]


def test_a_column_name_may_hold_a_carriage_return() -> None:
    assert read(b"a\rb,c\nx,y\n", ["a\rb"]) == [TableRow(1, {"a\rb": "x"})]


def test_the_last_row_needs_no_line_end() -> None:
    assert fields(b'a,b\n1,2\n3,"4"') == [("1", "2"), ("3", "4")]


def test_blank_lines_between_rows_are_skipped_and_not_counted() -> None:
    rows = read(b"\n\na,b\n\n1,2\n\n\n3,4\n\n")
    assert [(row.number, row.values["a"]) for row in rows] == [(1, "1"), (2, "3")]
    assert fields(b"\r\na,b\r\n\r\n1,2\r\n") == [("1", "2")]


def test_an_empty_field_in_quotes_is_no_blank_line() -> None:
    assert read(b'a\n""\n\n', ["a"]) == [TableRow(1, {"a": ""})]


def test_only_the_wanted_columns_are_given_in_the_order_wanted() -> None:
    assert read(b"x,b,y,a\n1,2,3,4\n", ["a", "b"]) == [TableRow(1, {"a": "4", "b": "2"})]


def test_a_byte_order_mark_is_dropped_and_only_at_the_start() -> None:
    data = "\ufeffa,b\n\ufeff1,2\n".encode()
    assert fields(data) == [("\ufeff1", "2")]
    assert fields('\ufeff"a",b\n1,2\n'.encode()) == [("1", "2")]


def test_other_columns_may_be_there_twice_or_have_no_name() -> None:
    assert fields(b",x,x,a,b\n0,1,2,3,4\n") == [("3", "4")]


def test_tab_separates_tsv() -> None:
    assert fields(b'a\tb\n1,5\t"2\t3"\n', "\t") == [("1,5", "2\t3")]


def test_a_field_may_be_longer_than_csv_allows_by_default() -> None:
    before = csv.field_size_limit(1000)
    try:
        assert len(fields(b"a,b\n" + b"short,short\n" * 200)) == 200
        assert csv.field_size_limit() == 1000  # short rows leave the global limit alone
        long, lines = "x" * 300_000, "line\n" * 30_000
        assert fields(f'a,b\n{long},"{lines}"\n1,2\n'.encode()) == [(long, lines), ("1", "2")]
    finally:
        csv.field_size_limit(before)


@pytest.mark.parametrize(
    ("row", "found"), [("1", "1 field"), ("1,2,3", "3 fields"), ("1,2,", "3 fields")]
)
def test_a_row_with_too_few_or_too_many_fields_is_named(row: str, found: str) -> None:
    assert message(f'a,b\n"x\ny",2\n\n{row}\n5,6\n'.encode()) == (
        f"t.csv: row 2 (line 5): found {found} where the header has 2. "
        "Put quotes around fields that hold delimiters or line breaks."
    )


def test_a_quote_that_is_never_closed_is_named_by_the_row_that_opens_it() -> None:
    assert message(b'a,b\n1,2\n3,"secret\n5,6\n7,8\n') == (
        "t.csv: row 2 (line 3): found the end of the table inside a quoted field. "
        "Close the quote, or double it."
    )
    assert message(b'a,"b\n1,2\n').startswith("t.csv: the header (line 1): found the end of the")


def test_text_after_a_closing_quote_is_an_error() -> None:
    expected = (
        "t.csv: row 2 (line 3): found text after a closing quote. Double the quotes inside a "
        "quoted field, and end all rows as the header ends."
    )
    assert message(b'a,b\n1,2\n"secret" x,4\n') == expected
    assert message(b'a,b\n1,2\n3,"4"\r\n') == expected


def test_a_table_with_only_carriage_returns_is_an_error() -> None:
    assert message(b"a,b\r1,2\r3,4\r") == (
        "t.csv: the header (line 1): the table has no line feeds (LF), only carriage returns "
        "(CR), as on old Macs. Save it with LF or CR LF line ends."
    )


def test_a_byte_that_is_not_utf_8_is_named_with_its_place() -> None:
    assert message(b"a,b\n1,2\n3,caf\xe9\n") == (
        "t.csv: row 2 (line 3): found the byte 0xE9 at offset 13 (uncompressed, counted from 0), "
        "which is not UTF-8 text. Save the table as UTF-8, or name its encoding, such as "
        "--encoding cp1252 (Excel in Western Europe)."
    )


def test_the_place_of_a_bad_byte_is_exact_far_into_the_file_and_after_a_mark() -> None:
    head = b"\xef\xbb\xbfa,b\n" + b"12345,67890\n" * 30_000
    assert message(head + b"1,\xff").startswith(
        f"t.csv: row 30001 (line 30002): found the byte 0xFF at offset {len(head) + 2} "
    )


def test_a_character_cut_off_by_a_line_end_is_not_utf_8() -> None:
    assert "row 1 (line 2): found the byte 0xE2 at offset 6 " in message(b"a,b\n1,\xe2\x82\n1,2\n")


def test_a_surrogate_is_not_utf_8() -> None:
    assert "row 1 (line 2): found the byte 0xED at offset 4 " in message(b"a,b\n\xed\xb0\x8d,1\n")


def test_a_missing_column_is_named_with_those_that_are_there() -> None:
    assert message(b"a,c,\n1,2,3\n") == (
        "t.csv: there is no column 'b'. Its columns are 'a', 'c', and column 3, whose "
        "name is no identifier. Name one of these."
    )


def test_at_most_twenty_columns_are_listed_and_a_text_is_not_quoted() -> None:
    header = ",".join(["Mr. Smith, who came to us on Monday, was well".replace(",", ""), *"a" * 24])
    shown = ", ".join(["'a'"] * 20)
    assert message(f"{header}\n".encode(), ["b"]) == (
        f"t.csv: there is no column 'b'. The first 20 of its 25 columns are {shown}. "
        "Name one of these."
    )


def test_names_that_are_no_identifiers_are_counted_and_placed() -> None:
    assert message(b"a,Ms Ames came,b,x y\n", ["c"]) == (
        "t.csv: there is no column 'c'. Its columns are 'a', 'b', and columns 2, 4, whose "
        "names are no identifiers. Name one of these."
    )
    assert message(b"Ms Ames came,Ms Bond left\n", ["c"]) == (
        "t.csv: there is no column 'c'. It has 2 columns, whose names are no identifiers. If its "
        "first row is a row of texts, put a row with the names of the columns before it."
    )
    assert message(b"Ms Ames came\n", ["c"]) == (
        "t.csv: there is no column 'c'. It has 1 column, whose name is no identifier. If its "
        "first row is a row of texts, put a row with the names of the columns before it."
    )


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_a_delimiter_that_the_header_shows_is_taken(
    delimiter: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="annoseq")
    table = "a;b\nx;y, z\n".replace(";", delimiter).encode()
    assert sniffed(table) == [{"a": "x", "b": "y, z"}]
    kind = {";": "semicolons", "\t": "tabs", "|": "bars"}[delimiter]
    assert caplog.messages == [f"t.csv: fields are delimited by {kind}, as the header shows"]


def test_a_first_line_may_name_the_delimiter(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="annoseq")
    assert sniffed(b"\xef\xbb\xbfsep=;\r\na;b\r\nx;y\r\n") == [{"a": "x", "b": "y"}]
    assert caplog.messages == ["t.csv: its first line names the delimiter"]
    with pytest.raises(TableError) as caught:
        sniffed(b"sep=;\na;b\nx;y\nx\n")
    assert str(caught.value).startswith("t.csv: row 2 (line 4): found 1 field where the header")


def test_a_comma_that_gives_the_columns_is_the_delimiter() -> None:
    assert sniffed(b"a,b,c;d\nx,y,z\n") == [{"a": "x", "b": "y"}]
    assert sniffed(b'"a","b",";"\n"x","y",z\n') == [{"a": "x", "b": "y"}]


def test_the_columns_of_another_delimiter_are_listed() -> None:
    with pytest.raises(TableError) as caught:
        sniffed(b"orig_text;annotated_text\nx;y\n")
    assert str(caught.value) == (
        "t.csv: there is no column 'a'. Its columns are 'orig_text', 'annotated_text'. "
        "Name one of these."
    )


def sniffed(table: bytes) -> list[dict[str, str]]:
    stream: Any = io.BufferedReader(io.BytesIO(table))
    rows = []
    for row in read_csv(stream, "t.csv", ColumnSelection(("a", "b"))):
        if isinstance(row, TableError):
            raise row
        rows.append(row.values)
    return rows


def test_a_wanted_column_that_is_there_twice_is_an_error() -> None:
    assert message(b"a,b,a\n1,2,3\n") == (
        "t.csv: the column 'a' is there 2 times. Rename or remove all but one."
    )


def test_an_empty_table_yields_nothing() -> None:
    assert read(b"") == read(b"\n\n") == read(b"a,b\n") == []


@THOROUGH
@given(records=RECORDS, delimiter=st.sampled_from([",", "\t"]))
def test_what_is_written_is_read(records: list[tuple[str, str]], delimiter: str) -> None:
    stream = io.BytesIO()
    write_csv(records, stream, ["a", "b"], delimiter=delimiter)
    assert fields(stream.getvalue(), delimiter) == records


@THOROUGH
@given(records=RECORDS)
def test_what_is_written_is_read_by_pandas(records: list[tuple[str, str]]) -> None:
    stream = io.BytesIO()
    write_csv(records, stream, ["a", "b"], delimiter=",")
    text = io.StringIO(stream.getvalue().decode(), newline="")
    frame = pd.read_csv(text, dtype=str, keep_default_na=False, engine="python")
    assert list(frame.itertuples(index=False, name=None)) == records


def test_texts_are_written_in_quotes_and_numbers_without() -> None:
    stream = io.BytesIO()
    write_csv([("x", 3), ("\r", 4), ('"', 5)], stream, ["a", "b"], delimiter=",")
    assert stream.getvalue() == b'"a","b"\n"x",3\n"\r",4\n"""",5\n'


@THOROUGH
@given(records=RECORDS, separator=st.sampled_from([",", "\t"]))
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_pandas_writes_is_read(
    records: list[tuple[str, str]], separator: str, end: str
) -> None:
    frame = pd.DataFrame(records, columns=["a", "b"], dtype=object)
    data = frame.to_csv(index=False, sep=separator, lineterminator=end)
    assert fields(data.encode(), separator) == records


@THOROUGH
@given(records=RECORDS, quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_the_csv_module_writes_is_read(
    records: list[tuple[str, str]], quoting: int, end: str
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([("a", "b"), *records])
    assert fields(text.getvalue().encode()) == records


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=40) | st.text('a,b"\r\n \0é', max_size=40).map(str.encode))
def test_any_bytes_give_rows_or_one_clear_line(data: bytes) -> None:
    found = "t.csv: row "
    try:
        assert all(set(row.values) == {"a", "b"} for row in read(b"a,b\n" + data))
    except TableError as error:
        found = str(error)
    assert re.match(r"t\.csv: row [^\n]*$", found)


TABLE = "a,b\nMüller – x,“é”\n" + "Müller,é\n" * 9_000


def read_values(path: Path, **options: Any) -> list[tuple[str, ...]]:
    return [tuple(row.values.values()) for row in read_rows(path, columns=["a", "b"], **options)]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "cp1252", "utf-8", "utf-8-sig"])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_a_named_encoding_is_read(encoding: str, suffix: str, tmp_path: Path) -> None:
    path = written(tmp_path / f"t{suffix}", TABLE.encode(encoding))
    rows = read_values(path, encoding=encoding)
    assert rows[0] == ("Müller – x", "“é”")
    assert len(rows) == 9_001


def test_utf_16_is_known_by_its_byte_order_mark(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="annoseq")
    path = written(tmp_path / "t.csv", TABLE.replace(",", "\t").encode("utf-16"))
    assert read_values(path)[0] == ("Müller – x", "“é”")
    assert caplog.messages == [
        f"{path}: the table is UTF-16, as its byte order mark says",
        f"{path}: fields are delimited by tabs, as the header shows",
    ]
    jsonl = written(tmp_path / "t.jsonl", '{"a": "é", "b": "x"}\n'.encode("utf-16"))
    assert read_values(jsonl) == [("é", "x")]


def test_bytes_of_another_encoding_are_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", b"a,b\nx,\x81\n")
    with pytest.raises(TableError) as caught:
        read_values(path, encoding="cp1252")
    assert str(caught.value) == (
        f"{path}: at or soon after byte 0, this is not cp1252 text. Name its encoding with "
        "--encoding, or save the table as UTF-8."
    )
    with pytest.raises(TableError, match="--encoding cp1252"):
        read_values(path)


@pytest.mark.parametrize("encoding", ["nonsense", "base64", "rot13", "undefined", "idna\0"])
def test_an_unknown_encoding_is_an_error(encoding: str, tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", b"a,b\nx,y\n")
    with pytest.raises(OptionError, match="--encoding: found an unknown one"):
        read_values(path, encoding=encoding)


@pytest.mark.parametrize("delimiter", ["", "ab", '"', "\n", "\r", "\0"])
def test_an_impossible_delimiter_is_an_error(delimiter: str, tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", b"a,b\nx,y\n")
    with pytest.raises(OptionError, match="--delimiter: found something else than one character"):
        read_values(path, delimiter=delimiter)


def test_a_named_delimiter_is_taken(tmp_path: Path) -> None:
    assert read_values(written(tmp_path / "t.csv", b"a!b\nx,1!y\n"), delimiter="!") == [
        ("x,1", "y")
    ]
    assert read_values(written(tmp_path / "u.csv", b"a\tb\nx\ty\n"), delimiter="tab") == [
        ("x", "y")
    ]
    with pytest.raises(OptionError, match="--delimiter is for CSV, and the table is TSV"):
        read_values(written(tmp_path / "u.tsv", b"a\tb\nx\ty\n"), delimiter=";")


def written(path: Path, content: bytes) -> Path:
    import gzip

    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path

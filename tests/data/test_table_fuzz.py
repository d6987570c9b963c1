"""Whatever bytes a table has, reading it ends in rows or in an `AnnoseqError`."""

from __future__ import annotations

import gzip
import io
import json
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annoseq.check.checks import check_pairs
from annoseq.data.pairs import Pair, read_pairs, write_pairs
from annoseq.data.tables import read_rows
from annoseq.data.text_inputs import read_texts
from annoseq.errors import AnnoseqError

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = [".csv", ".tsv", ".jsonl", ".parquet", ".xlsx"]
ROWS = [Pair("Dr. Ames", "Dr. {{NAME}}Ames{{/NAME}}", 1), Pair("é\n", "é\n", 2)]
FUZZ = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SNIPPETS = st.sampled_from(
    [
        b'"',
        b"\n",
        b"\r",
        b"\0",
        b";",
        b",",
        b"\xff\xfe",
        b"\xfe\xff",
        b"\xef\xbb\xbf",
        b"sep=;\n",
        b"{",
        b"[",
        b"1e999",
        b"-1",
        b"NaN",
        b"\\ud800",
        b"9" * 5_000,
        b"[" * 5_000,
        b"null",
    ]
)


def read_in_every_way(path: Path) -> None:
    """Read a table as pairs, as rows with all columns, and as texts."""
    for encoding in (None, "utf-16", "cp1252") if path.suffix in {".csv", ".jsonl"} else (None,):
        for skip_bad in (False, True):
            ignored: list[AnnoseqError] = []
            on_bad = ignored.append if skip_bad else None
            with suppress(AnnoseqError):
                check_pairs(read_pairs(path, encoding=encoding)).to_json()
            with suppress(AnnoseqError):
                list(read_rows(path, columns=["orig_text"], keep=None, on_bad=on_bad))
            with suppress(AnnoseqError):
                list(read_texts(path, column="annotated_text", encoding=encoding, on_bad=on_bad))


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("tables")
    for suffix in SUFFIXES:
        write_pairs(ROWS, folder / f"t{suffix}", overwrite=False)
    return {suffix: (folder / f"t{suffix}").read_bytes() for suffix in SUFFIXES}


@pytest.mark.parametrize("suffix", SUFFIXES)
@FUZZ
@given(data=st.data())
def test_a_damaged_table_is_an_error_or_rows(
    suffix: str, data: st.DataObject, tables: dict[str, bytes], tmp_path: Path
) -> None:
    content = tables[suffix]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(at, min(len(content), at + 8)))
        content = content[:at] + data.draw(st.binary(max_size=4) | SNIPPETS) + content[end:]
    if data.draw(st.booleans()):
        content = gzip.compress(content)[: data.draw(st.integers(1, 10_000))]
    path = tmp_path / f"t{suffix}"
    path.write_bytes(content)
    read_in_every_way(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@FUZZ
@given(
    content=st.binary(max_size=200)
    | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
def test_any_bytes_are_an_error_or_rows(suffix: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"t{suffix}"
    path.write_bytes(content)
    read_in_every_way(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@FUZZ
@given(
    records=st.lists(
        JSON | st.fixed_dictionaries({"orig_text": JSON, "annotated_text": JSON}), max_size=3
    )
)
def test_any_json_is_an_error_or_rows(records: list[object], tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(map(json.dumps, records)))
    read_in_every_way(path)


@FUZZ
@given(
    cells=st.lists(
        st.lists(
            st.none()
            | st.booleans()
            | st.integers(-9, 9)
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text("ab=é_x0", max_size=6)
            | st.dates(),
            min_size=1,
            max_size=3,
        ),
        max_size=3,
    )
)
def test_any_workbook_is_an_error_or_rows(cells: list[list[object]], tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(["orig_text", "annotated_text", "start"])
    for row in cells:
        book.active.append(row)
    stream = io.BytesIO()
    book.save(stream)
    path = tmp_path / "t.xlsx"
    path.write_bytes(stream.getvalue())
    read_in_every_way(path)

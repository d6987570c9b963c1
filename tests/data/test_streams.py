from __future__ import annotations

import gzip
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from annoseq.data import streams
from annoseq.data.jsonl_table import read_json_lines
from annoseq.data.tables import read_rows
from annoseq.errors import TableError

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20
SPACES = b" " * (64 * MIB)
LONG_LINES = {
    "t.jsonl.gz": b'{"a":' + SPACES + b'"x"}\n',
    "t.csv.gz": b"a\nx" + SPACES + b"\n",
    "t.tsv.gz": b'a\n"x' + SPACES.replace(b" " * 1000, b" " * 999 + b"\n") + b'"\n',
}
"""Tables with one row that is far over the limit; the last has many lines in quotes."""


@pytest.mark.parametrize("name", LONG_LINES)
def test_a_row_that_unpacks_to_more_than_the_limit_is_an_error_in_bounded_memory(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(LONG_LINES[name], 1))
    monkeypatch.setattr(streams, "LARGEST_ROW", MIB)
    tracemalloc.start()
    try:
        with pytest.raises(TableError) as caught:
            list(read_rows(path, columns=["a"]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(f"{path}: row 1 (line ")
    assert str(caught.value).endswith(
        "): the row has more than 1 MiB (decompressed, if it is compressed), which is the limit "
        "for one row. End each row with a line feed (LF), close quotes, and split longer texts."
    )
    assert peak < 16 * MIB


def test_the_limit_of_a_line_can_be_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("[" + "1," * MIB + "1]")
    monkeypatch.setattr(streams, "LARGEST_ROW", MIB)
    with pytest.raises(TableError, match=r"row 1 .line 1.: the row has more than 1 MiB"):
        next(read_json_lines(path))
    assert next(read_json_lines(path, limit=4 * MIB)).value[-1] == 1

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from annoseq.data.tables import read_rows
from annoseq.errors import OptionError, TableError

if TYPE_CHECKING:
    from pathlib import Path

TABLE = "a,b\nMüller – x,“é”\n" + "Müller,é\n" * 9_000


def read(path: Path, **options: Any) -> list[tuple[str, ...]]:
    return [tuple(row.values.values()) for row in read_rows(path, columns=["a", "b"], **options)]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "cp1252", "utf-8", "utf-8-sig"])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_a_named_encoding_is_read(encoding: str, suffix: str, tmp_path: Path) -> None:
    path = written(tmp_path / f"t{suffix}", TABLE.encode(encoding))
    rows = read(path, encoding=encoding)
    assert rows[0] == ("Müller – x", "“é”")
    assert len(rows) == 9_001


def test_utf_16_is_known_by_its_byte_order_mark(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="annoseq")
    path = written(tmp_path / "t.csv", TABLE.replace(",", "\t").encode("utf-16"))
    assert read(path)[0] == ("Müller – x", "“é”")
    assert caplog.messages == [
        f"{path}: the table is UTF-16, as its byte order mark says",
        f"{path}: fields are delimited by tabs, as the header shows",
    ]
    jsonl = written(tmp_path / "t.jsonl", '{"a": "é", "b": "x"}\n'.encode("utf-16"))
    assert read(jsonl) == [("é", "x")]


def test_bytes_of_another_encoding_are_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", b"a,b\nx,\x81\n")
    with pytest.raises(TableError) as caught:
        read(path, encoding="cp1252")
    assert str(caught.value) == (
        f"{path}: at or soon after byte 0, this is not cp1252 text. Name its encoding with "
        "--encoding, or save the table as UTF-8."
    )
    with pytest.raises(TableError, match="--encoding cp1252"):
        read(path)


@pytest.mark.parametrize("encoding", ["nonsense", "base64", "rot13", "undefined", "idna\0"])
def test_an_unknown_encoding_is_an_error(encoding: str, tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", b"a,b\nx,y\n")
    with pytest.raises(OptionError, match="--encoding: found an unknown one"):
        read(path, encoding=encoding)


@pytest.mark.parametrize("delimiter", ["", "ab", '"', "\n", "\r", "\0"])
def test_an_impossible_delimiter_is_an_error(delimiter: str, tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", b"a,b\nx,y\n")
    with pytest.raises(OptionError, match="--delimiter: found something else than one character"):
        read(path, delimiter=delimiter)


def test_a_named_delimiter_is_taken(tmp_path: Path) -> None:
    assert read(written(tmp_path / "t.csv", b"a!b\nx,1!y\n"), delimiter="!") == [("x,1", "y")]
    assert read(written(tmp_path / "u.csv", b"a\tb\nx\ty\n"), delimiter="tab") == [("x", "y")]
    with pytest.raises(OptionError, match="--delimiter is for CSV, and the table is TSV"):
        read(written(tmp_path / "u.tsv", b"a\tb\nx\ty\n"), delimiter=";")


def written(path: Path, content: bytes) -> Path:
    import gzip

    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path

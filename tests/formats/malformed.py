"""Malformed content that several formats must refuse, and the check of a refusal."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

from tests.cli.command import SECRET, refusal, run
from tests.formats.documents import FILES, write_files

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.formats.registry import CorpusFormat

TEXT = f"Dr. {SECRET} 😀 came."
BOMB = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbbbb">"""
BOMB += b"".join(b'<!ENTITY b%d "%s">' % (n, b"&b%d;" % (n - 1) * 10) for n in range(1, 9))
BOMB = BOMB.replace(b"&b0;", b"&b;") + b"]>"
EXTERNAL = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "http://192.0.2.1/x">]>"""
UTF16 = TEXT.encode("utf-16")
LATIN = f"Sra. {SECRET}, 5 a\u00f1os".encode("latin-1")


def _zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("note.txt", TEXT)
    return stream.getvalue()


Files = dict[str, bytes]
NOT_UTF8 = "which is not UTF-8 text"
ZIP = _zipped()

_JSONL: list[tuple[bytes, str]] = [
    (b'{"text": "a", "LIST": [[0, 1, "A"]]\n', "(line 1): this is not valid JSON: the fault is at"),
    (b'["a"]\n', "(line 1): found a list where an object was expected"),
    (b'{"text": 1, "LIST": []}', "(line 1): found a number where a text was expected"),
    (b'{"text": "a", "LIST": {}}', "(line 1): found an object where a list was expected"),
    (b'{"text": "a"}', "(line 1): there is no list of annotations"),
    (b'{"LIST": []}', "(line 1): there is no 'text'; there is 'LIST'. Add it."),
    (b'{"text": "a", "LIST": [[0, 9, "A"]]}', " 1: found the offsets 0 to 9"),
    (b'{"text": "a", "LIST": [["0", 1, "A"]]}', " 1: found a text where a whole number was"),
    (b'{"text": "a", "LIST": [[0, true, "A"]]}', " 1: found true or false where a whole number"),
    (b'{"text": "a", "LIST": [[0, 1]]}', " 1: found a list of 2 values where start, end and label"),
    (b'{"text": "a", "LIST": [[0, 1, ""]]}', " 1: found an empty label"),
    (b'{"text": "\\ud800", "LIST": []}', "(line 1): found a lone surrogate"),
    (b"[" * 100_000, "(line 1): the JSON is nested too deeply"),
    (b'{"text": "a\0"}', "(line 1): this is not valid JSON"),
    (LATIN, NOT_UTF8),
    (ZIP, "line 1"),
    (b"", "the file is empty"),
]


MALFORMED_XML: list[tuple[Files, str]] = [
    ({"a.xml": BOMB + b"<a>&b8;</a>"}, "a.xml: found an entity or an external reference"),
    ({"a.xml": EXTERNAL + b"<a>&b;</a>"}, "a.xml: found an entity or an external reference"),
    (
        {"a.xml": b'<?xml version="1.0" encoding="x-y"?><a/>'},
        "a.xml: its encoding is not known",
    ),
    ({"a.xml": ZIP}, "a.xml: this is a zip archive"),
    ({"a.xml": b""}, "line 1: this is not well-formed XML: no element found"),
]
"""Refused by every format of XML."""


def malformed_jsonl(name: str) -> list[tuple[bytes, str]]:
    """Return malformed JSONL whose annotations are in the list `name`, and what is said of it."""
    return [
        (data.replace(b"LIST", name.encode()), message.replace("LIST", name))
        for data, message in _JSONL
    ]


def check_refusal(name: CorpusFormat, content: Files | bytes, message: str, folder: Path) -> None:
    """Import a corpus, and check the message of its refusal and that nothing was written."""
    source, out = folder / FILES[name], folder / "pairs.csv"
    if isinstance(content, bytes):
        source.write_bytes(content)
    else:
        write_files(source, content)
    assert message in refusal(run("import", name, source, out))
    assert not out.exists()

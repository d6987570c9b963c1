"""Ten bad files of each format: one line with the place, never a hang, never the network."""

from __future__ import annotations

import io
import socket
import sys
import zipfile
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.cli.command import SECRET, refusal, run
from tests.formats.documents import FILES

if TYPE_CHECKING:
    from pathlib import Path

TEXT = f"Dr. {SECRET} 😀 came."
BOMB = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbbbb">"""
BOMB += b"".join(b'<!ENTITY b%d "%s">' % (n, b"&b%d;" % (n - 1) * 10) for n in range(1, 9))
BOMB = BOMB.replace(b"&b0;", b"&b;") + b"]>"
FOREIGN = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "http://192.0.2.1/x">]>"""
UTF16 = TEXT.encode("utf-16")
LATIN = f"Sra. {SECRET}, 5 a\u00f1os".encode("latin-1")


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("note.txt", TEXT)
    return stream.getvalue()


def xml(tags: str, text: str = TEXT) -> bytes:
    parts = f"<TEXT><![CDATA[{text}]]></TEXT><TAGS>{tags}</TAGS>"
    return f"<deIdi2b2>{parts}</deIdi2b2>".encode()


Files = dict[str, bytes]
NOT_UTF8 = "which is not UTF-8 text"
ZIP = zipped()


def brat(annotations: bytes, text: bytes = TEXT.encode()) -> Files:
    return {"a.txt": text, "a.ann": annotations}


def pair(annotated: bytes, original: bytes = TEXT.encode()) -> Files:
    return {"orig/a.txt": original, "annotated/a.txt": annotated}


BRAT: list[tuple[Files, str]] = [
    (
        brat(b"T1\tNAME 4 99\tX\n"),
        "a.ann: line 1: found the offsets 4 to 99, which are empty or do",
    ),
    (brat(b"T1\tNAME 4 4\t\n"), "line 1: found the offsets 4 to 4, which are empty"),
    (brat(b"T1\tNAME 4 6\tYY\n"), "line 1: the text at its offsets is not the text that it gives"),
    (brat(b"T1 NAME 4 6 X\n"), "line 1: this is no annotation of brat"),
    (brat(b"T1\tNAME 0 3\tDr.\nT1\tNAME 0 3\tDr.\n"), "line 2: T1 is there twice"),
    (brat(b"T1\tNAME 0 5;3 8\n"), "line 1: its fragments overlap at offset 3"),
    (brat(b"T1\tA 0 3\tDr.\nE1\tB:T1 C:T9\n"), "line 2: it speaks of T9, which is not there"),
    (brat(b"", LATIN), f"a.txt: line 1: found the byte 0xF1 at offset 19, {NOT_UTF8}"),
    (brat(UTF16), f"a.ann: line 1: found the byte 0xFF at offset 0, {NOT_UTF8}"),
    (brat(b"", b"a\nb\0"), "a.txt: line 2: found a NUL character at character 3"),
    (brat(ZIP), "a.ann: this is a zip archive"),
    ({"a.txt": b"x"}, "there is no .ann file in this folder"),
    ({"a.txt": b"x", "b.txt": b"y", "a.ann": b""}, "b.txt: there is no b.ann beside it"),
    ({"a.ann": b""}, "there is no .txt file"),
]
XML: list[tuple[Files, str]] = [
    ({"a.xml": xml("")[:-20]}, "a.xml: line 1: this is not well-formed XML: "),
    ({"a.xml": xml('<N start="0" end="99"/>')}, "a.xml: annotation 1: found the offsets 0 to 99"),
    ({"a.xml": xml('<N start="0" end="3" text="Dra"/>')}, "annotation 1: the text at its offsets"),
    ({"a.xml": xml('<N start="a" end="3"/>')}, "annotation 1: its attribute start is not a whole"),
    ({"a.xml": xml('<N start="3"/>')}, "annotation 1: its attribute end is not a whole number"),
    ({"a.xml": BOMB + b"<a>&b8;</a>"}, "a.xml: found an entity or an external reference"),
    ({"a.xml": FOREIGN + b"<a>&b;</a>"}, "a.xml: found an entity or an external reference"),
    ({"a.xml": b"<a><TEXT/></a>"}, "found 0 elements TAGS directly in the outermost element"),
    ({"a.xml": b"<a><TEXT><b/></TEXT><TAGS/></a>"}, "TEXT holds elements where text was expected"),
    ({"a.xml": b"<a>" + LATIN + b"</a>"}, "line 1: this is not well-formed XML: not well-formed"),
    ({"a.xml": xml("", "a\0b")}, "line 1: this is not well-formed XML: "),
    (
        {"a.xml": b'<?xml version="1.0" encoding="x-y"?><a/>'},
        "a.xml: its encoding is not one that is known",
    ),
    ({"a.xml": ZIP}, "a.xml: this is a zip archive"),
    ({"a.xml": b""}, "line 1: this is not well-formed XML: no element found"),
]
INLINE_XML: list[tuple[Files, str]] = [
    ({"a.xml": f"<d>{TEXT}".encode()}, "line 1: this is not well-formed XML: no element found"),
    ({"a.xml": b"<d><A>x</B></d>"}, "this is not well-formed XML: mismatched tag, at character 9"),
    ({"a.xml": b"<d><A>x<B>y</A></B></d>"}, "this is not well-formed XML: mismatched tag"),
    ({"a.xml": b"<d>a & b</d>"}, "this is not well-formed XML: not well-formed (invalid token)"),
    ({"a.xml": b'<d xmlns:x="y"><x:A>b</x:A></d>'}, "found an element with a namespace"),
    *XML[5:7],
    *[
        ({"a.xml": b"<d>" + data + b"</d>"}, "not well-formed XML")
        for data in (LATIN, b"\0", UTF16)
    ],
    *XML[11:],
]
CONLL: list[tuple[bytes, str]] = [
    (b"Dr.\tO\nX\n", "line 2: found 1 columns where 2 were expected"),
    (b"Dr.\tO\nX\tY\tB-A\n", "line 2: found 3 columns where 2 were expected"),
    (b"Dr.\tO\nX\tQ-A\n", "line 2: the tag column -1 holds neither O nor a prefix"),
    (b"Dr. O\nX B-\n", "line 2: the tag column -1 holds neither"),
    (b"Dr.\nX\n", "line 1: found 1 columns where 2 were expected"),
    (b"Dr.\tO\n\tO\n", "line 2: found 2 columns where 2 were expected, none of them empty"),
    (LATIN, f"line 1: found the byte 0xF1 at offset 19, {NOT_UTF8}"),
    (UTF16, "It begins like UTF-16: save the file as UTF-8"),
    (b"Dr.\tO\nX\0\tO\n", "line 2: found a NUL character at character 7"),
    (ZIP, "this is a zip archive"),
    (b"\n\n", "there is no token in it"),
]
PUBTATOR: list[tuple[bytes, str]] = [
    (b"1|t|Dr. X\n1\t4\t9\tX\tNAME\n", "line 2: found the offsets 4 to 9"),
    (b"1|t|Dr. X\n1\t4\t5\tY\tNAME\n", "line 2: the text at its offsets is not the text"),
    (b"1|t|Dr. X\n2\t4\t5\tX\tNAME\n", "line 2: this line does not belong to the document above"),
    (b"1|t|Dr. X\n1\t4\tx\tX\tNAME\n", "line 2: this is no annotation"),
    (b"1|t|Dr. X\n1 4 5 X NAME\n", "line 2: this line does not belong to the document above"),
    (b"1|a|Dr. X\n", "line 1: this document has no title"),
    (b"1|t|Dr. X\n1|a|a\n1|a|b\n", "line 3: this document has such a line already"),
    (b"1|t|a\n\n2|t|b\n\n1|t|c\n", "two documents have the id '1'"),
    (b"Dr. X\n", "line 1: this line does not belong"),
    (b"", "there is no line such as 1|t|Title in it"),
    (LATIN, NOT_UTF8),
    (b"1|t|a\0\n", "line 1: found a NUL character"),
    (ZIP, "this is a zip archive"),
]
JSONL: list[tuple[bytes, str]] = [
    (b'{"text": "a", "LIST": [[0, 1, "A"]]\n', "line 1: this is not valid JSON: the fault is at"),
    (b'["a"]\n', "line 1: found a list where an object was expected"),
    (b'{"text": 1, "LIST": []}', "line 1: found a number where a text was expected"),
    (b'{"text": "a", "LIST": {}}', "line 1: found an object where a list was expected"),
    (b'{"text": "a"}', "line 1: there is no list of annotations"),
    (b'{"LIST": []}', "line 1: there is no 'text'; there is 'LIST'. Add it."),
    (b'{"text": "a", "LIST": [[0, 9, "A"]]}', " 1: found the offsets 0 to 9"),
    (b'{"text": "a", "LIST": [["0", 1, "A"]]}', " 1: found a text where a whole number was"),
    (b'{"text": "a", "LIST": [[0, true, "A"]]}', " 1: found true or false where a whole number"),
    (b'{"text": "a", "LIST": [[0, 1]]}', " 1: found a list of 2 values where start, end and label"),
    (b'{"text": "a", "LIST": [[0, 1, ""]]}', " 1: found an empty label"),
    (b'{"text": "\\ud800", "LIST": []}', "line 1: found a lone surrogate"),
    (b"[" * 100_000, "line 1: the JSON is nested too deeply"),
    (b'{"text": "a\0"}', "line 1: this is not valid JSON"),
    (LATIN, NOT_UTF8),
    (ZIP, "line 1"),
    (b"", "the file is empty"),
]
TASK = b'[{"data": {"text": "Dr. X"}, "annotations": [{"result": [RESULT]}]}]'
RESULT = b'{"type": "labels", "value": {"start": 0, "end": 1, "labels": ["A"]}}'
LABEL_STUDIO: list[tuple[bytes, str]] = [
    (TASK.replace(b"RESULT", RESULT)[:-9], "this is not valid JSON"),
    (b"{}", "found an object where a list was expected"),
    (b"[]", "the list of tasks is empty"),
    (b"[1]", "task 1: found a number where an object was expected"),
    (b'[{"data": {"a": "x", "b": "y"}}]', "task 1: its data hold 2 texts, of which none is called"),
    (b'[{"text": "a"}]', "task 1: there is no 'data'; there is 'text'"),
    (TASK.replace(b"RESULT", RESULT.replace(b"1,", b"9,")), "result 1: found the offsets 0 to 9"),
    (
        TASK.replace(b"RESULT", RESULT.replace(b"1,", b'"1",')),
        "result 1: found a text where a whole",
    ),
    (
        TASK.replace(b"RESULT", RESULT.replace(b'["A"]', b'"A"')),
        "result 1: found a text where a list",
    ),
    (TASK.replace(b"[RESULT]", b"5"), "task 1: found a number where a list was expected"),
    (b'[\n{"data": \0}]', "line 2: found a NUL character"),
    (LATIN, NOT_UTF8),
    (ZIP, "this is a zip archive"),
]
SPACY: list[tuple[bytes, str]] = [
    (data, "this is not a file of spaCy's DocBin, or it is damaged")
    for data in (b"", b"\0", b"x" * 99, LATIN, UTF16, TEXT.encode(), b"\x78\x9c", b"\x78\x9c\x03\0")
] + [(ZIP, "this is a zip archive"), (b"\x1f\x8bxx", "the gzip compression is damaged or cut off")]
HEAD = b"doc_id,text,start,end,label\n"
SPANS: list[tuple[bytes, str]] = [
    (HEAD + b"1,Dr. X,0,9,A\n", "row 1: found the offsets 0 to 9"),
    (HEAD + b"1,Dr. X,a,9,A\n", "row 1: column 'start' does not hold a whole number"),
    (HEAD + b"1,Dr. X,0,,A\n", "row 1: column 'end' does not hold a whole number"),
    (HEAD + b"1,Dr. X,0,1,\n", "row 1: the label is empty"),
    (HEAD + b"1,Dr. X,0,1,A\n1,Dr. Y,0,1,A\n", "row 2: its document has another text above"),
    (HEAD + b"1,Dr. X,0\n", "row 1 (line 2): found 3 fields where the header has 5"),
    (b"doc_id,start,end,label\n1,0,1,A\n", "there is no column 'text'"),
    (b"id,text\n1,a\n", "there is no column 'doc_id'"),
    (b"doc_id,text,start,end,label,score\n1,a,0,1,A,high\n", "row 1: this is not valid JSON"),
    (HEAD + b'1,"Dr. X\n', "found the end of the table inside a quoted field"),
    (HEAD + LATIN + b"\n", "row 1 (line 2): found the byte 0xF1"),
    (HEAD, "the table has no rows"),
]
FOLDERS: list[tuple[Files, str]] = [
    (pair(b"Dr. {{NAME}}"), "a.txt: {{NAME}} is never closed"),
    (pair(b"Dr. {{/NAME}}"), "found {{/NAME}} where no closing tag was expected"),
    (pair(b"{{A}}Dr.{{/B}}"), "found {{/B}} where {{/A}} was expected"),
    (pair(b"{{A}}{{/A}}"), "{{A}} and {{/A}} enclose nothing"),
    (
        pair(b"Dr. Y"),
        "the annotated text without its tags differs from the original at character 4",
    ),
    (pair(LATIN), NOT_UTF8),
    (pair(b"", UTF16), "It begins like UTF-16"),
    (pair(b"a\0"), "found a NUL character at character 1"),
    (pair(ZIP), "this is a zip archive"),
    ({"orig/a.txt": b"x"}, "there is no folder 'annotated' in it"),
    ({**pair(b"x"), "orig/b.txt": b""}, "orig/b.txt: there is no such file in 'annotated'"),
    ({"orig/a": b"x", "annotated/a": b"x"}, "there is no .txt file"),
]
INLINE: list[tuple[Files, str]] = [
    *[({"a.txt": files["annotated/a.txt"]}, message) for files, message in FOLDERS[:4]],
    ({"a.txt": b"{{A}}x{{B}}y{{/A}}{{/B}}"}, "found {{/A}} where {{/B}} was expected"),
    ({"a.txt": LATIN}, NOT_UTF8),
    ({"a.txt": UTF16}, "It begins like UTF-16"),
    ({"a.txt": b"a\nb\0"}, "line 2: found a NUL character at character 3"),
    ({"a.txt": ZIP}, "this is a zip archive"),
    ({"a.xml": b""}, "there is no .txt file"),
]


def jsonl(name: bytes) -> list[tuple[bytes, str]]:
    said = name.decode()
    return [(data.replace(b"LIST", name), text.replace("LIST", said)) for data, text in JSONL]


IN_FOLDERS = {
    "brat": BRAT,
    "i2b2": XML,
    "inline-xml": INLINE_XML,
    "folders": FOLDERS,
    "inline": INLINE,
}
IN_FILES = {
    "conll": CONLL,
    "pubtator": PUBTATOR,
    "doccano": jsonl(b"label"),
    "spacy-jsonl": jsonl(b"entities"),
    "label-studio": LABEL_STUDIO,
    "spacy": SPACY,
    "spans": SPANS,
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("a file made annoseq look for the network")

    monkeypatch.setattr(socket, "socket", refuse)


def check(name: str, source: Path, message: str) -> None:
    out = source.parent / "pairs.csv"
    found = refusal(run("import", name, source, out))
    assert message in found
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "number"), [(name, n) for name, rows in IN_FOLDERS.items() for n in range(len(rows))]
)
def test_a_bad_folder_is_refused(name: str, number: int, tmp_path: Path) -> None:
    files, message = IN_FOLDERS[name][number]
    source = tmp_path / "corpus"
    for path, content in files.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(content)
    check(name, source, message)


@pytest.mark.parametrize(
    ("name", "number"), [(name, n) for name, rows in IN_FILES.items() for n in range(len(rows))]
)
def test_a_bad_file_is_refused(name: str, number: int, tmp_path: Path) -> None:
    if name == "spacy":
        pytest.importorskip("spacy")
    content, message = IN_FILES[name][number]
    source = tmp_path / FILES[name]  # type: ignore[index]
    source.write_bytes(content)
    check(name, source, message)


@pytest.mark.parametrize("name", FILES)
def test_ten_kinds_of_each_format_are_tried(name: str) -> None:
    rows = (IN_FOLDERS | IN_FILES)["i2b2" if name == "meddocan" else name]
    assert len(rows) >= 10


@pytest.mark.parametrize("name", FILES)
def test_what_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    if name == "spacy":
        pytest.importorskip("spacy")
    message = refusal(run("import", name, tmp_path / "none.x", tmp_path / "pairs.csv"))
    assert "none.x" in message
    assert "there is no" in message or "stands for no known format" in message


def test_a_missing_spacy_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    message = refusal(run("import", "spacy", tmp_path / "a.spacy", tmp_path / "pairs.csv"))
    assert message == (
        "this format needs spaCy, which is not installed. Install it: pip install 'annoseq[spacy]'."
    )

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from annoseq.errors import FormatError
from annoseq.formats.conversion_options import ExportOptions
from annoseq.formats.documents import Document
from tests.formats.documents import OPTIONS, mention, read_from, there_and_back, write_files
from tests.formats.malformed import LATIN, check_refusal

if TYPE_CHECKING:
    from pathlib import Path


HEAD = b"doc_id,text,start,end,label\n"
MALFORMED: list[tuple[bytes, str]] = [
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


def test_a_sample_is_read_to_exact_spans(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "doc_id,text,start,end,label,score,covered\n"
        "a,😀 Ames,2,6,NAME,0.5,Ames\na,,0,3,two words,,\nb,,,,,,\n".replace(
            ",,0,3", ",,0,3"
        ).replace("two words,,\n", "two words,,😀 A\n")
    )
    assert read_from("spans", path) == [
        Document("a", "😀 Ames", (mention(2, 6, "NAME", 0.5), mention(0, 3, "two words"))),
        Document("b", ""),
    ]


def test_texts_may_be_files(tmp_path: Path) -> None:
    texts = write_files(tmp_path / "texts", {"a.txt": "😀 Ames".encode()})
    path = tmp_path / "a.csv"
    path.write_text("doc_id,start,end,label\na,5,9,NAME\n")
    assert read_from("spans", path, options=replace(OPTIONS, texts=texts, offset_unit="bytes")) == [
        Document("a", "😀 Ames", (mention(2, 6, "NAME"),))
    ]
    path.write_text("doc_id,start,end,label\nb,5,9,NAME\n")
    with pytest.raises(FormatError) as caught:
        read_from("spans", path, options=replace(OPTIONS, texts=texts))
    assert str(caught.value) == f"{path}: row 1: there is no b.txt in {texts}. Add it."


def test_documents_come_back(tmp_path: Path) -> None:
    documents = [
        Document("a", "😀 Ames\n", (mention(2, 6, "NAME", 0.25), mention(0, 3, "X"))),
        Document("b", "nothing"),
    ]
    assert there_and_back("spans", documents, tmp_path) == documents
    assert (tmp_path / "corpus.csv").read_text().count("Ames") == 1


def test_the_texts_of_spans_and_a_byte_order_mark_are_written_on_request(tmp_path: Path) -> None:
    documents = [
        Document("a", "😀 Ames\n", (mention(2, 6, "NAME", 0.25),)),
        Document("b", "nothing"),
    ]
    options = ExportOptions(bom=True, span_text=True)
    assert there_and_back("spans", documents, tmp_path, options=options) == documents
    assert (tmp_path / "corpus.csv").read_bytes().decode() == (
        '\ufeff"doc_id","text","start","end","label","score","covered"\n'
        '"a","😀 Ames\n","2","6","NAME","0.25","Ames"\n"b","nothing","","","","",""\n'
    )


@pytest.mark.parametrize("number", ["0", "0.0", "0."])
def test_whole_numbers_may_have_a_fraction_of_zero(number: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(HEAD + f"1,Ames,{number},4.0,A\n2,x,,,\n".encode())
    assert read_from("spans", path) == [
        Document("1", "Ames", (mention(0, 4, "A"),)),
        Document("2", "x"),
    ]


def write_frame(frame: pd.DataFrame, path: Path) -> Path:
    """Write a frame as pandas does by default."""
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    return path


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_what_pandas_writes_beside_gaps_is_read(suffix: str, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "doc_id": [1, 2, 1],
            "text": ["Ames", "x", None],
            "start": [0.0, None, 2.0],
            "end": [4.0, None, 3.0],
            "label": ["A", None, "B"],
            "score": [0.5, None, None],
        }
    )
    assert read_from("spans", write_frame(frame, tmp_path / f"a.{suffix}")) == [
        Document("1", "Ames", (mention(0, 4, "A", 0.5), mention(2, 3, "B"))),
        Document("2", "x"),
    ]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("start", [1.5, None, float("nan"), -1.0])
def test_a_start_that_is_no_whole_number_is_refused(
    start: float | None, suffix: str, tmp_path: Path
) -> None:
    frame = pd.DataFrame(
        {"doc_id": ["1", "1"], "text": "Ames", "start": [0, start], "end": [4, 4], "label": "A"}
    )
    path = write_frame(frame, tmp_path / f"a.{suffix}")
    with pytest.raises(FormatError) as caught:
        read_from("spans", path)
    assert str(caught.value) == (
        f"{path}: row 2: column 'start' does not hold a whole number from 0. "
        "Give the offset in the document's text."
    )


@pytest.mark.parametrize(("content", "message"), MALFORMED)
def test_malformed_input_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    check_refusal("spans", content, message, tmp_path)

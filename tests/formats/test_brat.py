from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.errors import FormatError
from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.documents import Document, Mention
from tests.formats.documents import mention, read_from, there_and_back, write_files
from tests.formats.malformed import LATIN, NOT_UTF8, TEXT, UTF16, ZIP, Files, check_refusal

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.formats.registry import CorpusFormat


def brat(annotations: bytes, text: bytes = TEXT.encode()) -> Files:
    return {"a.txt": text, "a.ann": annotations}


SAMPLE = """T1\tNAME 6 10\tAmes
T2\tDATE 2 5;11 14\tDr. for
R1\tSeen Arg1:T1 Arg2:T2
#1\tAnnotatorNotes T1\tsure
"""
MALFORMED: list[tuple[Files, str]] = [
    (
        brat(b"T1\tNAME 4 99\tX\n"),
        "a.ann: line 1: found the offsets 4 to 99, which are empty or do",
    ),
    (brat(b"T1\tNAME 4 4\t\n"), "line 1: found the offsets 4 to 4, which are empty"),
    (brat(b"T1\tNAME 4 6\tYY\n"), "line 1: the text at its offsets is not the text that it gives"),
    (brat(b"T1 NAME 4 6 X\n"), "line 1: this is no annotation of brat"),
    (brat(b"T1\tNAME 0 3\tDr.\nT1\tNAME 0 3\tDr.\n"), "line 2: T1 is there twice"),
    (brat(b"T1\tNAME 0 5;3 8\n"), "line 1: its fragments overlap at offset 3"),
    (brat(b"T1\tA 0 3\tDr.\nE1\tB:T1 C:T9\n"), "line 2: it refers to T9, which is missing"),
    (brat(b"", LATIN), f"a.txt: line 1: found the byte 0xF1 at offset 19, {NOT_UTF8}"),
    (brat(UTF16), f"a.ann: line 1: found the byte 0xFF at offset 0, {NOT_UTF8}"),
    (brat(b"", b"a\nb\0"), "a.txt: line 2: found a NUL character at character 3"),
    (brat(ZIP), "a.ann: this is a zip archive"),
    ({"a.txt": b"x"}, "there is no .ann file in this folder"),
    ({"a.txt": b"x", "b.txt": b"y", "a.ann": b""}, "b.txt: there is no b.ann beside it"),
    ({"a.ann": b""}, "there is no .txt file"),
]


def test_a_sample_is_read_to_exact_spans(tmp_path: Path) -> None:
    text = "😀 Dr. Ames for tea"
    losses = ConversionLosses()
    source = write_files(tmp_path, {"in/d.txt": text.encode(), "in/d.ann": SAMPLE.encode()})
    assert read_from("brat", source, losses=losses) == [
        Document("in/d", text, (mention(6, 10, "NAME"), Mention(((2, 5), (11, 14)), "DATE")))
    ]
    assert [line.partition(" (")[0] for line in losses.lines()] == [
        "1 relation of brat, left out: only spans are read",
        "1 note of brat, left out: only spans are read",
    ]


@pytest.mark.parametrize(("start", "end"), [(6, 10), (7, 11), (9, 13)])
def test_the_unit_of_offsets_is_found(start: int, end: int, tmp_path: Path) -> None:
    files = brat(f"T1\tNAME {start} {end}\tAmes\n".encode(), "😀 Dr. Ames".encode())
    (document,) = read_from("brat", write_files(tmp_path, files))
    assert document.mentions == (mention(6, 10, "NAME"),)


@pytest.mark.parametrize("offset", [0, 1])
def test_a_byte_order_mark_may_count_as_a_character(offset: int, tmp_path: Path) -> None:
    annotation = f"T1\tNAME {offset} {offset + 4}\tAmes\n".encode()
    files = brat(annotation, "\ufeffAmes".encode())
    (document,) = read_from("brat", write_files(tmp_path, files))
    (found,) = document.mentions
    assert document.text[found.start : found.end] == "Ames"


def test_discontinuous_mentions_come_back(tmp_path: Path) -> None:
    document = Document("p", "😀 Dr. Ames", (Mention(((2, 5), (6, 10)), "NAME"),))
    assert there_and_back("brat", [document], tmp_path) == [document]
    assert (tmp_path / "corpus" / "p.ann").read_text() == "T1\tNAME 2 5;6 10\tDr. Ames\n"


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("T1\tA 5 9\tAmes\n", ((5, 9),)),
        ("T1\tA 4 8\tAmes\n", ((5, 9),)),  # universal newlines
        ("T1\tA 4 8\n", ((5, 9),)),
        ("T1\tA 4 8;9 13\tAmes came\n", ((5, 15),)),  # a mention over a line end
        ("T1\tA 9 13;14 15\tcame1\n", ((11, 15), (16, 17))),  # old brat: without a space
    ],
)
def test_line_ends_count_as_brat_counts_them(
    annotation: str, expected: tuple[tuple[int, int], ...], tmp_path: Path
) -> None:
    files = brat(annotation.encode(), b"Hi.\r\nAmes\r\ncame 1")
    (document,) = read_from("brat", write_files(tmp_path, files))
    assert document.mentions == (Mention(expected, "A"),)
    assert document.text == "Hi.\r\nAmes\r\ncame 1"


def test_offsets_may_count_line_ends_that_the_text_has_lost(tmp_path: Path) -> None:
    files = brat(b"T1\tA 5 9\tAmes\n", b"Hi.\nAmes\n")
    (document,) = read_from("brat", write_files(tmp_path, files))
    assert document.mentions == (mention(4, 8, "A"),)


@pytest.mark.parametrize(
    ("text", "span", "written"),
    [
        ("Ms Rosa\nLind came.", (3, 12), "3 7;8 12\tRosa Lind"),
        ("Rosa\tLind came", (0, 9), "0 4;5 9\tRosa Lind"),
        ("Hi.\r\nRosa\r\n  Lind", (5, 17), "4 8;11 15\tRosa Lind"),
        ("Rosa\n\nLind", (0, 10), "0 4;6 10\tRosa Lind"),
        ("Zoë \u2028 x\x85y.", (0, 9), "0 3;6 7;8 9\tZoë x y"),
    ],
)
def test_a_mention_over_a_line_end_is_written_as_fragments(
    text: str, span: tuple[int, int], written: str, tmp_path: Path
) -> None:
    document = Document("d", text, (mention(*span, "A"),))
    assert there_and_back("brat", [document], tmp_path) == [document]
    assert (tmp_path / "corpus" / "d.ann").read_text() == f"T1\tA {written}\n"
    # As brat opens it: universal newlines, and the covered text of the fragments.
    universal = (tmp_path / "corpus" / "d.txt").read_text()
    offsets, covered = written.split("\t")
    pieces = [universal[slice(*map(int, pair.split()))] for pair in offsets.split(";")]
    assert " ".join(pieces) == covered


def test_line_ends_at_the_edges_of_annotations_are_a_loss(tmp_path: Path) -> None:
    losses = ConversionLosses()
    document = Document("d", "a\nb\n", (mention(2, 4, "A"), mention(1, 2, "B")))
    (found,) = there_and_back("brat", [document], tmp_path, losses=losses)
    assert found.mentions == (mention(2, 3, "A"),)
    assert losses.lines() == [
        "2 line ends at the edge of an annotation, left out (first: d: A at 2-4)"
    ]


def test_the_labels_are_written_as_the_configuration_of_brat(tmp_path: Path) -> None:
    document = Document("d", "ab", (mention(0, 1, "B"), mention(1, 2, "A")))
    there_and_back("brat", [document], tmp_path)
    lines = (tmp_path / "corpus" / "annotation.conf").read_text().splitlines()
    assert lines[:4] == ["[entities]", "A", "B", ""]
    assert [line for line in lines if line.startswith("[")] == [
        "[entities]",
        "[relations]",
        "[events]",
        "[attributes]",
    ]


def test_one_file_of_a_corpus_is_named_for_what_it_is(tmp_path: Path) -> None:
    write_files(tmp_path, brat(b"", b"x"))
    with pytest.raises(FormatError) as caught:
        read_from("brat", tmp_path / "a.ann")
    assert str(caught.value) == (
        f"{tmp_path / 'a.ann'}: this is one file of a brat corpus. Name its folder: "
        f"annoseq import brat {tmp_path} PAIRS."
    )


@pytest.mark.parametrize("name", ["i2b2", "inline", "folders", "conll", "doccano", "spans"])
def test_a_brat_folder_is_named_where_another_format_is_expected(
    name: CorpusFormat, tmp_path: Path
) -> None:
    folder = write_files(tmp_path / "corpus", brat(b"", b"x"))
    with pytest.raises(FormatError) as caught:
        read_from(name, folder)
    assert str(caught.value) == (
        f"{folder}: this is a brat corpus: there are .ann files in it. "
        f"Type: annoseq import brat {folder} PAIRS."
    )


@pytest.mark.parametrize(("content", "message"), MALFORMED)
def test_malformed_input_is_refused(content: Files, message: str, tmp_path: Path) -> None:
    check_refusal("brat", content, message, tmp_path)

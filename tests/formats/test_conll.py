from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from annoseq.errors import FormatError
from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.documents import Document
from tests.formats.documents import OPTIONS, mention, read_from, there_and_back
from tests.formats.malformed import LATIN, NOT_UTF8, UTF16, ZIP, check_refusal

if TYPE_CHECKING:
    from pathlib import Path


MALFORMED: list[tuple[bytes, str]] = [
    (b"Dr.\tO\nX\n", "line 2: found 1 column where 2 were expected"),
    (b"Dr.\tO\nX\tY\tB-A\n", "line 2: found 3 columns where 2 were expected"),
    (b"Dr.\tO\nX\tQ-A\n", "line 2: the tag column -1 holds neither O nor a prefix"),
    (b"Dr. O\nX B-\n", "line 2: the tag column -1 holds neither"),
    (b"Dr.\nX\n", "line 1: found 1 column where 2 were expected"),
    (b"Dr.\tO\n\tO\n", "line 2: found 2 columns where 2 were expected, none of them empty"),
    (LATIN, f"line 1: found the byte 0xF1 at offset 19, {NOT_UTF8}"),
    (UTF16, "It begins like UTF-16: save the file as UTF-8"),
    (b"Dr.\tO\nX\0\tO\n", "line 2: found a NUL character at character 7"),
    (ZIP, "this is a zip archive"),
    (b"\n\n", "there is no token in it"),
]


def test_tokens_are_joined_with_spaces_and_sentences_with_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "d.conll"
    path.write_text("Dr. O\nAnn B-NAME\nAmes I-NAME\n\nMay B-DATE\n# O\n")
    mentions = (mention(4, 12, "NAME"), mention(13, 16, "DATE"))
    assert read_from("conll", path) == [Document("d", "Dr. Ann Ames\nMay #", mentions)]


def test_a_middle_column_gives_the_white_space(tmp_path: Path) -> None:
    path = tmp_path / "d.conll"
    path.write_text(
        "# newdoc id = a\n# a comment\n"
        "Am\tSpaceAfter=No\tB-NAME\nes\t_|SpacesAfter=\\s\\n\tI-NAME\n"
        "Bo\t_\tO\n\n# newdoc\nx\tSpaceAfter=No\tO\n"
    )
    assert read_from("conll", path) == [
        Document("a", "Ames \nBo", (mention(0, 4, "NAME"),)),
        Document("2", "x"),
    ]


def test_columns_are_counted_from_both_ends(tmp_path: Path) -> None:
    path = tmp_path / "d.conll"
    path.write_text("1 Ames B-NAME x\n2 came O x\n")
    (document,) = read_from("conll", path, options=replace(OPTIONS, token_column=1, tag_column=-2))
    assert document == Document("d", "Ames came", (mention(0, 4, "NAME"),))


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("I-A I-A O", [(0, 3)]),
        ("I-A B-A O", [(0, 1), (2, 3)]),
        ("B-A E-A S-A", [(0, 3), (4, 5)]),
        ("U-A B-A L-A", [(0, 1), (2, 5)]),
    ],
)
def test_every_tag_scheme_is_read(
    tags: str, expected: list[tuple[int, int]], tmp_path: Path
) -> None:
    path = tmp_path / "d.conll"
    lines = [f"{token} {tag}\n" for token, tag in zip("abc", tags.split(), strict=True)]
    path.write_text("".join(lines))
    (document,) = read_from("conll", path)
    assert document.mentions == tuple(mention(start, end, "A") for start, end in expected)


def test_white_space_comes_back(tmp_path: Path) -> None:
    document = Document("a|b", " \tAmes  and\r\nBo\\ ", (mention(2, 6, "NAME"),))
    assert there_and_back("conll", [document], tmp_path) == [document]


def test_a_text_of_numbers_comes_back(tmp_path: Path) -> None:
    document = Document("a", "1 2\t3")
    assert there_and_back("conll", [document], tmp_path) == [document]


def test_white_space_at_the_edges_of_a_mention_is_a_loss(tmp_path: Path) -> None:
    document = Document("w", "a b", (mention(0, 2, "A"),))
    losses = ConversionLosses()
    (found,) = there_and_back("conll", [document], tmp_path, losses=losses)
    assert found.mentions == (mention(0, 1, "A"),)
    assert losses.lines() == [
        "1 annotation with white space at the edges, made tight (first: w: A at 0-2)"
    ]


def test_columns_end_at_ascii_white_space_alone(tmp_path: Path) -> None:
    path = tmp_path / "d.conll"
    path.write_text("# a:\tb c\n1\u00a0000 B-A\n\u3000x O\na\u2028b   O\n")
    assert read_from("conll", path) == [
        Document("d", "1\u00a0000 \u3000x a\u2028b", (mention(0, 5, "A"),))
    ]
    path.write_text("a\tB-A\nb O\n# O\n")
    assert read_from("conll", path) == [Document("d", "a b #", (mention(0, 1, "A"),))]


def test_crlf_without_a_final_line_end_is_the_same_as_with_it(tmp_path: Path) -> None:
    path = tmp_path / "d.conll"
    documents = []
    for end in (b"", b"\r\n"):
        path.write_bytes(b"Ames\tB-A\r\n\r\nBo\tB-A" + end)
        documents.append(read_from("conll", path))
    assert (
        documents[0]
        == documents[1]
        == [Document("d", "Ames\nBo", (mention(0, 4, "A"), mention(5, 7, "A")))]
    )


@pytest.mark.parametrize("comment", ["# doc_id = ", "# newdoc id = ", "#doc_id: ", "# docid = "])
def test_comments_begin_documents(comment: str, tmp_path: Path) -> None:
    path = tmp_path / "d.conll"
    path.write_text(f"{comment}a b\nx O\n\n{comment}c\ny O\n")
    assert [one.id for one in read_from("conll", path)] == ["a b", "c"]


def test_a_comment_of_a_document_may_stand_before_each_sentence(tmp_path: Path) -> None:
    path = tmp_path / "d.conll"
    path.write_text("# doc_id = 1\nx O\n\n# doc_id = 1\ny O\n\n# doc_id = 2\nz O\n")
    assert read_from("conll", path) == [Document("1", "x\ny"), Document("2", "z")]


def test_parts_of_conll_2012_are_documents(tmp_path: Path) -> None:
    path = tmp_path / "d.conll"
    begin = "#begin document (a/b); part 00"
    path.write_text(f"{begin}0\nx O\n\n#end document\n{begin}1\ny O\n#end document\n")
    assert read_from("conll", path) == [Document("a/b", "x"), Document("a/b.1", "y")]


def test_ranges_and_empty_nodes_of_conll_u_are_no_words(tmp_path: Path) -> None:
    path, losses = tmp_path / "d.conllu", ConversionLosses()
    rows = [("1", "Vio", "O", "_"), ("2-3", "al", "O", "_"), ("2", "a", "B-A", "SpaceAfter=No")]
    rows += [("3", "el", "O", "_"), ("3.1", "x", "O", "_")]
    path.write_text("".join("\t".join(row) + "\n" for row in rows))
    options = replace(OPTIONS, token_column=1, tag_column=2)
    assert read_from("conll", path, losses=losses, options=options) == [
        Document("d", "Vio ael", (mention(4, 5, "A"),))
    ]
    assert losses.lines()[0].startswith(
        "2 lines of CoNLL-U without a word (a range or an empty node)"
    )
    with pytest.raises(FormatError, match="the token column 0 holds the numbers of tokens"):
        read_from("conll", path, options=replace(OPTIONS, tag_column=2))


@pytest.mark.parametrize(("content", "message"), MALFORMED)
def test_malformed_input_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    check_refusal("conll", content, message, tmp_path)

from __future__ import annotations

import time

import pytest

from annoseq.formats.sentence_splitter import RowUnit, split_text


def units(text: str, unit: RowUnit, *unbroken: tuple[int, int]) -> list[str]:
    return [text[start:end] for start, end in split_text(text, unit, unbroken=unbroken)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dear Dr. Ames: hello.", ["Dear Dr. Ames: hello."]),
        ("J. R. Ames came. He left.", ["J. R. Ames came.", "He left."]),
        ("On 3. March it rose to 98.6 F.", ["On 3. March it rose to 98.6 F."]),
        ('He said "No." Then he left.', ['He said "No."', "Then he left."]),
        ("e.g. this. and that", ["e.g. this. and that"]),
        ("One line\nanother. And\n\n  more ", ["One line", "another.", "And", "more"]),
        ("他来了。她走了。", ["他来了。", "她走了。"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_sentence_boundaries(text: str, expected: list[str]) -> None:
    assert units(text, "sentence") == expected


def test_lines_are_stripped_and_blank_lines_left_out() -> None:
    assert units(" one \r\n\n\ttwo. Three\n", "line") == ["one", "two. Three"]


def test_a_document_is_not_stripped() -> None:
    assert units(" one \n\n", "document") == [" one \n\n"]
    assert units("", "document") == [""]


def test_units_that_a_mention_crosses_are_joined() -> None:
    assert units("one\ntwo\nthree\nfour", "line", (5, 10)) == ["one", "two\nthree", "four"]
    assert units("one\ntwo\nthree", "line", (0, 5), (4, 9)) == ["one\ntwo\nthree"]
    assert units("one\n two\n", "line", (2, 5)) == ["one\n two"]


def test_white_space_that_a_mention_covers_is_kept() -> None:
    assert units("a\n bc \nd", "line", (2, 4)) == ["a", " bc", "d"]
    assert units("a\n  \nd", "line", (2, 3)) == ["a", " ", "d"]


@pytest.mark.parametrize("piece", [".", "a.", ". ", "。", "!) ", "\n", "Dr. ", "A", '."'])
def test_splitting_takes_linear_time(piece: str) -> None:
    start = time.process_time()
    list(split_text(piece * 20_000, "sentence"))
    assert time.process_time() - start < 2

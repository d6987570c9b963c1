from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.data.markup import parse
from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.documents import Document, Mention
from annoseq.formats.sentence_splitter import RowUnit, split_text
from annoseq.formats.to_rows import to_pairs
from tests.formats.documents import documents, mention


def pieces(text: str, unit: RowUnit, *unbroken: tuple[int, int]) -> list[str]:
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
def test_where_sentences_end(text: str, expected: list[str]) -> None:
    assert pieces(text, "sentence") == expected


def test_lines_are_tight_and_blank_ones_left_out() -> None:
    assert pieces(" one \r\n\n\ttwo. Three\n", "line") == ["one", "two. Three"]


def test_a_document_stays_as_it_is() -> None:
    assert pieces(" one \n\n", "document") == [" one \n\n"]
    assert pieces("", "document") == [""]


def test_units_that_a_mention_crosses_are_joined() -> None:
    assert pieces("one\ntwo\nthree\nfour", "line", (5, 10)) == ["one", "two\nthree", "four"]
    assert pieces("one\ntwo\nthree", "line", (0, 5), (4, 9)) == ["one\ntwo\nthree"]
    assert pieces("one\n two\n", "line", (2, 5)) == ["one\n two"]


def test_white_space_that_a_mention_covers_is_kept() -> None:
    assert pieces("a\n bc \nd", "line", (2, 4)) == ["a", " bc", "d"]
    assert pieces("a\n  \nd", "line", (2, 3)) == ["a", " ", "d"]


@pytest.mark.parametrize("piece", [".", "a.", ". ", "。", "!) ", "\n", "Dr. ", "A", '."'])
def test_no_text_takes_long(piece: str) -> None:
    start = time.process_time()
    list(split_text(piece * 20_000, "sentence"))
    assert time.process_time() - start < 2


@settings(max_examples=20, deadline=None)
@given(document=documents(), unit=st.sampled_from(["document", "line", "sentence"]))
def test_nothing_is_lost_between_documents_and_pairs(document: Document, unit: RowUnit) -> None:
    losses = ConversionLosses()
    pairs = list(to_pairs([document], unit=unit, losses=losses))
    spans = []
    end = 0
    for pair in pairs:
        assert pair.document == document.id
        assert pair.start is not None
        assert pair.start >= end
        assert document.text[end : pair.start].strip() == ""
        end = pair.start + len(pair.source)
        assert document.text[pair.start : end] == pair.source
        text, found = parse(pair.target)
        assert text == pair.source
        spans += [(one.start + pair.start, one.end + pair.start, one.label) for one in found]
    assert document.text[end:].strip() == ""
    if not losses:
        said = [(one.start, one.end, one.label) for one in document.mentions]
        assert sorted(spans) == sorted(said)


def lost(*mentions: Mention) -> tuple[str, list[str]]:
    losses = ConversionLosses()
    (pair,) = to_pairs([Document("d", "abcdef", mentions)], unit="line", losses=losses)
    return pair.target, losses.lines()


def test_of_two_that_cross_the_first_is_kept_and_the_other_named() -> None:
    target, lines = lost(mention(0, 3, "A"), mention(2, 5, "B"))
    assert target == "{{A}}abc{{/A}}def"
    expected = "1 annotations were left out, because they cross others and tags cannot"
    assert lines == [f"{expected} (first: d: B at 2-5)"]


def test_fragments_become_spans_and_are_named() -> None:
    target, lines = lost(Mention(((0, 1), (2, 3)), "A"))
    assert target == "{{A}}a{{/A}}b{{A}}c{{/A}}def"
    expected = "1 discontinuous annotations became one span for each of their fragments"
    assert lines == [f"{expected} (first: d: A at 0-1, 2-3)"]


def test_a_label_that_cannot_stand_in_a_tag_is_rewritten_and_named() -> None:
    target, lines = lost(mention(0, 1, "two {words}"))
    assert target == "{{two_words_}}a{{/two_words_}}bcdef"
    expected = "1 labels 'two {words}' are written two_words_, because of what a tag can hold"
    assert lines == [f"{expected} (first: d: two {{words}} at 0-1)"]


def test_nested_mentions_are_nested_tags() -> None:
    target, lines = lost(mention(1, 2, "B"), mention(0, 3, "A"), mention(0, 3, "C"))
    assert target == "{{A}}{{C}}a{{B}}b{{/B}}c{{/C}}{{/A}}def"
    assert lines == []

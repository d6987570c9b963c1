from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

from annoseq.data.markup import LABEL_PATTERN, Span, Tag, is_label, render, scan
from annoseq.tokenization.pretokenizer import (
    build_pretokenizer,
    core_start,
    find_misaligned_spans,
    is_tag,
)
from tests.data.strategies import annotated_texts, texts

THOROUGH = settings(max_examples=250, deadline=None)


def tokens(text: str, *, keeps_tags: bool = False) -> list[str]:
    rule = build_pretokenizer(keeps_tags=keeps_tags)
    return [token for token, _ in rule.pre_tokenize_str(text)]


@pytest.mark.parametrize("keeps_tags", [False, True])
@THOROUGH
@given(text=texts)
def test_the_tokens_joined_are_the_text(text: str, keeps_tags: bool) -> None:
    pieces = build_pretokenizer(keeps_tags=keeps_tags).pre_tokenize_str(text)
    assert "".join(token for token, _ in pieces) == text
    assert [text[start:end] for _, (start, end) in pieces] == [token for token, _ in pieces]


@THOROUGH
@given(annotated_texts())
def test_every_tag_is_one_token(annotation: tuple[str, list[Span]]) -> None:
    annotated = render(*annotation)
    tags = [str(piece) for piece in scan(annotated) if isinstance(piece, Tag)]
    found = [token.removeprefix(" ") for token in tokens(annotated, keeps_tags=True)]
    assert [token for token in found if re.match(r"\{\{[^\\]", token)] == tags


@THOROUGH
@given(texts)
def test_no_span_of_whole_tokens_is_cut(text: str) -> None:
    offsets = [place for _, place in build_pretokenizer().pre_tokenize_str(text)]
    spans = [Span(core_start(text, *place), place[1], "A") for place in offsets]
    visible = [span for span in spans if text[span.start : span.end].strip()]
    assert find_misaligned_spans(text, visible) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Ames, 31y", ["Dr", ".", " Ames", ",", " 3", "1", "y"]),
        ("a  b", ["a", " ", " b"]),
        ("a\r\nb", ["a", "\r", "\n", "b"]),
        ("e\u0301te\u0301", ["e\u0301te\u0301"]),
        ("1\u0301 2\u20e3", ["1\u0301", " 2\u20e3"]),
        ("x_y-z", ["x", "_", "y", "-", "z"]),
        ("نص 姓名", ["نص", " 姓名"]),
        ("a\x1cb", ["a", "\x1c", "b"]),
    ],
)
def test_tokens(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


def test_tags_are_kept_whole_when_asked() -> None:
    annotated = r"to {{A:B}}Ames{{/A:B}} {{\A}} {{A B}}"
    assert tokens(annotated, keeps_tags=True)[:5] == ["to", " {{A:B}}", "Ames", "{{/A:B}}", " {"]
    assert tokens("{{A}}") == ["{", "{", "A", "}", "}"]


def test_both_regular_expression_engines_read_labels_alike() -> None:
    rule = Split(Regex(LABEL_PATTERN), behavior="removed")
    scalars = [*range(0xD800), *range(0xE000, 0x3000), *range(0xF900, 0x10000), 0x1F600]
    for character in map(chr, scalars):
        assert is_label(character) == (rule.pre_tokenize_str(character) == []), hex(ord(character))


@pytest.mark.parametrize(
    ("text", "span", "is_cut"),
    [
        ("Dr. Ames", Span(4, 8, "A"), False),
        ("Dr. Ames", Span(3, 8, "A"), False),  # with the space before it
        ("Dr. Ames ", Span(4, 9, "A"), False),  # and after it
        ("Dr. Ames", Span(5, 8, "A"), True),
        ("Dr. Ames", Span(4, 6, "A"), True),
        ("2020", Span(1, 3, "A"), False),  # digits are tokens
        ("e\u0301", Span(0, 1, "A"), True),
        ("a b", Span(1, 2, "A"), True),  # nothing but white space
        ("a\x1c\u0301", Span(1, 3, "A"), False),
    ],
)
def test_spans_that_are_cut(text: str, span: Span, is_cut: bool) -> None:
    assert find_misaligned_spans(text, [span]) == ([span] if is_cut else [])


def test_tags_are_told_from_other_tokens() -> None:
    text = "a {{X}}b{{/X}} {{\\X}} {{ X}}{}{{/}} {{Y:Z}}"
    found = tokens(text, keeps_tags=True)
    assert "".join(found) == text
    assert [token for token in found if is_tag(token)] == [" {{X}}", "{{/X}}", " {{Y:Z}}"]
    assert not any(map(is_tag, tokens(text)))

from __future__ import annotations

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.data.alignment import align_normalized
from annoseq.data.markup import Span, render, tighten
from annoseq.data.normalization import describe_only_difference, normalize
from annoseq.errors import MarkupError
from tests.data.strategies import annotated_texts, texts


@given(texts)
def test_every_character_stands_for_a_range_of_the_original(text: str) -> None:
    normalized = normalize(text)
    assert len(normalized.text) == len(normalized.starts) == len(normalized.ends)
    assert normalized.text == normalized.text.strip()
    for start, end in zip(normalized.starts, normalized.ends, strict=True):
        assert 0 <= start < end <= len(text)


@given(texts)
def test_a_normalized_text_is_its_own_normal_form(text: str) -> None:
    once = normalize(text).text
    assert normalize(once).text == once


@given(texts)
def test_unicode_forms_are_the_same(text: str) -> None:
    for form in ("NFC", "NFD"):
        assert normalize(unicodedata.normalize(form, text)).text == normalize(text).text


@settings(deadline=None)
@given(annotated_texts())
def test_spans_of_exact_annotations_are_exact(annotation: tuple[str, list[Span]]) -> None:
    text, spans = annotation
    assert align_normalized(text, render(text, spans)) == spans


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "é", "e\u0301", "ﬁ", " ", "\u00a0", "’", "\r\n"])), st.data())
def test_spans_of_a_normalized_target_are_those_of_the_source(
    pieces: list[str], data: st.DataObject
) -> None:
    text = "".join(["x", *pieces, "y"])
    span = Span(0, 1, "A") if data.draw(st.booleans()) else Span(len(text) - 1, len(text), "A")
    target = render(text, [span]).replace("\r\n", "\n").replace("’", "'").replace("\u00a0", " ")
    target = unicodedata.normalize(data.draw(st.sampled_from(["NFC", "NFD"])), target) + " "
    assert [tighten(text, found) for found in align_normalized(text, target)] == [span]


def test_what_differs_is_named() -> None:
    assert describe_only_difference("a", "a") is None
    assert describe_only_difference("a", "b") is None
    assert describe_only_difference("a\u2014b", "a-b") == "only quotes and dashes differ"


def test_spans_that_part_a_character_are_refused() -> None:
    annotated = "{{A}}e{{/A}}{{B}}\u0301x{{/B}}"
    try:
        spans = align_normalized("\u00e9x ", annotated)
    except MarkupError:
        return
    assert render("\u00e9x ", spans)

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.data.markup import parse
from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.documents import Document, Mention
from annoseq.formats.to_rows import to_pairs
from tests.formats.documents import documents, mention

if TYPE_CHECKING:
    from annoseq.formats.sentence_splitter import RowUnit


@settings(max_examples=20, deadline=None)
@given(document=documents(), unit=st.sampled_from(["document", "line", "sentence"]))
def test_pairs_cover_the_document(document: Document, unit: RowUnit) -> None:
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
        text, pair_spans = parse(pair.target)
        assert text == pair.source
        spans += [(s.start + pair.start, s.end + pair.start, s.label) for s in pair_spans]
    assert document.text[end:].strip() == ""
    if not losses:
        mentions = [(m.start, m.end, m.label) for m in document.mentions]
        assert sorted(spans) == sorted(mentions)


def convert(*mentions: Mention) -> tuple[str, list[str]]:
    losses = ConversionLosses()
    (pair,) = to_pairs([Document("d", "abcdef", mentions)], unit="line", losses=losses)
    return pair.target, losses.lines()


def test_of_two_that_cross_the_first_is_kept_and_the_other_named() -> None:
    target, lines = convert(mention(0, 3, "A"), mention(2, 5, "B"))
    assert target == "{{A}}abc{{/A}}def"
    expected = "1 annotation left out, because tags cannot cross"
    assert lines == [f"{expected} (first: d: B at 2-5)"]


def test_fragments_become_spans_and_are_named() -> None:
    target, lines = convert(Mention(((0, 1), (2, 3)), "A"))
    assert target == "{{A}}a{{/A}}b{{A}}c{{/A}}def"
    expected = "1 discontinuous annotation split into one span for each fragment"
    assert lines == [f"{expected} (first: d: A at 0-1, 2-3)"]


def test_a_label_that_cannot_stand_in_a_tag_is_rewritten_and_named() -> None:
    target, lines = convert(mention(0, 1, "two {words}"))
    assert target == "{{two_words_}}a{{/two_words_}}bcdef"
    expected = "1 label written two_words_, because of what a tag can hold"
    assert lines == [f"{expected} (first: d: (a label of 11 characters) at 0-1)"]


def test_nested_mentions_are_nested_tags() -> None:
    target, lines = convert(mention(1, 2, "B"), mention(0, 3, "A"), mention(0, 3, "C"))
    assert target == "{{A}}{{C}}a{{B}}b{{/B}}c{{/C}}{{/A}}def"
    assert lines == []


def test_documents_without_text_have_no_row() -> None:
    losses = ConversionLosses()
    assert list(to_pairs([Document("d", " \n ")], unit="line", losses=losses)) == []
    assert losses.lines() == ["1 document without text and so without a row (first: d)"]

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.data.markup import Span
from annoseq.evaluation.counts import CountTotals, SpanComparison
from annoseq.evaluation.deid_metrics import (
    count_characters,
    count_document,
    count_i2b2,
    count_merged,
    count_sentences,
)
from annoseq.evaluation.metrics import span_scores
from annoseq.evaluation.scorer import DocumentCounter
from tests.evaluation.strategies import LENGTH, apart, spans

if TYPE_CHECKING:
    from annoseq.evaluation.counts import Counts


ADDRESS = "Calle Mayor 3, 28001 Madrid y Toledo."
STREET, CODE, TOWN, OTHER = (
    Span(0, 13, "CALLE"),
    Span(15, 20, "TERRITORIO"),
    Span(21, 27, "TERRITORIO"),
    Span(30, 36, "TERRITORIO"),
)


def row(
    gold: list[Span],
    predicted: list[Span],
    *,
    text: str = ADDRESS,
    document: str | None = None,
    start: int | None = None,
) -> SpanComparison:
    return SpanComparison("1", text, tuple(gold), tuple(predicted), document=document, start=start)


def merged(*rows: SpanComparison) -> tuple[int, int, int]:
    counts = count_merged(rows)
    return counts["merged.correct"], counts["merged.predicted"], counts["merged.gold"]


def test_merged_spans_are_right_where_only_punctuation_lies_between() -> None:
    """By hand: merged, both are 0 to 27, and 21 to 27 is found as it is; nothing else counts."""
    assert merged(row([STREET, CODE, TOWN], [Span(0, 20, "X"), TOWN])) == (2, 2, 2)
    assert merged(row([STREET, CODE, TOWN], [Span(0, 27, "X")])) == (1, 1, 1)


def test_what_is_missed_of_merged_spans_is_counted_one_by_one() -> None:
    assert merged(row([STREET, CODE, TOWN], [STREET])) == (1, 1, 3)
    assert merged(row([STREET], [STREET, CODE])) == (1, 2, 1)


def test_letters_between_keep_spans_apart() -> None:
    assert merged(row([TOWN, OTHER], [Span(21, 36, "X")])) == (0, 1, 2)


def test_a_merged_span_covers_a_span_within_another() -> None:
    """MEDDOCAN's script would end it with the inner span, at 20."""
    outer, inner = Span(0, 27, "X"), Span(15, 20, "Y")
    assert merged(row([outer, inner], [outer])) == (1, 1, 1)


def test_labels_and_doubles_are_of_no_account() -> None:
    assert merged(row([TOWN], [Span(21, 27, "X"), TOWN])) == (1, 1, 1)


@pytest.mark.parametrize(
    ("start", "expected"),
    [(38, (2, 2, 2)), (39, (2, 2, 2)), (60, (1, 2, 2)), (None, (1, 2, 2)), (3, (1, 2, 2))],
)
def test_spans_are_merged_across_rows_known_to_be_neighbours(
    start: int | None, expected: tuple[int, int, int]
) -> None:
    """The full stop, marked too, is within what is merged, if the rows follow one another."""
    name = Span(0, 3, "A")
    first = row([OTHER], [Span(30, 37, "A")], document="d", start=0)
    second = row([name], [name], text="Ana", document="d", start=start)
    assert merged(first, second) == expected


def official(text: str, gold: list[Span], predicted: list[Span]) -> tuple[int, int, int]:
    """Score as the evaluation script of MEDDOCAN describes it, spelled out."""
    golds, found = ({(one.start, one.end) for one in some} for some in (gold, predicted))

    def joined(extents: set[tuple[int, int]]) -> set[tuple[int, int]]:
        kept: list[tuple[int, int]] = []
        for start, end in sorted(extents):
            if kept and all(not sign.isalnum() for sign in text[kept[-1][1] : start]):
                start = kept.pop()[0]  # noqa: PLW2901
            kept.append((start, end))
        return set(kept)

    common = golds & found | joined(golds) & joined(found)

    def left(some: set[tuple[int, int]]) -> set[tuple[int, int]]:
        return {
            (start, end)
            for start, end in some
            if not any(first <= start and end <= last for first, last in common)
        }

    spurious, missed = left(found - golds), left(golds - found)
    return len(common), len(common) + len(spurious), len(common) + len(missed)


@given(apart(), apart())
@settings(max_examples=50)
def test_merged_spans_are_those_of_the_script(gold: list[Span], predicted: list[Span]) -> None:
    text = "ab, c. 12 -x"
    assert len(text) == LENGTH
    assert merged(row(gold, predicted, text=text)) == official(text, gold, predicted)


def test_nested_spans_do_not_make_a_merged_one_shorter() -> None:
    assert merged(row([Span(0, 27, "A"), STREET], [Span(0, 27, "A")])) == (1, 1, 1)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", 0),
        ("Ames", 1),
        ("Seen on 2.5.2020. Well.", 2),
        ("One.\nTwo\n\nThree", 3),
        ('He said "no!" and left. ', 2),
        ("...", 0),
    ],
)
def test_sentences(text: str, sentences: int) -> None:
    assert count_sentences(text) == sentences


def test_the_leak_is_missed_spans_per_sentence() -> None:
    """A span with the wrong label is missed too, as in MEDDOCAN's first track."""
    found = [STREET, Span(15, 20, "CALLE")]
    counts = DocumentCounter({"CALLE"}).count([row([STREET, CODE, TOWN, OTHER], found)])
    assert counts["sentences"] == 1
    assert span_scores(CountTotals(counts))["leak"] == 3


def test_characters_and_the_tokens_they_lie_in() -> None:
    counts = count_characters(ADDRESS, [STREET], [Span(6, 13, "X"), Span(21, 24, "X")])
    assert counts == {
        "character.correct": 6,  # Mayor3
        "character.predicted": 9,
        "character.gold": 11,
        "token.correct": 2,
        "token.predicted": 3,  # Madrid counts, though only Mad is marked
        "token.gold": 3,
    }
    assert count_characters(ADDRESS, [], []) == {}
    assert count_characters("a  b", [Span(1, 3, "A")], []) == {}


def test_overlapping_spans_count_a_character_once() -> None:
    counts = count_characters(ADDRESS, [STREET, Span(0, 5, "B")], [STREET])
    assert counts["character.gold"] == counts["character.correct"] == 11


def test_a_document_counts_where_all_is_marked() -> None:
    good, bad, empty = row([TOWN], [Span(20, 28, "X")]), row([TOWN], [STREET]), row([], [STREET])
    assert count_document([good, empty]) == {"document.gold": 1, "document.correct": 1}
    assert count_document([good, bad])["document.correct"] == 0
    assert count_document([empty]) == {}


NAMES = ("correct", "predicted", "gold")
texts = st.text(alphabet="aB3 .é-", min_size=LENGTH, max_size=LENGTH)
rows = st.lists(st.tuples(texts, spans, spans), min_size=1, max_size=3)


class FuzzyTag:
    """A span that equals another if the ends differ by at most two characters."""

    def __init__(self, row: int, span: Span) -> None:
        self.place, self.end = (row, span.start, span.label), span.end

    def __hash__(self) -> int:
        return hash(self.place)

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, FuzzyTag)
        return self.place == other.place and abs(self.end - other.end) <= 2


def compare_sets(gold: set[object], predicted: set[object]) -> tuple[int, int, int]:
    correct = len(gold.intersection(predicted))
    return correct, correct + len(predicted - gold), correct + len(gold - predicted)


def tokens(row: int, text: str, span: Span) -> list[tuple[int, str, int, int]]:
    """Split a span's text as the script does: what stands between tokens, and the tokens."""
    pieces = re.split("([a-zA-Z0-9]+)", text[span.start : span.end])
    if len(pieces) == 1:
        pieces += ["", ""]
    found, cursor = [], span.start
    for between, token in zip(pieces[::2], pieces[1::2], strict=False):
        start = cursor + len(between)
        cursor = start + len(token)
        found.append((row, span.label, start, cursor))
    return found


def figures(counts: Counts, name: str) -> tuple[int, ...]:
    return tuple(counts[f"{name}.{part}"] for part in NAMES)


@given(rows)
@settings(max_examples=300)
def test_counts_are_those_of_the_script(drawn: list[tuple[str, list[Span], list[Span]]]) -> None:
    document = [
        SpanComparison(str(number), text, tuple(gold), tuple(predicted))
        for number, (text, gold, predicted) in enumerate(drawn)
    ]
    numbered = list(enumerate(document))
    sides = (
        [(number, row.text, span) for number, row in numbered for span in sorted(row.gold)],
        [(number, row.text, span) for number, row in numbered for span in sorted(row.predicted)],
    )
    counts = count_i2b2(document)
    relaxed = [{FuzzyTag(number, span) for number, _, span in side} for side in sides]
    assert figures(counts, "i2b2_relaxed") == compare_sets(*relaxed)  # type: ignore[arg-type]
    split = [{token for place in side for token in tokens(*place)} for side in sides]
    assert figures(counts, "i2b2_token") == compare_sets(*split)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("predicted", "relaxed"),
    [
        (Span(4, 8, "N"), 1),
        (Span(4, 10, "N"), 1),
        (Span(4, 11, "N"), 0),
        (Span(5, 8, "N"), 0),
        (Span(4, 8, "M"), 0),
    ],
)
def test_ends_may_differ_by_two_characters(predicted: Span, relaxed: int) -> None:
    row = SpanComparison("1", "Dr. Ames, 31", (Span(4, 8, "N"),), (predicted,))
    assert figures(count_i2b2([row]), "i2b2_relaxed") == (relaxed, 1, 1)


def test_the_scores_are_printed_beside_ours() -> None:
    gold, predicted = Span(0, 16, "STREET"), Span(0, 14, "STREET")
    row = SpanComparison("1", "12, Main Street.", (gold,), (predicted,))
    scores = span_scores(CountTotals(DocumentCounter({"STREET"}).count([row])))
    assert float(scores["span_f1"]) == 0
    assert float(scores["i2b2_relaxed_f1"]) == 1
    assert float(scores["i2b2_token_recall"]) == pytest.approx(2 / 3)

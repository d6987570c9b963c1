"""The i2b2 scores, against a brute-force reading of how its evaluation script compares sets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.data.markup import Span
from annoseq.evaluation.counts import CountTotals, SpanComparison
from annoseq.evaluation.i2b2_metrics import count_i2b2
from annoseq.evaluation.metrics import span_scores
from annoseq.evaluation.scorer import DocumentCounter
from tests.evaluation.strategies import LENGTH, spans

if TYPE_CHECKING:
    from annoseq.evaluation.counts import Counts

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

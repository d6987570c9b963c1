"""Over-redaction: tokens and words that are marked in no identifier."""

from __future__ import annotations

import pytest

from annoseq.data.markup import Span
from annoseq.evaluation.counts import SpanComparison
from annoseq.evaluation.over_redaction import LostWord, OverRedactionCounts, find_lost_words
from annoseq.evaluation.scorer import Scorer

TEXT = "Ana has Fever, fever 39"
ANA, HAS, FEVER, AGAIN, DIGITS = (
    Span(start, end, "NAME") for start, end in [(0, 3), (4, 7), (8, 13), (15, 20), (21, 23)]
)


def test_a_token_is_lost_if_it_is_marked_and_in_no_identifier() -> None:
    counts = OverRedactionCounts(counts_words=True)
    counts.add(TEXT, [ANA], [ANA, FEVER, Span(13, 14, "NAME"), DIGITS])
    assert (counts.other_tokens, counts.lost_tokens) == (5, 3)
    assert counts.share == pytest.approx(0.6)
    assert counts.worst_words(9) == [LostWord(word="fever", lost=1, kept=1)]
    assert OverRedactionCounts().share == 0.0


def test_words_are_counted_only_if_asked_for() -> None:
    counts = OverRedactionCounts()
    counts.add(TEXT, [], [ANA, FEVER])
    assert (counts.lost_tokens, counts.worst_words(9)) == (2, [])


def test_the_most_frequent_words_come_first() -> None:
    row = SpanComparison("1", TEXT, (ANA,), (HAS, FEVER, AGAIN, ANA))
    expected = [LostWord(word="fever", lost=2, kept=0), LostWord(word="has", lost=1, kept=0)]
    assert find_lost_words([row], 5) == expected
    assert find_lost_words([row], 1) == expected[:1]


def test_the_score_is_the_same_share() -> None:
    rows = [
        SpanComparison("1", TEXT, (ANA,), (FEVER, Span(0, 7, "NAME"))),
        SpanComparison("2", "nobody here", (), ()),
    ]
    scorer = Scorer(labels=["NAME"], replicates=10)
    scorer.add(rows)
    assert scorer.all.scores()["over_redaction"].value == pytest.approx(2 / 7)

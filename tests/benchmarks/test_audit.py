"""Corruption of a corpus, and the measures of lists of suspected errors."""

from __future__ import annotations

from collections import Counter

import pytest

from annoseq.data.examples import Example, parse_pair
from annoseq.data.markup import Span, render
from annoseq.data.pairs import Pair
from benchmarks.audit import Corruption, corrupt, measure


def examples(rows: int = 60) -> list[Example]:
    text, spans = "Dr. Ada Ames of Bonn saw", (Span(4, 12, "NAME"), Span(16, 20, "CITY"))
    return [parse_pair(Pair(text, render(text, spans), row=row)) for row in range(1, rows + 1)]


def test_a_share_of_the_spans_is_corrupted_in_three_ways() -> None:
    clean = examples()
    corrupted, done = corrupt(clean, share=0.25, seed=1)
    assert len(done) == 30
    kinds = Counter(
        "dropped"
        if corruption.new is None
        else "shifted"
        if corruption.new.label == corruption.old.label
        else "relabelled"
        for corruption in done
    )
    assert kinds == {"dropped": 10, "shifted": 10, "relabelled": 10}
    changed = {corruption.row for corruption in done}
    for row, (before, after) in enumerate(zip(clean, corrupted, strict=True)):
        assert (before.spans != after.spans) == (row in changed)
        assert before.source == after.source


def test_the_same_seed_corrupts_alike() -> None:
    assert corrupt(examples(), share=0.1, seed=1)[1] == corrupt(examples(), share=0.1, seed=1)[1]


@pytest.mark.parametrize(("budget", "share"), [(1, "50.0%"), (3, "100.0%"), (9, "100.0%")])
def test_each_corruption_is_found_once(budget: int, share: str) -> None:
    done = [
        Corruption(0, Span(4, 12, "NAME"), None),
        Corruption(2, Span(4, 12, "NAME"), Span(8, 12, "NAME")),
    ]
    places = [(0, 4, 8), (0, 8, 12), (2, 8, 12), (1, 4, 12)]
    assert measure(places, done, budget=budget) == ["2 of 100", share]

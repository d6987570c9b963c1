"""Rows of documents in any order: the counts do not depend on it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.data.examples import Example
from annoseq.data.markup import Span, render
from annoseq.errors import PairsError
from annoseq.evaluation.counts import SpanComparison, document_order, group_by_document
from annoseq.evaluation.coverage_counter import count_coverage
from annoseq.evaluation.scorer import Scorer

TEXT = "Dr. Ames came"
GOLD = (Span(4, 8, "NAME"),)
FOUND = ((), GOLD, (Span(0, 8, "NAME"),))
SCORES = (1.0, 0.3, 1e-3)


def tabled(kinds: list[int], *, has_offsets: bool) -> list[SpanComparison]:
    """Make documents of three rows each, of which a kind says what was found."""
    return [
        SpanComparison(
            f"{document}.{row}",
            TEXT,
            GOLD,
            FOUND[kind],
            document=f"d{document}" if document else None,
            start=row * (len(TEXT) + 1) if has_offsets else None,
        )
        for document, rows in enumerate(kinds[at : at + 3] for at in range(0, len(kinds), 3))
        for row, kind in enumerate(rows)
    ]


def scored(rows: list[SpanComparison]) -> Scorer:
    scorer = Scorer(labels=["NAME"], replicates=2)
    scorer.add_all(group_by_document(rows[row] for row in document_order(rows)))
    return scorer


@settings(max_examples=25, deadline=None)
@given(st.data(), st.lists(st.integers(0, 2), min_size=4, max_size=12), st.booleans())
def test_any_order_of_the_rows_gives_the_same_counts(
    data: st.DataObject,
    kinds: list[int],
    has_offsets: bool,
) -> None:
    rows = tabled(kinds, has_offsets=has_offsets)
    order = data.draw(st.permutations(range(len(rows))))
    expected = list(group_by_document(rows))
    assert scored(rows).all.counts == scored([rows[row] for row in order]).all.counts
    assert scored(rows).all.documents == len(expected)
    examples = [
        Example(row.text, render(row.text, row.gold), row.gold, at, row.document, row.start)
        for at, row in enumerate(rows, 1)
    ]
    parts = [[Span(0, 13, "NAME", SCORES[kind])] for kind in kinds]
    shuffled = count_coverage([examples[row] for row in order], [parts[row] for row in order])
    counts = count_coverage(examples, parts)
    assert counts.documents.total == len(expected)
    assert shuffled == counts


def test_a_document_keeps_its_place_and_its_rows_their_order() -> None:
    rows = [
        SpanComparison(str(at), "", (), (), document=document, start=start)
        for at, (document, start) in enumerate(
            [("b", None), ("a", 9), ("b", 0), (None, None), ("", None), ("a", 0), ("", None)]
        )
    ]
    assert document_order(rows) == [0, 2, 5, 1, 3, 4, 6]


def test_a_document_that_returns_is_an_error() -> None:
    rows = [
        SpanComparison("secret", "", (), (), document=document) for document in ("x9", "x7", "x9")
    ]
    with pytest.raises(PairsError) as caught:
        list(group_by_document(rows, name="gold.csv"))
    assert str(caught.value) == (
        "gold.csv: row 3: its document was there before, with others in between. Sort the table, "
        "and the predictions with it, so that a document's rows follow each other; they are scored "
        "together."
    )

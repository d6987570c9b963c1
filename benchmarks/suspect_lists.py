"""Lists of suspected label errors, by `annoseq audit`, cleanlab and at random, and their measures.

All lists are of places, the most suspicious first. They come from the same out-of-fold predictions.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from annoseq.audit.label_errors import find_label_errors
from benchmarks.corruption import tokenize

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from annoseq.audit.cross_validation import HeldOutRow
    from annoseq.data.examples import Example
    from benchmarks.corruption import Corruption, Place

    Rows = Sequence[tuple[Example, HeldOutRow]]

_FIRST = 100


class ListMeasure(NamedTuple):
    """Errors among the first 100 places, and the indices of those found within a budget."""

    in_first: int
    found: frozenset[int]


def rank_by_audit(rows: Rows) -> list[Place]:
    """Return the places of the suspected errors of `annoseq audit`."""
    index = {example.row: row for row, (example, _) in enumerate(rows)}
    places = []
    for error in find_label_errors(rows):
        spans = [span for span in (error.gold, error.suggestion) if span is not None]
        start, end = min(span.start for span in spans), max(span.end for span in spans)
        places.append((index[error.example.row], start, end))
    return places


def rank_by_cleanlab(rows: Rows) -> list[Place]:
    """Return the tokens in the order of cleanlab's issues, the likeliest label error first."""
    from cleanlab.token_classification.filter import find_label_issues

    labels = sorted({span.label for example, _ in rows for span in example.tight_spans})
    numbers = {label: number for number, label in enumerate(labels, start=1)}
    offsets = [tokenize(example.source) for example, _ in rows]
    given, probabilities = [], []
    for (example, predictions), tokens in zip(rows, offsets, strict=True):
        table = np.zeros((len(tokens), len(numbers) + 1))
        own = np.zeros(len(tokens), dtype=int)  # 0 is outside of any span
        for place, (start, end) in enumerate(tokens):
            for span in predictions.candidates:
                if span.start < end and start < span.end and span.label in numbers:
                    table[place, numbers[span.label]] += span.score or 0.0
            for span in example.tight_spans:
                if span.start < end and start < span.end:
                    own[place] = numbers[span.label]
        table[:, 0] = np.maximum(1 - table.sum(axis=1), 1e-6)
        given.append(own.tolist())
        probabilities.append(table / table.sum(axis=1, keepdims=True))
    issues = find_label_issues(given, probabilities)
    return _spans_of_tokens(rows, [(row, *offsets[row][token]) for row, token in issues])


def _spans_of_tokens(rows: Rows, tokens: Sequence[Place]) -> list[Place]:
    """Return the gold spans that tokens lie in, each once, and the tokens outside of any.

    Of tokens that touch but for a character, only the first is kept: they are one suspicion.
    """
    kept: list[list[tuple[int, int]]] = [[] for _ in rows]
    places: list[Place] = []
    for row, start, end in tokens:
        gold = rows[row][0].tight_spans
        own = next((span for span in gold if span.start < end and start < span.end), None)
        first, last = (start, end) if own is None else (own.start, own.end)
        if not any(s - 1 < last and first < e + 1 for s, e in kept[row]):
            kept[row].append((first, last))
            places.append((row, first, last))
    return places


def rank_at_random(rows: Rows, *, seed: int) -> list[Place]:
    """Return the gold spans in a random order."""
    places = [
        (row, span.start, span.end)
        for row, (example, _) in enumerate(rows)
        for span in example.tight_spans
    ]
    random.Random(seed).shuffle(places)
    return places


def measure(places: Sequence[Place], errors: Sequence[Corruption], *, budget: int) -> ListMeasure:
    """Count the errors that a list finds, each once: in its first 100 places, and in `budget`."""
    by_row: dict[int, list[int]] = {}
    for number, error in enumerate(errors):
        by_row.setdefault(error.row, []).append(number)
    found: set[int] = set()
    hits, within = 0, frozenset[int]()
    for count, place in enumerate(places[: max(budget, _FIRST)], start=1):
        new = {n for n in by_row.get(place[0], ()) if errors[n].is_at(place)} - found
        found |= new
        hits += bool(new) and count <= _FIRST
        if count <= budget:
            within = frozenset(found)
    return ListMeasure(hits, within)


def measure_lists(
    rows: Rows, errors: Sequence[Corruption], *, budget: int, seed: int
) -> dict[str, ListMeasure]:
    """Measure the lists of `annoseq audit` and of cleanlab, and gold spans in a random order."""
    lists = {
        "annoseq audit": rank_by_audit(rows),
        "cleanlab, tokens joined": rank_by_cleanlab(rows),
        "gold spans at random": rank_at_random(rows, seed=seed),
    }
    return {name: measure(places, errors, budget=budget) for name, places in lists.items()}


def found_share(measured: ListMeasure, errors: Sequence[Corruption], kinds: Collection[str]) -> str:
    """Return the share of the errors of some kinds that are found."""
    some = [number for number, error in enumerate(errors) if error.kind in kinds]
    if not some:
        return ""
    return f"{len(measured.found & set(some)) / len(some):.0%} of {len(some)}"

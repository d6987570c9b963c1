"""Simulation of the shift test of `annoseq certify --new-notes`: its level and its power.

A random half of the dev documents is certified, and documents of the other half stand for new
notes: as they are, for the level, or changed, for the power. Documents are scored once.

Losses of a kind of notes have the shape (T, U): T thresholds, U documents.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from annoseq.evaluation.certificate import RiskBound, loss_table, score_units
from annoseq.evaluation.recall_thresholds import lowest_score
from annoseq.evaluation.risk_control import learn_then_test
from annoseq.evaluation.shift import LEVEL, compare_documents, document_figures
from benchmarks.measure import markdown_table
from benchmarks.target_recall import WIDE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from annoseq.data.examples import Example
    from annoseq.data.markup import Span
    from annoseq.evaluation.certificate import ScoredIdentifier
    from annoseq.evaluation.shift import DocumentFigures
    from annoseq.inference.annotator import Annotator

BOUND = RiskBound(missed=0.1, confidence=0.95)
SIZES = (25, 50, 100)
"""Numbers of new notes."""
PERMUTATIONS = 999
SAME = "the same documents"
"""Name of the notes that are the certified population's own."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoredDocuments:
    """Scored identifiers of documents, and their texts with scored parts.

    `is_population` says that they are the documents that are certified, in the same order.
    """

    units: Sequence[Sequence[ScoredIdentifier]]
    documents: Sequence[Sequence[tuple[str, Sequence[Span]]]]
    is_population: bool = True


@dataclass(slots=True)
class Tally:
    """Number of tests, of those that call the notes different, and the sum of the mean losses."""

    tests: int = 0
    different: int = 0
    loss: float = 0.0


def score_documents(
    annotator: Annotator,
    examples: Sequence[Example],
    *,
    change: Callable[[str], str] | None = None,
    is_population: bool = True,
) -> ScoredDocuments:
    """Score the documents of examples, whose characters are changed one by one if asked."""
    if change is not None:
        examples = [
            replace(example, source="".join(map(change, example.source))) for example in examples
        ]
    parts = annotator.score_coverage([example.source for example in examples], batching=WIDE)
    documents: dict[str | int, list[tuple[str, Sequence[Span]]]] = {}
    for example, example_parts in zip(examples, parts, strict=True):
        rows = documents.setdefault(example.document or example.row, [])
        rows.append((example.source, example_parts))
    units = score_units(examples, parts, BOUND)
    return ScoredDocuments(units, list(documents.values()), is_population)


def upper_case(character: str) -> str:
    """Return a character's upper case, if that is one character: offsets stay."""
    upper = character.upper()
    return upper if len(upper) == 1 else character


def without_accent(character: str) -> str:
    """Return a character without its accent: offsets stay."""
    return unicodedata.normalize("NFD", character)[0]


class ShiftSimulation:
    """Repeated shift tests of a population's random halves.

    `shifted` are other kinds of notes by name. `certified` counts the halves with a threshold for
    the bound: only those are compared. `tallies` are by kind and number of new notes.
    """

    def __init__(
        self, population: ScoredDocuments, shifted: Mapping[str, ScoredDocuments], *, seed: int
    ) -> None:
        self._kinds = {SAME: population, **shifted}
        self._bins, losses = loss_table(
            [unit for kind in self._kinds.values() for unit in kind.units], BOUND.loss
        )
        ends = np.cumsum([len(kind.units) for kind in self._kinds.values()])
        parts = np.split(losses, ends[:-1], axis=1)
        self._losses = dict(zip(self._kinds, parts, strict=True))
        self._generator = np.random.default_rng(seed)
        self._figures = cache(self._measure)
        self.certified = 0
        self.tallies: dict[tuple[str, int], Tally] = {}

    def run(self, repeats: int) -> None:
        """Certify random halves, and compare new notes with each."""
        losses = self._losses[SAME]
        for _ in range(repeats):
            order = self._generator.permutation(losses.shape[1])
            half, others = np.split(order, [len(order) // 2])
            risk, delta = BOUND.missed, 1 - BOUND.confidence
            index = learn_then_test(losses[:, half], risk=risk, delta=delta)
            if index is not None:
                self.certified += 1
                self._compare(index, half, others)

    def _measure(self, name: str, index: int) -> list[DocumentFigures]:
        """Return the figures of the documents of a kind at a threshold."""
        threshold = lowest_score(self._bins[index])
        return [document_figures(rows, threshold=threshold) for rows in self._kinds[name].documents]

    def _compare(self, index: int, half: NDArray[np.intp], others: NDArray[np.intp]) -> None:
        """Compare notes of each kind with a half of the population."""
        reference = [self._figures(SAME, index)[place] for place in half]
        for name, kind in self._kinds.items():
            figures = self._figures(name, index)
            pool = others if kind.is_population else self._generator.permutation(len(kind.units))
            for new in (pool[:size] for size in SIZES if size <= len(pool)):
                test = compare_documents(
                    reference, [figures[place] for place in new], permutations=PERMUTATIONS
                )
                tally = self.tallies.setdefault((name, len(new)), Tally())
                tally.tests += 1
                tally.different += test.is_shifted
                tally.loss += float(self._losses[name][index, new].mean())


def shift_table(tallies: Mapping[tuple[str, int], Tally]) -> str:
    """Return the table of the shift test; a level is allowed for the same documents only."""
    rows = []
    for (name, size), tally in tallies.items():
        allowed = LEVEL + 2 * math.sqrt(LEVEL * (1 - LEVEL) / tally.tests)
        is_level = name == SAME
        rows.append(
            [
                *(name, str(size), f"{tally.different / tally.tests:.3f}"),
                *(f"{allowed:.3f}" if is_level else "", f"{tally.loss / tally.tests:.4f}"),
            ]
        )
    head = [
        *("new notes", "documents", "called different"),
        *("allowed, with two standard errors", "true risk, mean"),
    ]
    return markdown_table(head, rows)

"""Simulation of the shift test on documents with made-up scores."""

from __future__ import annotations

import numpy as np
import pytest

from annoseq.data.markup import Span
from annoseq.evaluation.certificate import ScoredIdentifier
from annoseq.evaluation.recall_thresholds import score_bin
from benchmarks.shift_simulation import (
    SAME,
    ScoredDocuments,
    ShiftSimulation,
    Tally,
    shift_table,
    upper_case,
    without_accent,
)


def draw_documents(
    seed: int, *, count: int = 120, longest: int = 20, covered: bool = True, same: bool = True
) -> ScoredDocuments:
    """Return documents of 50 characters, each with an identifier of a random length."""
    lengths = np.random.default_rng(seed).integers(1, longest, count).tolist()
    return ScoredDocuments(
        units=[[ScoredIdentifier(score_bin(0.5) if covered else None, 1.0)] for _ in lengths],
        documents=[[("x" * 50, [Span(0, length, "NAME", 0.5)])] for length in lengths],
        is_population=same,
    )


def simulated(repeats: int, **shifted: ScoredDocuments) -> ShiftSimulation:
    simulation = ShiftSimulation(draw_documents(3), shifted, seed=1)
    simulation.run(repeats)
    return simulation


def test_the_level_is_kept_and_a_shift_is_seen() -> None:
    simulation = simulated(8, longer=draw_documents(5, count=30, longest=40, same=False))
    tallies = simulation.tallies
    assert simulation.certified == 8
    assert list(tallies) == [(SAME, 25), (SAME, 50), ("longer", 25)]
    assert all(tally.tests == 8 for tally in tallies.values())
    assert tallies[SAME, 50].different <= 2
    assert tallies["longer", 25].different == 8
    assert tallies["longer", 25].loss == 0


def test_the_losses_are_those_of_the_new_notes() -> None:
    tallies = simulated(2, missed=draw_documents(5, covered=False, same=False)).tallies
    assert tallies["missed", 100].loss == pytest.approx(2)
    assert tallies[SAME, 25].loss == 0


def test_halves_without_a_bound_are_not_compared() -> None:
    simulation = ShiftSimulation(draw_documents(3, covered=False), {}, seed=1)
    simulation.run(2)
    assert (simulation.certified, simulation.tallies) == (0, {})


def test_the_table_has_a_level_for_the_same_documents_only() -> None:
    tallies = {(SAME, 25): Tally(100, 5, 1.0), ("longer", 25): Tally(100, 90, 20.0)}
    assert shift_table(tallies).splitlines()[2:] == [
        "| the same documents | 25 | 0.050 | 0.094 | 0.0100 |",
        "| longer | 25 | 0.900 |  | 0.2000 |",
    ]


def test_changed_texts_keep_their_offsets() -> None:
    assert "".join(map(upper_case, "aß ñ")) == "Aß Ñ"
    assert "".join(map(without_accent, "año Pérez ½")) == "ano Perez ½"

"""Greedy search, against a table that says what is likely."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from annoseq.decoding.sampling import follow, most_likely, write
from annoseq.text.batches import Batch, collate
from annoseq.text.codec import Example
from annoseq.text.vocabulary import BEGIN, END, PAD

A, B, C = 4, 5, 6


class TableState(NamedTuple):
    """Which rows of the table are left, and how many steps are taken."""

    rows: list[int]
    steps: int


@dataclass
class Table:
    """A stepper whose row `i` likes `best[i]` in turn, whatever it is fed.

    `fed` records what it was fed, step by step.
    """

    best: list[list[int]]
    fed: list[list[int]] = field(default_factory=list)

    def start(self, batch: Batch) -> TableState:
        return TableState(batch.rows, 0)

    def step(self, state: TableState, last: Tensor) -> TableState:
        assert len(last) == len(state.rows)
        self.fed.append(last.tolist())
        return TableState(state.rows, state.steps + 1)

    def scores(self, state: TableState, columns: Tensor | None = None) -> Tensor:
        assert columns is None
        probabilities = torch.full((len(state.rows), 7), 0.05)
        for place, row in enumerate(state.rows):
            probabilities[place, self.best[row][state.steps - 1]] = 0.7
        return probabilities.log()

    def select(self, state: TableState, rows: Tensor) -> TableState:
        return TableState([state.rows[place] for place in rows.tolist()], state.steps)


def batch_for(table: Table) -> Batch:
    examples = [Example([A], [])] * len(table.best)
    return collate(range(len(examples)), examples)


def greedy(table: Table, *, limits: list[int]) -> list[list[int]]:
    ids, _ = write(table, batch_for(table), limits=torch.tensor(limits), choose=most_likely)
    written: list[list[int]] = ids.tolist()
    return written


def test_the_most_likely_tokens_are_written_and_fed_back() -> None:
    table = Table([[A, B, C, END]])
    assert greedy(table, limits=[9]) == [[A, B, C, END]]
    assert table.fed == [[BEGIN], [A], [B], [C]]


def test_it_stops_when_all_rows_have_ended() -> None:
    table = Table([[A, END, A, A, A], [END, B, B, B, B], [A, A, END, A, A]])
    assert greedy(table, limits=[9, 9, 9]) == [[A, END, PAD], [END, PAD, PAD], [A, A, END]]
    assert len(table.fed) == 3


def test_padding_follows_an_end_and_a_row_that_ended_leaves_the_batch() -> None:
    table = Table([[END, C, C], [A, B, END]])
    assert greedy(table, limits=[9, 9]) == [[END, PAD, PAD], [A, B, END]]
    assert table.fed == [[BEGIN, BEGIN], [A], [B]]


def test_padding_is_an_ending_too() -> None:
    assert greedy(Table([[A, PAD, A, A], [A, A, A, END]]), limits=[9, 9]) == [
        [A, PAD, PAD, PAD],
        [A, A, A, END],
    ]


def test_every_row_has_its_own_limit() -> None:
    table = Table([[A] * 5, [B] * 5, [C] * 5])
    assert greedy(table, limits=[1, 4, 2]) == [
        [A, PAD, PAD, PAD],
        [B, B, B, B],
        [C, C, PAD, PAD],
    ]
    assert len(table.fed) == 4


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_an_end_at_the_limit_is_written(limit: int) -> None:
    tokens = [A] * (limit - 1) + [END]
    assert greedy(Table([tokens]), limits=[limit]) == [tokens]


def test_of_equal_scores_the_first_is_taken() -> None:
    class Undecided(Table):
        def scores(self, state: TableState, columns: Tensor | None = None) -> Tensor:
            return torch.tensor([[0.1, 0.0, 0.0, 0.3, 0.3, 0.3]]).log()

    assert greedy(Undecided([[END]]), limits=[5]) == [[END]]


def test_every_step_has_its_log_probability() -> None:
    table = Table([[A, B, END], [END, C, C], [A, A, A]])
    ids, log_probs = write(
        table, batch_for(table), limits=torch.tensor([9, 9, 2]), choose=most_likely
    )
    assert ids.tolist() == [[A, B, END], [END, PAD, PAD], [A, A, PAD]]
    taken = [[0.7, 0.7, 0.7], [0.7, 1.0, 1.0], [0.7, 0.7, 1.0]]
    torch.testing.assert_close(log_probs.exp(), torch.tensor(taken))


def test_a_hypothesis_knows_whether_it_has_ended() -> None:
    table = Table([[A, B, END], [END], [A, A, A], [A, PAD]])
    found = follow(table, batch_for(table), limits=torch.tensor([9, 9, 2, 9]), choose=most_likely)
    assert [one.ids for one in found] == [(A, B), (), (A, A), (A,)]
    assert [one.has_ended for one in found] == [True, True, False, True]
    assert [len(one.log_probs) for one in found] == [3, 1, 2, 2]

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from annoseq.decoding.greedy import greedy
from annoseq.text.batches import Batch, collate
from annoseq.text.codec import Example
from annoseq.text.vocabulary import BEGIN, END, PAD

A, B, C = 4, 5, 6


@dataclass
class Table:
    """A stepper whose row `i` likes `best[i]` in turn, whatever it is fed.

    `fed` records what it was fed, step by step. A state is the number of steps taken.
    """

    best: list[list[int]]
    fed: list[list[int]] = field(default_factory=list)

    def start(self, batch: Batch) -> int:
        assert len(batch.source) == len(self.best)
        return 0

    def step(self, state: int, last: Tensor) -> int:
        self.fed.append(last.tolist())
        return state + 1

    def scores(self, state: int, columns: Tensor | None = None) -> Tensor:
        assert columns is None
        probabilities = torch.full((len(self.best), 7), 0.05)
        for row, tokens in enumerate(self.best):
            probabilities[row, tokens[state - 1]] = 0.7
        return probabilities.log()

    def select(self, state: int, rows: Tensor) -> int:
        raise AssertionError("greedy search never selects")


def write(table: Table, *, limits: list[int]) -> list[list[int]]:
    examples = [Example([A], [])] * len(table.best)
    batch = collate(range(len(examples)), examples)
    written: list[list[int]] = greedy(table, batch, limits=torch.tensor(limits)).tolist()
    return written


def test_the_most_likely_tokens_are_written_and_fed_back() -> None:
    table = Table([[A, B, C, END]])
    assert write(table, limits=[9]) == [[A, B, C, END]]
    assert table.fed == [[BEGIN], [A], [B], [C]]


def test_it_stops_when_all_rows_have_ended() -> None:
    table = Table([[A, END, A, A, A], [END, B, B, B, B], [A, A, END, A, A]])
    assert write(table, limits=[9, 9, 9]) == [[A, END, PAD], [END, PAD, PAD], [A, A, END]]
    assert len(table.fed) == 3


def test_padding_follows_an_end_and_is_what_is_fed_back() -> None:
    table = Table([[END, C, C], [A, B, END]])
    assert write(table, limits=[9, 9]) == [[END, PAD, PAD], [A, B, END]]
    assert table.fed == [[BEGIN, BEGIN], [END, A], [PAD, B]]


def test_padding_is_an_ending_too() -> None:
    assert write(Table([[A, PAD, A, A], [A, A, A, END]]), limits=[9, 9]) == [
        [A, PAD, PAD, PAD],
        [A, A, A, END],
    ]


def test_every_row_has_its_own_limit() -> None:
    table = Table([[A] * 5, [B] * 5, [C] * 5])
    assert write(table, limits=[1, 4, 2]) == [
        [A, PAD, PAD, PAD],
        [B, B, B, B],
        [C, C, PAD, PAD],
    ]
    assert len(table.fed) == 4


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_an_end_at_the_limit_is_written(limit: int) -> None:
    tokens = [A] * (limit - 1) + [END]
    assert write(Table([tokens]), limits=[limit]) == [tokens]


def test_of_equal_scores_the_first_is_taken() -> None:
    class Undecided(Table):
        def scores(self, state: int, columns: Tensor | None = None) -> Tensor:
            return torch.tensor([[0.1, 0.0, 0.0, 0.3, 0.3, 0.3]]).log()

    assert write(Undecided([[END]]), limits=[5]) == [[END]]

from __future__ import annotations

from collections.abc import Mapping
from math import log

import pytest
import torch
from torch import Tensor

from annoseq.decoding.beam_search import beam_search, length_penalty
from annoseq.tokenization.batching import Batch, collate
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding
from annoseq.tokenization.vocabulary import END, PAD
from tests.contracts.steppers import Recording, Table, TableState

Probabilities = Mapping[tuple[int, ...], Mapping[int, float]]
A, B = 4, 5
NEVER = 1e-12


class Told(Table):
    """Probabilities that a test writes down, by prefix; after all others, A and B are as likely.

    For an empty source, the output ends at once.
    """

    def __init__(self, told: Probabilities) -> None:
        super().__init__()
        self._told = told

    def scores(self, state: TableState, columns: Tensor | None = None) -> Tensor:
        rows = []
        for source, (_, *prefix) in zip(*state, strict=True):
            told = self._told.get(tuple(prefix), {A: 0.5, B: 0.5})
            if len(source) == 1:
                told = {END: 1.0}
            rows.append([told.get(id_, NEVER) for id_ in range(self.size)])
        return torch.tensor(rows).log()


def batch_of(*lengths: int) -> Batch:
    return collate(range(len(lengths)), [Seq2SeqEncoding([A] * length, []) for length in lengths])


def found(
    told: Probabilities,
    *,
    beam_size: int,
    limit: int = 6,
    n_best: int = 1,
    alpha: float = 0.0,
) -> list[tuple[int, ...]]:
    (some,) = beam_search(
        Told(told),
        batch_of(2),
        limits=torch.tensor([limit]),
        beam_size=beam_size,
        n_best=n_best,
        alpha=alpha,
    )
    return [one.ids for one in some]


TRAP = {
    (): {A: 0.6, B: 0.4},
    (A,): {A: 0.3, B: 0.3, END: 0.4},
    (B,): {END: 0.9, A: 0.1},
}
"""The likeliest beginning is not that of the likeliest output."""


def test_beam_search_finds_a_better_output_than_greedy_search() -> None:
    assert found(TRAP, beam_size=1) == [(A,)]
    assert found(TRAP, beam_size=2) == [(B,)]
    assert found(TRAP, beam_size=2, n_best=2) == [(B,), (A,)]


LENGTHS = {
    (): {A: 0.5, END: 0.5 - NEVER},
    (A,): {END: 0.9, A: 0.1},
}


def test_a_length_penalty_favours_longer_outputs() -> None:
    # log 0.5 = -0.693 for one symbol, log 0.45 = -0.799 for two, divided by (7 / 6) ** alpha.
    assert found(LENGTHS, beam_size=2) == [()]
    assert found(LENGTHS, beam_size=2, alpha=0.9) == [()]
    assert found(LENGTHS, beam_size=2, alpha=1.0) == [(A,)]


def test_the_length_penalty_is_that_of_wu_et_al() -> None:
    assert float(length_penalty(1, 0.6)) == 1
    assert float(length_penalty(7, 0.6)) == pytest.approx(2**0.6)
    assert length_penalty(torch.tensor([1, 13]), 1.0).tolist() == [1, 3]
    assert length_penalty(torch.tensor([1, 13]), 0.0).tolist() == [1, 1]


def test_padding_ends_an_output() -> None:
    assert found({(): {A: 1.0}, (A,): {PAD: 0.9, A: 0.1}}, beam_size=2) == [(A,)]


def test_outputs_at_their_limit_have_not_ended() -> None:
    ((one,),) = beam_search(Told({}), batch_of(2), limits=torch.tensor([3]), beam_size=2)
    assert (len(one.ids), one.has_ended) == (3, False)
    assert one.log_probs == pytest.approx([log(0.5)] * 3)


def test_the_search_stops_when_no_open_hypothesis_can_win() -> None:
    """Of two open outputs the better has 0.1, and the one that ended has 0.8."""
    told: Probabilities = {(): {END: 0.8, A: 0.1, B: 0.1}}
    sizes = {}
    for n_best in (1, 2):
        recording = Recording(Told(told))
        limits = torch.tensor([9])
        beam_search(recording, batch_of(2), limits=limits, beam_size=3, n_best=n_best, alpha=0.0)
        sizes[n_best] = recording.sizes
    assert sizes[1] == [1]
    assert len(sizes[2]) == 9


def test_finished_rows_leave_the_batch() -> None:
    recording = Recording(Told({}))
    some = beam_search(recording, batch_of(2, 0, 0), limits=torch.tensor([4] * 3), beam_size=2)
    assert recording.sizes == [3, 2, 2, 2]
    assert [one.ids for (one,) in some[1:]] == [(), ()]


def test_a_beam_wider_than_the_vocabulary() -> None:
    told: Probabilities = {(): {A: 0.6, B: 0.4}, (A,): {END: 1.0}, (B,): {END: 1.0}}
    assert found(told, beam_size=50, n_best=2) == [(A,), (B,)]


def test_impossible_symbols_are_not_extended() -> None:
    class Strict(Told):
        def scores(self, state: TableState, columns: Tensor | None = None) -> Tensor:
            scores = super().scores(state, columns)
            return scores.masked_fill(scores < -9, -torch.inf)

    strict = Strict({(): {A: 1.0}, (A,): {END: 1.0}})
    (some,) = beam_search(strict, batch_of(2), limits=torch.tensor([5]), beam_size=4, n_best=4)
    assert [one.ids for one in some] == [(A,)]

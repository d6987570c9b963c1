from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from annoseq.decoding.logits_processors import apply_top_k
from annoseq.decoding.sampling import (
    Hypothesis,
    TokenSampler,
    decode_hypotheses,
    decode_ids,
    select_most_likely,
    to_hypothesis,
)
from annoseq.tokenization.batching import Batch, collate
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding
from annoseq.tokenization.vocabulary import BEGIN, END, PAD

if TYPE_CHECKING:
    from collections.abc import Sequence

A, B, C = 4, 5, 6
LIKED, OTHER = 0.7, 0.05


@dataclass
class Liking:
    """A stepper whose row `i` likes `best[i]` in turn, whatever it is fed.

    `fed` records what it was fed, step by step. A state is the rows and the steps taken.
    """

    best: list[list[int]]
    fed: list[list[int]] = field(default_factory=list)

    def start(self, batch: Batch) -> tuple[list[int], int]:
        return batch.rows, 0

    def step(self, state: tuple[list[int], int], last: Tensor) -> tuple[list[int], int]:
        rows, steps = state
        assert len(rows) == len(last)
        self.fed.append(last.tolist())
        return rows, steps + 1

    def scores(self, state: tuple[list[int], int], columns: Tensor | None = None) -> Tensor:
        assert columns is None
        rows, steps = state
        probabilities = torch.full((len(rows), 7), OTHER)
        for place, row in enumerate(rows):
            probabilities[place, self.best[row][steps - 1]] = LIKED
        return probabilities.log()

    def select(self, state: tuple[list[int], int], rows: Tensor) -> tuple[list[int], int]:
        return [state[0][row] for row in rows.tolist()], state[1]


def batch_of(stepper: Liking) -> Batch:
    examples = [Seq2SeqEncoding([A], [])] * len(stepper.best)
    return collate(range(len(examples)), examples)


def written(stepper: Liking, *, limits: list[int]) -> list[list[int]]:
    ids, log_probs = decode_ids(
        stepper, batch_of(stepper), limits=torch.tensor(limits), selector=select_most_likely
    )
    assert ids.shape == log_probs.shape
    found: list[list[int]] = ids.tolist()
    return found


def test_greedy_decoding_feeds_back_the_most_likely_tokens() -> None:
    stepper = Liking([[A, B, C, END]])
    assert written(stepper, limits=[9]) == [[A, B, C, END]]
    assert stepper.fed == [[BEGIN], [A], [B], [C]]


def test_decoding_stops_when_all_rows_have_ended() -> None:
    stepper = Liking([[A, END], [END], [A, A, END]])
    assert written(stepper, limits=[9, 9, 9]) == [[A, END, PAD], [END, PAD, PAD], [A, A, END]]
    assert len(stepper.fed) == 3


def test_finished_rows_are_not_fed() -> None:
    stepper = Liking([[END], [A, B, END], [B, END]])
    assert written(stepper, limits=[9, 9, 9]) == [[END, PAD, PAD], [A, B, END], [B, END, PAD]]
    assert stepper.fed == [[BEGIN, BEGIN, BEGIN], [A, B], [B]]


def test_padding_ends_an_output() -> None:
    stepper = Liking([[A, PAD], [A, A, A, END]])
    assert written(stepper, limits=[9, 9]) == [[A, PAD, PAD, PAD], [A, A, A, END]]


def test_every_row_has_its_own_limit() -> None:
    stepper = Liking([[A] * 5, [B] * 5, [C] * 5])
    assert written(stepper, limits=[1, 4, 2]) == [
        [A, PAD, PAD, PAD],
        [B, B, B, B],
        [C, C, PAD, PAD],
    ]
    assert len(stepper.fed) == 4


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_an_end_symbol_at_the_limit_is_kept(limit: int) -> None:
    tokens = [A] * (limit - 1) + [END]
    assert written(Liking([tokens]), limits=[limit]) == [tokens]


def test_of_equal_scores_the_first_is_selected() -> None:
    class Undecided(Liking):
        def scores(self, state: tuple[list[int], int], columns: Tensor | None = None) -> Tensor:
            return torch.tensor([[0.1, 0.0, 0.0, 0.3, 0.3, 0.3]]).log()

    assert written(Undecided([[END]]), limits=[5]) == [[END]]


def test_outputs_have_the_log_probabilities_of_every_step() -> None:
    """A row that reached its own limit has not ended, however long the others go on."""
    stepper = Liking([[A, END], [B, B, B, B], [C, C, C, PAD]])
    found = decode_hypotheses(
        stepper, batch_of(stepper), limits=torch.tensor([9, 2, 9]), selector=select_most_likely
    )
    assert [(one.ids, one.has_ended) for one in found] == [
        ((A,), True),
        ((B, B), False),
        ((C, C, C), True),
    ]
    liked = float(torch.tensor(LIKED).log())
    assert [one.log_probs for one in found] == [
        pytest.approx([liked] * 2),
        pytest.approx([liked] * 2),
        pytest.approx([liked] * 4),
    ]
    assert found[2].score == pytest.approx(4 * liked)


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([A, B], Hypothesis((A, B), (-1.0, -2.0), has_ended=False)),
        ([A, END], Hypothesis((A,), (-1.0, -2.0), has_ended=True)),
        ([PAD, B], Hypothesis((), (-1.0,), has_ended=True)),
    ],
)
def test_a_hypothesis_is_cut_at_its_end(ids: list[int], expected: Hypothesis) -> None:
    assert to_hypothesis(ids, [-1.0, -2.0]) == expected


def draw(
    seeds: Sequence[str], probabilities: list[float], *, length: int = 0, k: int = 99
) -> list[int]:
    """Draw a symbol for every seed from the same distribution."""
    sampler = TokenSampler(seeds, steps=length + 1, processors=[partial(apply_top_k, k=k)])
    scores = torch.tensor([probabilities] * len(seeds)).log()
    found: list[int] = sampler(scores, rows=torch.arange(len(seeds)), length=length).tolist()
    return found


SEEDS = [str(number) for number in range(200)]
EVEN = [0.25] * 4


def test_a_sample_depends_only_on_its_seed_and_step() -> None:
    """Neither on the other rows, nor on the most steps that any of them may take."""
    first = draw(SEEDS, EVEN)
    assert set(first) == {0, 1, 2, 3}
    assert [draw([seed], EVEN)[0] for seed in SEEDS] == first
    assert draw(SEEDS, EVEN, length=1) != first
    for steps in (1, 2, 17, 300):
        sampler = TokenSampler(SEEDS[:50], steps=steps, processors=[])
        scores = torch.tensor([EVEN] * 50).log()
        assert sampler(scores, rows=torch.arange(50), length=0).tolist() == first[:50]


def test_open_rows_keep_their_random_streams() -> None:
    sampler = TokenSampler(SEEDS, steps=1, processors=[])
    scores = torch.tensor([EVEN] * 3).log()
    rows = torch.tensor([7, 100, 150])
    first = draw(SEEDS, EVEN)
    assert sampler(scores, rows=rows, length=0).tolist() == [first[7], first[100], first[150]]


def test_masked_tokens_are_never_sampled() -> None:
    assert set(draw(SEEDS, [0, 0.5, 0, 0.5, 0])) == {1, 3}
    assert set(draw(SEEDS, [0.1, 0.2, 0.4, 0.3], k=2)) == {2, 3}
    assert set(draw(SEEDS, [0, 0, 1, 0])) == {2}


class Certain(TokenSampler):
    """Draws with numbers that a test chooses."""

    def __init__(self, numbers: list[float]) -> None:
        super().__init__([""], steps=1, processors=[])
        self._uniform = torch.tensor([numbers], dtype=torch.double).T


def test_sampling_inverts_the_cumulative_distribution() -> None:
    edge = 1 - 2**-53  # the largest number that is ever drawn
    numbers = [0, 0.2499, 0.25, 0.4999, 0.5, 0.75, edge]
    scores = torch.tensor([[0, 0.25, 0.25, 0, 0.5, 0]] * len(numbers)).log()
    found = Certain(numbers)(scores, rows=torch.arange(len(numbers)), length=0)
    assert found.tolist() == [1, 1, 2, 2, 4, 4, 4]

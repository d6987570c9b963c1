from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from math import exp
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from annoseq.decoding.logits_processors import (
    Hypothesis,
    TokenSampler,
    apply_temperature,
    apply_top_k,
    apply_top_p,
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


INF = float("inf")
NO_HURRY = settings(deadline=None)
_scores = st.lists(
    st.integers(-36, 0).map(lambda n: n / 4) | st.just(-INF), min_size=1, max_size=9
).filter(lambda row: max(row) > -INF)


def scores_of(*probabilities: float) -> torch.Tensor:
    return torch.tensor([probabilities], dtype=torch.double).log()


def kept(scores: torch.Tensor) -> list[list[bool]]:
    found: list[list[bool]] = (scores > -INF).tolist()
    return found


def shares(row: list[float]) -> list[float]:
    total = sum(map(exp, row))
    return [exp(one) / total for one in row]


@NO_HURRY
@given(row=_scores, temperature=st.floats(0.05, 20))
def test_a_temperature_is_a_power_of_probabilities(row: list[float], temperature: float) -> None:
    found = (
        apply_temperature(torch.tensor([row], dtype=torch.double), temperature)
        .softmax(-1)[0]
        .tolist()
    )
    powers = [share ** (1 / temperature) for share in shares(row)]
    assert found == pytest.approx([power / sum(powers) for power in powers], abs=1e-9)


@pytest.mark.parametrize("temperature", [1e-3, 1e-100, 1e-300])
def test_a_very_low_temperature_keeps_only_the_best(temperature: float) -> None:
    found = apply_temperature(scores_of(0.2, 0.41, 0.39), temperature)
    assert found.softmax(-1)[0].tolist() == pytest.approx([0, 1, 0])


@NO_HURRY
@given(row=_scores, k=st.integers(1, 12))
def test_top_k_keeps_the_k_best(row: list[float], k: int) -> None:
    assume(len(set(row)) == len(row) or k >= len(row))
    (found,) = apply_top_k(torch.tensor([row], dtype=torch.double), k).tolist()
    best = sorted(row, reverse=True)[:k]
    assert found == [one if one in best else -INF for one in row]


def test_of_equal_scores_top_k_keeps_no_more_than_k() -> None:
    assert sum(kept(apply_top_k(scores_of(0.25, 0.25, 0.25, 0.25), 2))[0]) == 2


@NO_HURRY
@given(row=_scores, p=st.floats(0.01, 1))
def test_the_nucleus_is_the_fewest_that_reach_p(row: list[float], p: float) -> None:
    order = sorted(range(len(row)), key=lambda place: -row[place])
    mass, nucleus = 0.0, set[int]()
    for place in order:
        assume(abs(mass - p) > 1e-6)  # where rounding decides
        if mass < p:
            nucleus.add(place)
        mass += shares(row)[place]
    lowest = min(row[place] for place in nucleus)
    assume(all(row[place] < lowest for place in order if place not in nucleus))
    (found,) = apply_top_p(torch.tensor([row], dtype=torch.double), p).tolist()
    if p == 1:
        nucleus = set(order)
    assert found == [one if place in nucleus else -INF for place, one in enumerate(row)]


@pytest.mark.parametrize("p", [1e-12, 0.1, 0.5])
def test_a_small_nucleus_keeps_only_the_best(p: float) -> None:
    assert kept(apply_top_p(scores_of(0.2, 0.6, 0.2), p)) == [[False, True, False]]


def test_full_top_p_and_full_top_k_change_nothing() -> None:
    scores = scores_of(0.5, 0, 0.3, 0.2)
    assert torch.equal(apply_top_p(scores, 1), scores)
    assert torch.equal(apply_top_k(scores, 4), scores)
    assert torch.equal(apply_top_k(scores, 400), scores)


def test_masked_tokens_stay_masked() -> None:
    scores = scores_of(0.5, 0, 0.5, 0)
    for filtered in (
        apply_temperature(scores, 0.1),
        apply_top_k(scores, 3),
        apply_top_p(scores, 0.999),
    ):
        assert kept(filtered) == [[True, False, True, False]]


def test_rows_are_processed_independently() -> None:
    scores = torch.cat([scores_of(0.7, 0.2, 0.1), scores_of(0.1, 0.2, 0.7)])
    assert kept(apply_top_k(scores, 1)) == [[True, False, False], [False, False, True]]
    assert kept(apply_top_p(scores, 0.8)) == [[True, True, False], [False, True, True]]


def test_processors_compose_and_renormalise() -> None:
    scores = scores_of(0.4, 0.3, 0.2, 0.1)
    # Of the three best, 0.4 and 0.3 make up 7/9.
    both = apply_top_p(apply_top_k(scores, 3), 0.75)
    assert both.softmax(-1)[0].tolist() == pytest.approx([4 / 7, 3 / 7, 0, 0])
    assert kept(apply_top_p(scores, 0.75)) == [[True, True, True, False]]


@NO_HURRY
@given(row=_scores, shift=st.floats(-50, 50), k=st.integers(1, 9))
def test_logits_and_log_probabilities_give_the_same(row: list[float], shift: float, k: int) -> None:
    assume(len(set(row)) == len(row))
    scores = torch.tensor([row], dtype=torch.double)
    for one, other in (
        (apply_top_k(scores, k), apply_top_k(scores + shift, k)),
        (apply_temperature(scores, 2), apply_temperature(scores + shift, 2)),
    ):
        torch.testing.assert_close(one.softmax(-1), other.softmax(-1))
    (best,) = kept(apply_top_p(scores + shift, 1e-9))
    assert best == [one == max(row) for one in row]


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

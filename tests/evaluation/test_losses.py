from __future__ import annotations

from math import exp, log

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.evaluation.losses import padded_loss
from annoseq.text.vocabulary import PAD

SIZE = 7


def naive(logits: list[list[list[float]]], target: list[list[int]]) -> float:
    """Position by position, as one would by hand."""
    width = max(len(logits[0]), len(target[0]))
    costs = []
    for row_logits, row_target in zip(logits, target, strict=True):
        for place in range(width):
            scores = row_logits[place] if place < len(row_logits) else [0.0] * SIZE
            wanted = row_target[place] if place < len(row_target) else PAD
            costs.append(log(sum(exp(score) for score in scores)) - scores[wanted])
    return sum(costs) / len(costs)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.integers(1, 4), written=st.integers(1, 6), wanted=st.integers(1, 6), seed=st.integers(0)
)
def test_it_is_the_naive_loss(rows: int, written: int, wanted: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed % 2**63)
    logits = torch.randn(rows, written, SIZE, generator=generator)
    target = torch.randint(0, SIZE, (rows, wanted), generator=generator)
    expected = naive(logits.tolist(), target.tolist())
    assert float(padded_loss(logits, target)) == pytest.approx(expected, rel=1e-5)


def certain(*tokens: int) -> torch.Tensor:
    """Logits (1, O, V) that leave no doubt."""
    return torch.nn.functional.one_hot(torch.tensor([tokens]), SIZE).float() * 1e4


def test_a_sure_and_right_output_costs_nothing() -> None:
    assert float(padded_loss(certain(4, 5, 3), torch.tensor([[4, 5, 3]]))) == 0


def test_a_position_that_the_output_does_not_reach_costs_log_v() -> None:
    loss = padded_loss(certain(4), torch.tensor([[4, 5]]))
    assert float(loss) == pytest.approx(log(SIZE) / 2)
    padding = padded_loss(certain(4), torch.tensor([[4, PAD]]))
    assert float(padding) == pytest.approx(log(SIZE) / 2)


def test_what_is_written_after_the_target_should_have_been_padding() -> None:
    assert float(padded_loss(certain(4, PAD), torch.tensor([[4]]))) == 0
    assert float(padded_loss(certain(4, 5), torch.tensor([[4]]))) == pytest.approx(5e3)


def test_padding_within_the_rectangle_counts() -> None:
    right, wrong = certain(4, PAD), certain(4, 4)
    target = torch.tensor([[4, PAD]])
    assert float(padded_loss(right, target)) == 0
    assert float(padded_loss(wrong, target)) == pytest.approx(5e3)

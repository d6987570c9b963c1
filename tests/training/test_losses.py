from __future__ import annotations

from math import exp, log
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from annoseq.tokenization.vocabulary import PAD
from annoseq.training.losses import Loss, output_loss, padded_loss

SIZE, WIDTH = 7, 5
CHUNK = 256
"""Positions that are scored at once."""


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
    return F.one_hot(torch.tensor([tokens]), SIZE).float() * 1e4


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


class Setting(NamedTuple):
    """Decoder output (B, T, E), an output layer, and a target (B, T)."""

    top: Tensor
    output: nn.Linear
    target: Tensor

    @property
    def leaves(self) -> tuple[Tensor, ...]:
        """All that has a gradient."""
        return self.top, self.output.weight, self.output.bias

    def loss(self, *, counts_padding: bool = False, label_smoothing: float = 0.0) -> Loss:
        return output_loss(
            self.top,
            self.target,
            self.output,
            counts_padding=counts_padding,
            label_smoothing=label_smoothing,
        )

    def torchs(self, *, counts_padding: bool = False, label_smoothing: float = 0.0) -> Tensor:
        """The same sum as torch has it, all scores at once."""
        return F.cross_entropy(
            self.output(self.top).flatten(0, 1),
            self.target.flatten(),
            ignore_index=-1 if counts_padding else PAD,
            label_smoothing=label_smoothing,
            reduction="sum",
        )

    def gradients(self, total: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(total, self.leaves)


def setting(
    rows: int = 3,
    length: int = 5,
    *,
    size: int = SIZE,
    width: int = WIDTH,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Setting:
    """Draw a setting; about a third of each row of its target is padding."""
    torch.manual_seed(seed)
    output = nn.Linear(width, size, dtype=dtype)
    nn.init.normal_(output.bias)
    top = torch.randn(rows, length, width, dtype=dtype, requires_grad=True)
    target = torch.randint(PAD + 1, size, (rows, length))
    lengths = torch.randint(length // 3, length + 1, (rows, 1))
    return Setting(top, output, target.masked_fill(torch.arange(length) >= lengths, PAD))


both_ways = pytest.mark.parametrize("counts_padding", [True, False])


@both_ways
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.5])
@settings(max_examples=40, deadline=None)
@given(rows=st.integers(1, 4), length=st.integers(1, 9), seed=st.integers(0, 2**32))
def test_it_is_torchs_cross_entropy(
    rows: int, length: int, seed: int, counts_padding: bool, label_smoothing: float
) -> None:
    one = setting(rows, length, seed=seed)
    loss = one.loss(counts_padding=counts_padding, label_smoothing=label_smoothing)
    expected = one.torchs(counts_padding=counts_padding, label_smoothing=label_smoothing)
    torch.testing.assert_close(loss.total, expected)
    torch.testing.assert_close(
        one.gradients(loss.total), one.gradients(expected), rtol=1e-4, atol=1e-6
    )
    scored = rows * length if counts_padding else int((one.target != PAD).sum())
    assert loss.positions == scored


@both_ways
@pytest.mark.parametrize("positions", [CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
def test_more_positions_than_are_scored_at_once(positions: int, counts_padding: bool) -> None:
    one = setting(1, positions, seed=positions)
    loss = one.loss(counts_padding=counts_padding, label_smoothing=0.1)
    expected = one.torchs(counts_padding=counts_padding, label_smoothing=0.1)
    torch.testing.assert_close(loss.total, expected)
    torch.testing.assert_close(
        one.gradients(loss.total), one.gradients(expected), rtol=1e-4, atol=1e-4
    )


@both_ways
@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_its_gradients_are_its_derivatives(counts_padding: bool, label_smoothing: float) -> None:
    """By finite differences, in double precision."""
    one = setting(dtype=torch.float64)
    output = nn.Linear(WIDTH, SIZE, dtype=torch.float64)

    def total(top: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        del output.weight, output.bias
        output.weight, output.bias = weight, bias  # type: ignore[assignment]
        changed = Setting(top, output, one.target)
        return changed.loss(counts_padding=counts_padding, label_smoothing=label_smoothing).total

    assert torch.autograd.gradcheck(total, one.leaves)


def test_counting_padding_it_is_the_notebooks_loss() -> None:
    one = setting()
    notebooks = padded_loss(one.output(one.top), one.target)
    loss = one.loss(counts_padding=True)
    torch.testing.assert_close(loss.total / loss.positions, notebooks)


def test_its_gradient_scales_as_any_other() -> None:
    one = setting()
    whole = one.gradients(one.loss().total)
    torch.testing.assert_close(one.gradients(one.loss().total * 3), tuple(3 * g for g in whole))


def test_it_does_not_change_what_it_is_given() -> None:
    one = setting()
    before = [part.detach().clone() for part in (*one.leaves, one.target)]
    one.gradients(one.loss(label_smoothing=0.1).total)
    for part, was in zip((*one.leaves, one.target), before, strict=True):
        assert torch.equal(part, was)


def test_losses_of_parts_add_up_to_that_of_the_whole() -> None:
    one = setting(6)
    parts = [
        Setting(one.top[part], one.output, one.target[part]).loss()
        for part in (slice(0, 1), slice(1, 6))
    ]
    whole = one.loss()
    torch.testing.assert_close(parts[0].total + parts[1].total, whole.total)
    assert parts[0].positions + parts[1].positions == whole.positions


def test_what_stands_at_padding_is_neither_scored_nor_learned_from() -> None:
    one = setting()
    is_padding = one.target == PAD
    assert is_padding.any()
    spoilt = Setting(
        one.top.detach().masked_fill(is_padding.unsqueeze(2), torch.nan).requires_grad_(),
        one.output,
        one.target,
    )
    assert torch.equal(spoilt.loss().total, one.loss().total)
    of_top, *others = spoilt.gradients(spoilt.loss().total)
    assert not of_top[is_padding].any()
    assert of_top[~is_padding].all()
    assert all(gradient.isfinite().all() for gradient in others)


def test_with_nothing_to_score_it_is_zero_and_so_are_its_gradients() -> None:
    one = setting(2, 3)._replace(target=torch.full((2, 3), PAD))
    loss = one.loss(label_smoothing=0.1)
    assert (float(loss.total.detach()), loss.positions) == (0, 0)
    assert not any(gradient.any() for gradient in one.gradients(loss.total))


def test_large_scores_do_not_overflow() -> None:
    one = setting()
    with torch.no_grad():
        one.output.weight.mul_(1e4)
    torch.testing.assert_close(one.loss().total, one.torchs())
    assert all(gradient.isfinite().all() for gradient in one.gradients(one.loss().total))


def test_a_score_that_is_no_number_makes_a_loss_that_is_none() -> None:
    one = setting()
    with torch.no_grad():
        one.output.weight[4, 2] = torch.nan
    assert one.loss().total.isnan()


@both_ways
def test_under_autocast_its_products_are_in_bfloat16_and_its_sum_is_not(
    counts_padding: bool,
) -> None:
    one = setting(8, 40, size=50, width=16)
    with torch.autocast("cpu", torch.bfloat16):
        loss = one.loss(counts_padding=counts_padding)
        expected = one.torchs(counts_padding=counts_padding)
    assert loss.total.dtype == torch.float32
    torch.testing.assert_close(loss.total, expected, rtol=1e-3, atol=0)
    exact = one.gradients(one.torchs(counts_padding=counts_padding))
    for found, wanted in zip(one.gradients(loss.total), exact, strict=True):
        assert found.dtype == torch.float32
        assert float((found - wanted).norm() / wanted.norm()) < 0.02
    assert not torch.equal(loss.total, one.loss(counts_padding=counts_padding).total)


class Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the most elements that any tensor has that torch makes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.elements = self.calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        made = func(*args, **(kwargs or {}))
        self.calls += 1
        for one in made if isinstance(made, (tuple, list)) else (made,):
            if isinstance(one, Tensor):
                self.elements = max(self.elements, one.numel())
        return made


def test_the_scores_of_all_positions_are_never_in_memory() -> None:
    one = setting(8, 500, size=300, width=4)
    all_scores = 8 * 500 * 300
    with Largest() as largest:
        one.gradients(one.loss(counts_padding=True, label_smoothing=0.1).total)
    assert largest.elements == CHUNK * 300 < all_scores / 15
    with Largest() as torchs:
        one.gradients(one.torchs(counts_padding=True))
    assert torchs.elements == all_scores


def test_what_is_saved_for_the_way_back_is_as_large_as_the_gradients() -> None:
    one = setting(8, 500, size=300, width=4)
    saved: list[Tensor] = []

    def save(tensor: Tensor) -> Tensor:
        saved.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        one.loss(counts_padding=True)
    assert sum(tensor.numel() for tensor in saved) == sum(leaf.numel() for leaf in one.leaves)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_where_nothing_is_learned_no_gradient_is_computed(mode: type[torch.no_grad]) -> None:
    one = setting()
    with Largest() as learning:
        expected = one.loss().total
    with mode(), Largest() as looking:
        total = one.loss().total
    assert torch.equal(total, expected.detach())
    assert not total.requires_grad
    assert looking.calls < learning.calls

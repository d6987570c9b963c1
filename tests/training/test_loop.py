from __future__ import annotations

from math import cos, log, pi
from typing import TYPE_CHECKING, Any

import pytest
import torch

from annoseq.config import BatchConfig, TrainingConfig
from annoseq.devices import Compute
from annoseq.errors import TrainingError
from annoseq.evaluation.accuracy import measure
from annoseq.evaluation.losses import padded_loss
from annoseq.text.batches import collate
from annoseq.text.codec import Example
from annoseq.training.loop import OneCycle, Trainer, range_test
from tests.tiny import SIZE, STILL, tiny_network

if TYPE_CHECKING:
    from annoseq.config import GruConfig

ROWS = [Example([4 + i % 3, 5, 6][: 1 + i % 3], [7 + i % 4] * (1 + i % 2)) for i in range(10)]


def trainer(*, batch_size: int = 5, config: GruConfig = STILL, **training: Any) -> Trainer:
    return Trainer(
        tiny_network(config),
        ROWS,
        TrainingConfig(**training),
        BatchConfig(batch_size=batch_size),
        Compute.choose(),
    )


def fastai_cosine(start: float, end: float, share: float) -> float:
    """The annealing of fastai v1 (callback.py, `annealing_cos`)."""
    return end + (start - end) / 2 * (cos(pi * share) + 1)


def test_the_schedule_is_that_of_fastai_v1() -> None:
    """20 steps: 30 % of them up, the others down, the momentum the other way round."""
    run = OneCycle(trainer(), first=0, epochs=10, max_lr=0.1)
    groups: list[tuple[float, float, float]] = []
    run.optimizer.register_step_pre_hook(
        lambda optimizer, _args, _kwargs: groups.append(
            (optimizer.param_groups[0]["lr"], *optimizer.param_groups[0]["betas"])
        )
    )
    reported = [rate for _ in range(10) for rate in run.train_epoch()[0]]
    rates, momenta, others = zip(*groups, strict=True)
    assert reported == list(rates)
    assert len(rates) == 20
    up, down = range(6), range(14)
    expected = [fastai_cosine(0.1 / 25, 0.1, step / 5) for step in up]
    expected += [fastai_cosine(0.1, 0.1 / 25e4, (step + 1) / 14) for step in down]
    assert rates == pytest.approx(expected, rel=1e-6)
    assert (rates[0], max(rates), rates.index(max(rates))) == (pytest.approx(0.004), 0.1, 5)
    assert rates[-1] == pytest.approx(0.1 / 25e4)
    expected = [fastai_cosine(0.95, 0.85, step / 5) for step in up]
    expected += [fastai_cosine(0.85, 0.95, (step + 1) / 14) for step in down]
    assert momenta == pytest.approx(expected, rel=1e-6)
    assert set(others) == {0.99}


def test_the_optimizer_is_adamw_over_every_weight_once() -> None:
    ours = trainer(weight_decay=0.03)
    optimizer = ours.optimizer(1e-3)
    assert isinstance(optimizer, torch.optim.AdamW)
    (group,) = optimizer.param_groups
    assert (group["lr"], group["weight_decay"], group["betas"]) == (1e-3, 0.03, (0.95, 0.99))
    assert len(group["params"]) == len(set(map(id, group["params"])))
    assert sum(p.numel() for p in group["params"]) == sum(
        p.numel() for p in ours.network.parameters()
    )
    assert trainer().optimizer(1).param_groups[0]["weight_decay"] == 0.01


def test_a_step_lowers_the_loss_of_its_batch() -> None:
    ours = trainer()
    optimizer, scaler = ours.optimizer(1e-2), ours.compute.scaler()
    losses = [float(ours.step([0, 1, 2], optimizer, scaler)) for _ in range(30)]
    assert losses[0] == pytest.approx(log(SIZE), rel=0.2)
    assert losses[-1] < losses[0] / 2


def test_every_epoch_has_an_order_of_its_own_and_every_row() -> None:
    ours = trainer(batch_size=2)
    orders = [ours.order(epoch) for epoch in range(6)]
    assert all(
        sorted(row for batch in order for row in batch) == list(range(10)) for order in orders
    )
    assert len({str(order) for order in orders}) > 1
    assert orders == [trainer(batch_size=2).order(epoch) for epoch in range(6)]
    assert orders != [trainer(batch_size=2, seed=1).order(epoch) for epoch in range(6)]


def test_a_second_cycle_counts_on() -> None:
    """At next to no rate, the losses of an epoch tell its batches and their order."""
    ours, other = trainer(batch_size=2), trainer(batch_size=2)
    run = OneCycle(ours, first=5, epochs=5, max_lr=1e-30)
    assert (run.epoch, run.end) == (5, 10)
    optimizer, scaler = other.optimizer(0), other.compute.scaler()
    expected, first = (
        [float(other.step(rows, optimizer, scaler)) for rows in other.order(epoch)]
        for epoch in (5, 0)
    )
    assert run.train_epoch()[1] == expected != first
    assert run.epoch == 6


def test_a_cycle_of_a_single_step_can_be_trained() -> None:
    run = OneCycle(trainer(batch_size=10), first=0, epochs=1, max_lr=0.1)
    rates, losses = run.train_epoch()
    assert len(rates) == len(losses) == 1


def test_a_loss_that_is_no_number_is_an_error() -> None:
    run = OneCycle(trainer(), first=2, epochs=2, max_lr=1e38)
    with pytest.raises(TrainingError) as caught:
        run.train_epoch()
    assert str(caught.value) == (
        "the loss is no longer a number in epoch 3. Train with "
        "--clip-norm 1, or with a lower --max-lr; `annoseq find-lr` suggests one."
    )


def test_validation_is_weighted_by_positions() -> None:
    ours = trainer(batch_size=1)
    loss, accuracy = ours.validate(ROWS)
    ours.network.eval()
    total, positions = 0.0, 0
    summed = measure(torch.empty(0, 1), torch.empty(0, 1))
    for row in range(len(ROWS)):
        batch = collate([row], ROWS)
        assert batch.target is not None
        with torch.no_grad():
            logits = ours.network(batch)
        total += float(padded_loss(logits, batch.target)) * batch.target.numel()
        positions += batch.target.numel()
        summed += measure(logits.argmax(-1), batch.target)
    assert loss == pytest.approx(total / positions, rel=1e-5)
    assert accuracy == summed


def test_a_range_test_stops_when_the_loss_diverges() -> None:
    rates = [1e-3] * 5 + [50.0] * 20
    losses = range_test(trainer(), rates)
    assert 5 < len(losses) < 25
    assert max(losses) <= 4 * min(losses)
    assert len(range_test(trainer(), [1e-4] * 25)) == 25

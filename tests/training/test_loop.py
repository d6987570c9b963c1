from __future__ import annotations

import re
from math import cos, log, pi
from typing import TYPE_CHECKING, Any

import pytest
import torch

from annoseq.config import BatchConfig, NetworkConfig, TrainingConfig
from annoseq.devices import ComputeDevice
from annoseq.errors import TrainingError
from annoseq.evaluation.token_accuracy import measure_accuracy
from annoseq.tokenization.batching import collate
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding
from annoseq.training.loop import OneCycle, Trainer
from annoseq.training.losses import padded_loss
from annoseq.training.lr_finder import lr_range_test
from annoseq.training.objectives import Seq2SeqObjective, tokens_to_feed
from annoseq.training.optimizer import ConcurrentAdamW
from tests.tiny import SIZE, STILL, STILL_ATTENTION, tiny_network

if TYPE_CHECKING:
    from annoseq.config import AnyNetworkConfig

ROWS = [
    Seq2SeqEncoding([4 + i % 3, 5, 6][: 1 + i % 3], [7 + i % 4] * (1 + i % 2)) for i in range(10)
]


def trainer(*, batch_size: int = 5, network: AnyNetworkConfig = STILL, **training: Any) -> Trainer:
    model = NetworkConfig.of(network).model
    config = TrainingConfig(**training).resolve_auto(model=model, rows=len(ROWS))
    return Trainer(
        Seq2SeqObjective(tiny_network(network), config, train_rows=ROWS, valid_rows=ROWS),
        config,
        BatchConfig(batch_size=batch_size),
        ComputeDevice.select(),
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


def test_a_gpu_has_torchs_own_optimizer() -> None:
    ours = trainer()
    assert type(ours.optimizer(1e-3)) is ConcurrentAdamW
    ours.compute = ComputeDevice(torch.device("cuda"), torch.float32)
    assert type(ours.optimizer(1e-3)) is torch.optim.AdamW


def test_the_optimizer_is_adamw_over_every_weight_once() -> None:
    ours = trainer(weight_decay=0.03)
    optimizer = ours.optimizer(1e-3)
    assert isinstance(optimizer, torch.optim.AdamW)
    assert [group["lr"] for group in optimizer.param_groups] == [1e-3, 1e-3]
    assert [group["betas"] for group in optimizer.param_groups] == [(0.95, 0.99)] * 2
    weights = [one for group in optimizer.param_groups for one in group["params"]]
    assert len(weights) == len(set(map(id, weights)))
    assert set(map(id, weights)) == set(map(id, ours.objective.network.parameters()))


@pytest.mark.parametrize("network", [STILL, STILL_ATTENTION])
def test_biases_are_not_decayed(network: AnyNetworkConfig) -> None:
    ours = trainer(network=network, weight_decay=0.03)
    decayed, left_alone = ours.optimizer(1e-3).param_groups
    assert (decayed["weight_decay"], left_alone["weight_decay"]) == (0.03, 0.0)
    names = {id(one): name for name, one in ours.objective.network.named_parameters()}
    is_left_alone = re.compile("bias|scale").search
    assert all(is_left_alone(names[id(one)]) for one in left_alone["params"])
    assert not any(is_left_alone(names[id(one)]) for one in decayed["params"])
    assert [group["weight_decay"] for group in trainer().optimizer(1).param_groups] == [0.01, 0.0]


def test_decay_shrinks_what_it_should_and_nothing_else() -> None:
    """Without a gradient, AdamW does nothing but decay."""
    ours = trainer(weight_decay=0.5)
    before = {name: one.detach().clone() for name, one in ours.objective.named_parameters()}
    optimizer = ours.optimizer(0.1)
    for one in ours.objective.parameters():
        one.grad = torch.zeros_like(one)
    optimizer.step()
    for name, one in ours.objective.named_parameters():
        torch.testing.assert_close(one.detach(), before[name] * (1 if "bias" in name else 0.95))


def test_a_step_lowers_the_loss_of_its_batch() -> None:
    ours = trainer()
    optimizer, scaler = ours.optimizer(1e-2), ours.compute.scaler()
    losses = [float(ours.step([0, 1, 2], optimizer, scaler, forcing=0)) for _ in range(30)]
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
        [float(other.step(rows, optimizer, scaler, forcing=0)) for rows in other.order(epoch)]
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
        "a lower --max-lr, which `annoseq find-lr` suggests, or with --clip-norm 1 or less."
    )


class Forcings:
    """An objective that notes how likely the target was fed."""

    def __init__(self, ours: Trainer) -> None:
        self.seen: list[float] = []
        ours.objective.register_forward_pre_hook(
            lambda _module, _args, options: self.seen.append(options["forcing"]), with_kwargs=True
        )


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [0.0, 0.0, 0.0, 0.0]),
        ({"network": STILL_ATTENTION}, [1.0, 1.0, 1.0, 1.0]),
        ({"teacher_forcing": 0.25}, [0.25, 0.25, 0.25, 0.25]),
        ({"teacher_forcing": "falling"}, [1, 2 / 3, 1 / 3, 0]),
        ({"teacher_forcing": "falling", "forcing_end_epoch": 3}, [1, 0.5, 0, 0]),
    ],
)
@pytest.mark.parametrize("first", [0, 7])
def test_an_epoch_is_forced_as_its_place_in_the_run_says(
    settings: dict[str, Any], expected: list[float], first: int
) -> None:
    ours = trainer(**settings)
    forcings, run = Forcings(ours), OneCycle(ours, first=first, epochs=4, max_lr=1e-3)
    for _ in range(4):
        run.train_epoch()
    assert len(forcings.seen) == 8  # of two batches each
    assert forcings.seen[::2] == forcings.seen[1::2] == pytest.approx(expected)


def test_a_range_test_is_forced_as_the_first_epoch() -> None:
    falling: dict[str, Any] = {"teacher_forcing": "falling"}
    for settings, expected in (({}, 0.0), (falling, 1.0)):
        ours = trainer(**settings)
        forcings = Forcings(ours)
        lr_range_test(ours, [1e-3] * 3)
        assert forcings.seen == [expected] * 3


def test_a_range_test_sets_the_rate_of_every_weight() -> None:
    """At next to no rate no weight changes, decayed or not; at a high one all do."""
    for rate, is_changed in ((1e-30, False), (1e-2, True)):
        ours = trainer()
        before = [one.detach().clone() for one in ours.objective.parameters()]
        lr_range_test(ours, [rate] * 2)
        changed = [
            not torch.allclose(one, other, rtol=0, atol=1e-20)
            for one, other in zip(before, ours.objective.parameters(), strict=True)
        ]
        assert changed == [is_changed] * len(changed)


def test_a_long_gradient_is_scaled_down_when_asked() -> None:
    def moved(**training: Any) -> float:
        ours = trainer(**training)
        optimizer = torch.optim.SGD(ours.objective.parameters(), 1.0)
        before = [one.detach().clone() for one in ours.objective.parameters()]
        ours.step([0, 1, 2], optimizer, ours.compute.scaler(), forcing=1)
        steps = [
            (one.detach() - other).flatten()
            for one, other in zip(ours.objective.parameters(), before, strict=True)
        ]
        return float(torch.cat(steps).norm())

    assert moved(clip_norm=1e-3) == pytest.approx(1e-3, rel=1e-2)
    assert moved(clip_norm=1e3) == moved() > 0.01


def test_validation_is_weighted_by_positions() -> None:
    ours = trainer(batch_size=1)
    loss, accuracy = ours.validate()
    ours.objective.eval()
    network = ours.objective.network
    total, positions = 0.0, 0
    summed = measure_accuracy(torch.empty(0, 1), torch.empty(0, 1))
    for row in range(len(ROWS)):
        batch = collate([row], ROWS)
        assert batch.target is not None
        with torch.no_grad():
            state = network.start(batch)
            fed = tokens_to_feed(network, state, batch.target, forcing=0)
            logits = network.target.logits(network.decode(state, fed))
        total += float(padded_loss(logits, batch.target)) * batch.target.numel()
        positions += batch.target.numel()
        summed += measure_accuracy(logits.argmax(-1), batch.target)
    assert loss == pytest.approx(total / positions, rel=1e-5)
    assert accuracy == summed


@pytest.mark.parametrize("forcing", [0.0, 1.0])
def test_validation_runs_freely_and_without_smoothing_however_it_is_trained(
    forcing: float,
) -> None:
    plain = trainer(network=STILL_ATTENTION).validate()
    ours = trainer(network=STILL_ATTENTION, teacher_forcing=forcing, label_smoothing=0.3)
    assert ours.validate() == plain


def test_the_loss_over_tokens_does_not_depend_on_the_batch_size() -> None:
    for loss, depends in (("token", False), ("padded", True)):
        alone, together = (trainer(batch_size=size, loss=loss).validate()[0] for size in (1, 10))
        assert (alone != pytest.approx(together, rel=1e-5)) is depends


def test_a_range_test_stops_when_the_loss_diverges() -> None:
    rates = [1e-3] * 5 + [50.0] * 20
    losses = lr_range_test(trainer(), rates)
    assert 5 < len(losses) < 25
    assert max(losses) <= 4 * min(losses)
    assert len(lr_range_test(trainer(), [1e-4] * 25)) == 25

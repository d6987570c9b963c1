"""Training steps on other devices and in other precisions, as far as a CPU can run them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pytest
import torch
from torch import Tensor, nn

from annoseq.config import BatchConfig, NetworkConfig, TrainingConfig
from annoseq.devices import ComputeDevice
from annoseq.errors import OutOfMemoryError
from annoseq.evaluation.token_accuracy import Accuracy
from annoseq.tokenization.batching import collate
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding
from annoseq.training.loop import OneCycle, Trainer
from annoseq.training.objectives import Seq2SeqObjective
from tests.faults import run_out_of_memory
from tests.tiny import STILL, STILL_ATTENTION, STILL_TRANSFORMER, tiny_network

if TYPE_CHECKING:
    from annoseq.config import AnyNetworkConfig

ROWS = [
    Seq2SeqEncoding([4 + i % 3, 5, 6][: 1 + i % 3], [7 + i % 4] * (1 + i % 2)) for i in range(10)
]
CPU = torch.device("cpu")


def trainer(
    dtype: torch.dtype = torch.float32, model: AnyNetworkConfig = STILL, **training: Any
) -> Trainer:
    config = TrainingConfig(**training).resolve_auto(
        model=NetworkConfig.of(model).model, rows=len(ROWS)
    )
    return Trainer(
        Seq2SeqObjective(tiny_network(model), config, train_rows=ROWS, valid_rows=ROWS),
        config,
        BatchConfig(batch_size=5, batch_tokens=2_000),
        ComputeDevice(CPU, dtype),
    )


@pytest.mark.parametrize("model", [STILL, STILL_ATTENTION])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_lower_precision_learns_much_the_same(dtype: torch.dtype, model: AnyNetworkConfig) -> None:
    curves = []
    for one in (torch.float32, dtype):
        ours = trainer(one, model, clip_norm=1.0, label_smoothing=0.1)
        run = OneCycle(ours, first=0, epochs=4, max_lr=1e-2)
        curves.append([loss for _ in range(4) for loss in run.train_epoch()[1]])
        assert all(weight.dtype == torch.float32 for weight in ours.objective.parameters())
        assert run.scaler.is_enabled() == (one == torch.float16)
    assert curves[0] != curves[1]
    assert curves[0] == pytest.approx(curves[1], rel=0.05)


@pytest.mark.parametrize("clip_norm", [0.0, 1.0])
def test_a_step_whose_gradients_overflow_is_left_out(clip_norm: float) -> None:
    ours = trainer(torch.float16, clip_norm=clip_norm)
    run = OneCycle(ours, first=0, epochs=1, max_lr=1e-2)
    run.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, backoff_factor=2.0**-111)
    before = [weight.clone() for weight in ours.objective.parameters()]
    changed = []
    run.optimizer.register_step_post_hook(lambda *_: changed.append(True))
    rates, losses = run.train_epoch()
    assert len(rates) == len(losses) == 2
    assert changed == [True]  # the first of the two was left out
    after = [*ours.objective.parameters()]
    assert not all(map(torch.equal, before, after))
    assert all(weight.isfinite().all() for weight in after)


@pytest.mark.parametrize("loss", ["padded", "token"])
@pytest.mark.parametrize("model", [STILL, STILL_ATTENTION, STILL_TRANSFORMER])
def test_parts_of_a_batch_teach_what_the_batch_teaches(model: AnyNetworkConfig, loss: str) -> None:
    learned = [learn(model, loss=loss, micro_batch_tokens=tokens) for tokens in (None, 8, 1)]
    assert [one.sizes for one in learned] == [[5, 5], [2, 2, 1] * 2, [1] * 10]
    for one in learned[1:]:
        assert one.losses == pytest.approx(learned[0].losses)
        torch.testing.assert_close(one.weights, learned[0].weights)


class Learned(NamedTuple):
    """Results of an epoch in exact arithmetic, so that Adam does not amplify rounding errors."""

    sizes: list[int]
    losses: list[float]
    weights: list[Tensor]


def learn(model: AnyNetworkConfig, **training: Any) -> Learned:
    ours, sizes = trainer(model=model, **training), []
    ours.objective.double().register_forward_pre_hook(
        lambda _, given: sizes.append(len(given[0].rows))
    )
    losses = OneCycle(ours, first=0, epochs=1, max_lr=1e-2).train_epoch()[1]
    return Learned(sizes, losses, [weight.detach() for weight in ours.objective.parameters()])


class Greedy(nn.Module):
    """An objective for which no memory suffices."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.train_rows = self.valid_rows = ROWS
        self.collate = collate
        self.score = Accuracy

    def positions(self, batch: object) -> int:
        return 1

    forward = measure = run_out_of_memory


def test_memory_that_the_optimizer_lacks_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.optim.AdamW, "step", run_out_of_memory)
    with pytest.raises(OutOfMemoryError, match="the memory of cpu does not suffice for a batch "):
        OneCycle(trainer(), first=0, epochs=1, max_lr=1e-3).train_epoch()


def test_memory_that_does_not_suffice_is_explained() -> None:
    likeness = trainer()
    ours = Trainer(
        cast("Seq2SeqObjective", Greedy()),
        likeness.config,
        likeness.batching,
        likeness.compute,
    )
    expected = (
        "the memory of cpu does not suffice for a batch of 5 rows. Lower --batch-tokens, which is "
        "2,000, or --batch-size, which is 5. In training, --micro-batch-tokens leaves the "
        "batch as it is and takes it in parts."
    )
    with pytest.raises(OutOfMemoryError) as training:
        OneCycle(ours, first=0, epochs=1, max_lr=1e-3).train_epoch()
    assert str(training.value) == expected
    with pytest.raises(OutOfMemoryError) as validating:
        ours.validate()
    assert str(validating.value) == expected
    ours.config = ours.config.model_copy(update={"micro_batch_tokens": 1_024})
    with pytest.raises(OutOfMemoryError, match="In training, a --micro-batch-tokens below 1,024 l"):
        ours.validate()

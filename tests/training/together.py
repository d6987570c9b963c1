"""Training whose results must be the same in one process and in two (`test_distributed.py`).

As a program, it trains as one of the processes that a launcher started, and writes the results to
a file for its rank.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from annoseq.config import BatchConfig, DeviceConfig, TrainingConfig
from annoseq.data.pairs import Pairs
from annoseq.errors import DivergenceError
from annoseq.sample import sample_pairs
from annoseq.tokenization.dataset import Dataset
from annoseq.torchrun import torchrun_environment
from annoseq.training.learner import Learner
from tests.models.tiny import TINY_TAGGER
from tests.tiny import STILL, STILL_ATTENTION, STILL_TRANSFORMER, TINY

if TYPE_CHECKING:
    from annoseq.config import AnyNetworkConfig

BATCHING = BatchConfig(batch_size=5)
STILL_MODELS: dict[str, AnyNetworkConfig] = {
    "gru": STILL,
    "attention": STILL_ATTENTION,
    "transformer": STILL_TRANSFORMER,
    "tagger": TINY_TAGGER.model_copy(update={"dropout": 0.0, "word_dropout": 0.0}),
}


def some_data() -> Dataset:
    """Twenty-one training rows: four batches of five, and one of a single row."""
    dataset = Dataset.from_pairs(
        Pairs(sample_pairs(21, seed=1), name="sample"),
        valid=Pairs(sample_pairs(7, seed=2), name="valid"),
    )
    assert len(dataset.train) % BATCHING.batch_size == 1
    return dataset


def some_learner(dataset: Dataset, model: AnyNetworkConfig, **training: Any) -> Learner:
    return Learner(
        dataset,
        model=model,
        training=TrainingConfig(**training),
        batching=BATCHING,
        device=DeviceConfig(device="cpu"),
    )


def outcome(learner: Learner) -> dict[str, Any]:
    """Return the curve, the table without its times, and the weights."""
    return {
        "losses": learner.recorder.losses,
        "valid_losses": [row.valid_loss for row in learner.recorder.epochs],
        "accuracies": [tuple(row.scores.values()) for row in learner.recorder.epochs],
        "weights": learner.network.state_dict(),
    }


def without_dropout(dataset: Dataset, model: AnyNetworkConfig) -> dict[str, Any]:
    learner = some_learner(dataset, model, clip_norm=1.0, keep="last")
    learner.fit_one_cycle(2, 1e-2, report=print)
    return outcome(learner)


def in_parts(dataset: Dataset, model: AnyNetworkConfig) -> dict[str, Any]:
    learner = some_learner(dataset, model, micro_batch_tokens=60, keep="last")
    learner.fit_one_cycle(1, 1e-2, report=print)
    return outcome(learner)


def range_test(dataset: Dataset) -> list[float]:
    return some_learner(dataset, STILL).lr_find(steps=5).losses


def with_dropout(dataset: Dataset, checkpoint: Path) -> dict[str, Any]:
    """Train with dropout at once, and with an interruption that is resumed."""
    at_once = some_learner(dataset, TINY)
    at_once.fit_one_cycle(2, 1e-2, report=print)

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        some_learner(dataset, TINY).fit_one_cycle(
            2, 1e-2, checkpoint=checkpoint, report=print, after_epoch=interrupt
        )
    resumed = some_learner(dataset, TINY)
    resumed.fit_one_cycle(2, 1e-2, checkpoint=checkpoint, resume=True, report=print)
    draw = torch.Generator().manual_seed(resumed.processes.seed(42))
    return {
        "at once": outcome(at_once),
        "resumed": outcome(resumed),
        "drawn": torch.rand(4, generator=draw),
    }


def divergence(dataset: Dataset) -> str:
    with pytest.raises(DivergenceError) as caught:
        some_learner(dataset, STILL).fit_one_cycle(3, 1e38, report=print)
    return str(caught.value)


def everything(folder: Path) -> dict[str, Any]:
    dataset = some_data()
    results: dict[str, Any] = {
        name: without_dropout(dataset, model) for name, model in STILL_MODELS.items()
    }
    results["in parts"] = {name: in_parts(dataset, model) for name, model in STILL_MODELS.items()}
    results["range test"] = range_test(dataset)
    results["with dropout"] = with_dropout(dataset, folder / "m.training")
    results["divergence"] = divergence(dataset)
    return results


def main() -> None:
    folder = Path(sys.argv[1])
    torch.save(everything(folder), folder / f"{torchrun_environment().rank}.results")
    Learner(some_data(), model=STILL).processes.leave()


if __name__ == "__main__":
    main()

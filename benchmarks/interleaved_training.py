"""Training loops that take turns with that of the notebook, and the clock that times them."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from annoseq.config import (
    AttentionConfig,
    BatchConfig,
    DataConfig,
    GruConfig,
    NetworkConfig,
    TrainingConfig,
    TransformerConfig,
)
from annoseq.models.build import build_seq2seq
from annoseq.tokenization.batching import collate
from annoseq.training.loop import Trainer
from annoseq.training.objectives import Seq2SeqObjective
from benchmarks.budget import repeat
from benchmarks.notebook_loop import (
    BATCH_SIZE,
    LEARNING_RATE,
    NotebookModel,
    make_optimizer,
    sortish_batches,
    train_step,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from annoseq.config import AnyNetworkConfig
    from annoseq.devices import ComputeDevice
    from annoseq.tokenization.dataset import Dataset
    from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding

NOTEBOOK = "the notebook's loop"
WORD, BPE = DataConfig(), DataConfig(tokens="bpe")
NETWORKS: dict[str, tuple[DataConfig, AnyNetworkConfig | None]] = {
    NOTEBOOK: (WORD, None),
    "gru": (WORD, GruConfig()),
    "attention": (WORD, AttentionConfig()),
    "attention, bpe": (BPE, AttentionConfig()),
    "transformer": (WORD, TransformerConfig()),
    "transformer, bpe": (BPE, TransformerConfig()),
}
MICRO_BATCH = 2_048
"""Tokens of a micro-batch of the transformer, padding included."""
SQUARE = 1024
"""Rows and columns of the matrices whose product measures the rate of the core."""


@dataclass
class TrainingLoop:
    """Training loop of a network, with the totals of the steps taken so far."""

    examples: Sequence[Seq2SeqEncoding]
    batches: Iterator[list[int]]
    step: Callable[[list[int]], object]
    steps: int = 0
    pairs: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def learn(self) -> tuple[int, int]:
        """Take a step; return its number of pairs and of target tokens, without padding."""
        rows = next(self.batches)
        self.step(rows)
        return len(rows), sum(len(self.examples[row].target) + 1 for row in rows)

    def run(self, seconds: float, clock: Clock) -> None:
        """Take steps for about `seconds`, and add them to the totals."""
        began = clock.read()
        now = began
        while now - began < seconds:
            pairs, tokens = self.learn()
            now = clock.read()
            self.steps, self.pairs, self.tokens = (
                self.steps + 1,
                self.pairs + pairs,
                self.tokens + tokens,
            )
        self.seconds += now - began


@dataclass(frozen=True)
class Clock:
    """Clock of processor time on a CPU, and of wall time on a GPU."""

    device: torch.device

    def read(self) -> float:
        """Return the time in seconds, on a GPU after all pending kernels."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            return time.perf_counter()
        return time.process_time()


@dataclass
class MatmulRate:
    """Rate of a float32 matrix product, in operations per second."""

    device: torch.device
    operations: float = 0.0
    seconds: float = 0.0
    _factors: list[torch.Tensor] = field(default_factory=list)

    def run(self, seconds: float, clock: Clock) -> None:
        """Multiply for about `seconds`."""
        if not self._factors:
            self._factors = [torch.rand(SQUARE, SQUARE, device=self.device) for _ in range(2)]
            torch.mm(*self._factors)  # warm
        began = clock.read()
        now = began
        while now - began < seconds:
            for _ in range(1 if self.device.type == "cpu" else 100):
                torch.mm(*self._factors)
                self.operations += 2 * SQUARE**3
            now = clock.read()
        self.seconds += now - began

    @property
    def rate(self) -> float:
        """Operations per second."""
        return self.operations / self.seconds


def build_loop(name: str, dataset: Dataset, compute: ComputeDevice, *, seed: int) -> TrainingLoop:
    """Build the training loop of a network with initial weights."""
    config = NETWORKS[name][1]
    torch.manual_seed(seed)
    if config is None:
        return _notebook(dataset, compute.device, seed=seed)
    network = NetworkConfig.of(config)
    training = TrainingConfig(
        teacher_forcing=1.0,
        loss="token",
        max_lr=LEARNING_RATE,
        micro_batch_tokens=MICRO_BATCH if network.model == "transformer" else None,
        seed=seed,
    ).resolve_auto(model=network.model, rows=len(dataset.train))
    model = build_seq2seq(network, dataset.tokenizer, seed=seed).to(compute.device)
    # As many tokens as may be: the batches are to be of 64 rows.
    batching = BatchConfig(batch_size=BATCH_SIZE, batch_tokens=10**9)
    objective = Seq2SeqObjective(model, training, train_rows=dataset.encoded_train.encodings)
    trainer = Trainer(objective, training, batching, compute)
    trainer.objective.train()
    optimizer, scaler = trainer.optimizer(LEARNING_RATE), compute.scaler()
    return TrainingLoop(
        dataset.encoded_train.encodings,
        repeat(lambda epoch: iter(trainer.order(epoch))),
        lambda rows: trainer.step(rows, optimizer, scaler, forcing=1.0),
    )


def _notebook(dataset: Dataset, device: torch.device, *, seed: int) -> TrainingLoop:
    examples = dataset.encoded_train.encodings
    sizes = len(dataset.tokenizer.source), len(dataset.tokenizer.target)
    model = NotebookModel(*sizes).to(device).train()
    optimizer, generator = make_optimizer(model), random.Random(seed)

    def step(rows: list[int]) -> None:
        batch = collate(rows, examples).to(device)
        assert batch.target is not None
        train_step(model, optimizer, batch.source, batch.target)

    return TrainingLoop(examples, repeat(lambda _: sortish_batches(examples, generator)), step)

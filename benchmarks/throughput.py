"""Training throughput under full teacher forcing: annoseq's networks beside the notebook's loop.

All sides learn from the same rows in batches of 64, in turns, a few seconds each, so that what the
machine does meanwhile meets them alike. A product of two matrices, which is measured in turn with
them, tells how much of the core they use.
"""

from __future__ import annotations

import gc
import json
import random
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import (
    FlopCounterMode,
    addmm_flop,
    sdpa_backward_flop_count,
    sdpa_flop_count,
)

from annoseq.config import (
    AttentionConfig,
    BatchConfig,
    DataConfig,
    DeviceConfig,
    GruConfig,
    NetworkConfig,
    TrainingConfig,
    TransformerConfig,
)
from annoseq.devices import Compute
from annoseq.models.build import build_model
from annoseq.text.batches import collate
from annoseq.text.dataset import Dataset
from annoseq.training.loop import Trainer
from annoseq.training.writing import WritingObjective
from benchmarks.budget import EXPLAINED, note, one_core, repeat
from benchmarks.command import guarded, made_by, make_parser, read_options
from benchmarks.measure import PeakMemory, describe_machine, markdown_table, write_report
from benchmarks.meddocan import read_tables
from benchmarks.notebook import (
    BATCH_SIZE,
    LEARNING_RATE,
    NotebookModel,
    make_optimizer,
    sortish_batches,
    train_step,
)
from benchmarks.subsets import describe, keep_short

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from annoseq.config import AnyNetworkConfig
    from annoseq.text.codec import Example

REPORT = Path(__file__).with_suffix(".md")
CPU = torch.device("cpu")
NOTEBOOK = "the notebook's loop"
WORD, BPE = DataConfig(), DataConfig(tokens="bpe")
SIDES: dict[str, tuple[DataConfig, AnyNetworkConfig | None]] = {
    NOTEBOOK: (WORD, None),
    "gru": (WORD, GruConfig()),
    "attention": (WORD, AttentionConfig()),
    "attention, bpe": (BPE, AttentionConfig()),
    "transformer": (WORD, TransformerConfig()),
    "transformer, bpe": (BPE, TransformerConfig()),
}
WARM_UP = 3
"""First steps of a side, which its speed leaves out."""
COUNTED = 16
"""Steps whose floating-point operations are counted."""
REMEMBERED = 20
"""Steps in which the memory is watched; the first has the longest row."""
SQUARE = 1024
"""Rows and columns of the matrices whose product tells the core's rate."""


@dataclass
class Side:
    """A network that learns: its next step, and what its steps took so far."""

    examples: Sequence[Example]
    batches: Iterator[list[int]]
    step: Callable[[list[int]], object]
    steps: int = 0
    pairs: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def learn(self) -> tuple[int, int]:
        """Take a step, and return its pairs and its target tokens, padding not counted."""
        rows = next(self.batches)
        self.step(rows)
        return len(rows), sum(len(self.examples[row].target) + 1 for row in rows)

    def run(self, seconds: float, clock: Clock) -> None:
        """Take steps for about so long, and add them up."""
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
    """Processor seconds; on a GPU, whose work is no processor's, those of the wall."""

    device: torch.device

    def read(self) -> float:
        """Return the seconds since some moment; on a GPU when all that was begun is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            return time.perf_counter()
        return time.process_time()


@dataclass
class Product:
    """The rate of a product of two matrices in float32."""

    device: torch.device
    operations: float = 0.0
    seconds: float = 0.0
    _factors: list[torch.Tensor] = field(default_factory=list)

    def run(self, seconds: float, clock: Clock) -> None:
        """Multiply for about so long."""
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
        """Operations in a second."""
        return self.operations / self.seconds


def make_side(name: str, dataset: Dataset, compute: Compute, *, seed: int) -> Side:
    """Build a side's network with fresh weights."""
    config = SIDES[name][1]
    torch.manual_seed(seed)
    if config is None:
        return _notebook(dataset, compute.device, seed=seed)
    network = NetworkConfig.of(config)
    training = TrainingConfig(
        teacher_forcing=1.0, loss="token", max_lr=LEARNING_RATE, seed=seed
    ).settled(model=network.model, rows=len(dataset.train))
    model = build_model(network, dataset.codec, seed=seed).to(compute.device)
    # As many tokens as may be: the batches are to be of 64 rows.
    batching = BatchConfig(batch_size=BATCH_SIZE, batch_tokens=10**9)
    objective = WritingObjective(model, training, train_rows=dataset.train.examples)
    trainer = Trainer(objective, training, batching, compute)
    trainer.objective.train()
    optimizer, scaler = trainer.optimizer(LEARNING_RATE), compute.scaler()
    return Side(
        dataset.train.examples,
        repeat(lambda epoch: iter(trainer.order(epoch))),
        lambda rows: trainer.step(rows, optimizer, scaler, forcing=1.0),
    )


def _notebook(dataset: Dataset, device: torch.device, *, seed: int) -> Side:
    examples = dataset.train.examples
    sizes = len(dataset.codec.source), len(dataset.codec.target)
    model = NotebookModel(*sizes).to(device).train()
    optimizer, generator = make_optimizer(model), random.Random(seed)

    def step(rows: list[int]) -> None:
        batch = collate(rows, examples).to(device)
        assert batch.target is not None
        train_step(model, optimizer, batch.source, batch.target)

    return Side(examples, repeat(lambda _: sortish_batches(examples, generator)), step)


def count_operations(side: Side, *, steps: int) -> float:
    """Return the floating-point operations of a target token, forward and backward.

    Those of matrix products are counted, padding's included. torch counts neither a product that
    is added in place, as the loss has one, nor the attention that it has for CPUs; its own
    formulas for the same in other clothes serve.
    """
    mapping = {
        torch.ops.aten.addmm_: _addmm,
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    }
    tokens = 0
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        for _ in range(steps):
            tokens += side.learn()[1]
    return float(counter.get_total_flops() / tokens)


def _addmm(added: object, one: object, other: object, *_: object, **__: object) -> int:
    return int(addmm_flop(added, one, other))


def _attention(query: object, key: object, value: object, *_: object, **__: object) -> int:
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


def _attention_backward(
    grad: object, query: object, key: object, value: object, *_: object, **__: object
) -> int:
    operations = sdpa_backward_flop_count(grad, query, key, value)  # type: ignore[no-untyped-call]
    return int(operations)


def watch_memory(name: str, dataset: Dataset, compute: Compute, *, seed: int) -> int:
    """Return how many bytes a side's training takes above what the process had before."""
    with PeakMemory(compute.device) as memory:
        side = make_side(name, dataset, compute, seed=seed)
        for _ in range(REMEMBERED):
            side.learn()
    return memory.above_baseline


def load(options: argparse.Namespace, config: DataConfig) -> tuple[Dataset, dict[str, str]]:
    """Read the rows in ids; those of all sides are the same, whatever their tokens."""
    train, dev = read_tables(options.data, first=options.rows)
    dataset = keep_short(
        Dataset.from_pairs(train, valid=dev, config=config),
        max_tokens=options.max_tokens,
        at_least=BATCH_SIZE,
    )
    facts = describe(dataset, train, dev, max_tokens=options.max_tokens)
    del facts["dev rows"]
    sizes = f"{len(dataset.codec.source):,} source, {len(dataset.codec.target):,} target"
    facts[f"vocabulary ({config.tokens})"] = sizes
    return dataset, facts


HEAD = (
    "training", "target tokens/s", "ratio", "pairs/s", "GFLOP per token", "share of the rate",
    "peak memory", "ratio",
)  # fmt: skip


def table(
    sides: dict[str, Side], operations: dict[str, float], memory: dict[str, int], rate: float
) -> str:
    """Write the figures; ratios are to the notebook's loop, which is the first."""
    first = next(iter(sides))
    slowest = sides[first].tokens / sides[first].seconds
    rows = []
    for name, side in sides.items():
        speed = side.tokens / side.seconds
        rows.append([
            name,
            f"{speed:,.0f}",
            f"{speed / slowest:.2f}",
            f"{side.pairs / side.seconds:,.1f}",
            f"{operations[name] / 1e9:.4f}",
            f"{speed * operations[name] / rate:.0%}",
            f"{memory[name] / 2**20:,.0f} MiB",
            f"{memory[name] / memory[first]:.2f}",
        ])  # fmt: skip
    return markdown_table(HEAD, rows)


def time_sides(
    sides: dict[str, Side], product: Product, *, seconds: float, turn: float, clock: Clock
) -> None:
    """Let all sides learn in turns until each had so many seconds."""
    for name, side in sides.items():
        for _ in range(WARM_UP):
            side.learn()
        note(f"{name}: warm")
    rounds = max(1, round(seconds / turn))
    for number in range(rounds):
        for side in sides.values():
            side.run(seconds / rounds, clock)
        product.run(seconds / rounds / 4, clock)
        note(f"round {number + 1} of {rounds}")


def run(options: argparse.Namespace, arguments: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Measure all sides, and return the table and what the report says besides.

    Raises:
        AnnoseqError: the data or the device cannot be used.
    """
    compute = _compute(options)
    memory = {name: _memory_of(name, arguments) for name in options.sides}
    machine = describe_machine(compute.device)
    facts: dict[str, str] = {}
    datasets: dict[str, Dataset] = {}
    for name in options.sides:
        config = SIDES[name][0]
        if config.tokens not in datasets:
            datasets[config.tokens], new = load(options, config)
            facts |= new
    data = {name: datasets[SIDES[name][0].tokens] for name in options.sides}
    operations: dict[str, float] = {}
    on_cpu = Compute.choose(DeviceConfig(device="cpu"))  # cuDNN's products are not counted
    for name in options.sides:
        side = make_side(name, data[name], on_cpu, seed=options.seed)
        operations[name] = count_operations(side, steps=COUNTED)
        del side
        gc.collect()
        note(f"{name}: counted")
    sides = {
        name: make_side(name, data[name], compute, seed=options.seed) for name in options.sides
    }
    product, clock = Product(compute.device), Clock(compute.device)
    time_sides(sides, product, seconds=options.seconds, turn=options.turn, clock=clock)
    facts |= {
        "product of two float32 matrices": f"{product.rate / 1e9:,.1f} GFLOP/s ({SQUARE} square)",
        "batch": f"{BATCH_SIZE} rows",
        "precision of annoseq's sides": options.precision,
        "steps": "; ".join(f"{name}: {side.steps:,}" for name, side in sides.items()),
        "seed": str(options.seed),
        **machine,
    }
    return table(sides, operations, memory, product.rate), facts


def _compute(options: argparse.Namespace) -> Compute:
    return Compute.choose(DeviceConfig(device=options.device, precision=options.precision))


def _memory_of(name: str, arguments: Sequence[str]) -> int:
    command = [sys.executable, "-m", "benchmarks.throughput", *arguments, "--memory-of", name]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, check=True, cwd=Path(__file__).resolve().parents[1]
    )
    note(f"{name}: memory watched")
    return int(json.loads(done.stdout)["bytes"])


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        "throughput", "Measure training throughput under full teacher forcing.", report=REPORT
    )
    add = parser.add_argument
    add("--seconds", type=float, default=60, help="of processor time for each side")
    add("--turn", type=float, default=5, help="about so many seconds before the next side's turn")
    add("--max-tokens", type=int, default=60, help="leave out rows with a longer source")
    add("--sides", nargs="+", choices=SIDES, default=list(SIDES), help="the first is compared with")
    add("--device", choices=["cpu", "cuda"], default="cpu", help="on cuda, wall time is measured")
    precisions = ["float32", "bfloat16", "float16"]
    add("--precision", choices=precisions, default="float32", help="of annoseq's sides")
    add("--memory-of", choices=SIDES, help="only tell the peak of this side's memory, as JSON")
    return read_options(parser, arguments, above_zero=("seconds", "turn", "max_tokens"))


ABOUT = f"""\
Target tokens that are learned from in a second, padding not counted: the 2019 notebook's loop,
which feeds itself, beside annoseq's networks under full teacher forcing with the loss over tokens.
`gru` is the notebook's own network: the same widths, vocabulary and batches of {BATCH_SIZE} rows.
{{clock}}
The sides take turns in one process; their first {WARM_UP} steps are left out. A token is a word or,
with bpe, a piece; pairs/s compare all. The operations of matrix products, forward and backward,
are counted by torch's FlopCounterMode over {COUNTED} steps, those on padding included; their share
is that of the rate of a product of two float32 matrices, measured in the same turns. The peak of
memory is that of {REMEMBERED} steps, in a process for each side, above what the process had with
torch imported and the rows in ids, before there was a model."""


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print the table, and replace the report."""
    arguments = list(sys.argv[1:] if given is None else given)
    options = parse_arguments(arguments)

    def work() -> None:
        if options.memory_of:
            dataset, _ = load(options, SIDES[options.memory_of][0])
            compute = _compute(options)
            peak = watch_memory(options.memory_of, dataset, compute, seed=options.seed)
            print(json.dumps({"bytes": peak}))
            return
        written, facts = run(options, arguments)
        print(written)
        on_gpu = "On the GPU, wall time is measured, with all that was begun waited for."
        write_report(
            options.out,
            title="Training throughput",
            about=ABOUT.format(clock=EXPLAINED if options.device == "cpu" else on_gpu),
            tables=[written],
            facts=facts | made_by("throughput", arguments),
        )

    # A GPU's backward pass has a thread of its own.
    with one_core(options.core) if options.device == "cpu" else nullcontext():
        return guarded(work)


if __name__ == "__main__":
    sys.exit(main())

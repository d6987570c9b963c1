"""Training throughput under full teacher forcing: annoseq's networks and the notebook's loop.

All train on the same rows in batches of 64, in turns of a few seconds, so that other load on the
machine affects them alike. A matrix product, measured in turn with them, gives the rate of the
core.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from annoseq.config import DataConfig, DeviceConfig
from annoseq.devices import ComputeDevice
from annoseq.tokenization.dataset import Dataset
from benchmarks.budget import TIMING_NOTE, log, pinned_to_core
from benchmarks.command import command_line, exit_status, make_parser, provenance, read_options
from benchmarks.interleaved_training import (
    MICRO_BATCH,
    NETWORKS,
    SQUARE,
    Clock,
    MatmulRate,
    TrainingLoop,
    build_loop,
)
from benchmarks.measure import PeakMemory, describe_machine, markdown_table, write_report
from benchmarks.meddocan import read_tables
from benchmarks.notebook_loop import BATCH_SIZE
from benchmarks.operations import count_operations
from benchmarks.subsets import describe_rows, keep_short

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

REPORT = Path(__file__).with_suffix(".md")
WARM_UP = 3
"""First steps of a network, left out of its speed."""
COUNTED = 16
"""Steps whose floating-point operations are counted."""
REMEMBERED = 20
"""Steps in which the memory is watched; the first has the longest row."""


def watch_memory(name: str, dataset: Dataset, compute: ComputeDevice, *, seed: int) -> int:
    """Return the peak memory of a training above that of the process before, in bytes."""
    with PeakMemory(compute.device) as memory:
        loop = build_loop(name, dataset, compute, seed=seed)
        for _ in range(REMEMBERED):
            loop.learn()
    return memory.above_baseline


def load(options: argparse.Namespace, config: DataConfig) -> tuple[Dataset, dict[str, str]]:
    """Read the encoded rows; all networks get the same rows, whatever their tokens."""
    train, dev = read_tables(options.data, first=options.rows)
    dataset = keep_short(
        Dataset.from_pairs(train, valid=dev, config=config),
        max_tokens=options.max_tokens,
        at_least=BATCH_SIZE,
    )
    facts = describe_rows(dataset, train, dev, max_tokens=options.max_tokens)
    del facts["dev rows"]
    sizes = f"{len(dataset.tokenizer.source):,} source, {len(dataset.tokenizer.target):,} target"
    facts[f"vocabulary ({config.tokens})"] = sizes
    return dataset, facts


HEAD = (
    "training", "target tokens/s", "ratio", "pairs/s", "GFLOP per token", "share of the rate",
    "peak memory", "ratio",
)  # fmt: skip


def table(
    loops: dict[str, TrainingLoop],
    operations: dict[str, float],
    memory: dict[str, int],
    rate: float,
) -> str:
    """Return the table of results; ratios are to the first loop, the notebook's."""
    first = next(iter(loops))
    slowest = loops[first].tokens / loops[first].seconds
    rows = []
    for name, loop in loops.items():
        speed = loop.tokens / loop.seconds
        rows.append([
            name,
            f"{speed:,.0f}",
            f"{speed / slowest:.2f}",
            f"{loop.pairs / loop.seconds:,.1f}",
            f"{operations[name] / 1e9:.4f}",
            f"{speed * operations[name] / rate:.0%}",
            f"{memory[name] / 2**20:,.0f} MiB",
            f"{memory[name] / memory[first]:.2f}",
        ])  # fmt: skip
    return markdown_table(HEAD, rows)


def time_in_turns(
    loops: dict[str, TrainingLoop],
    product: MatmulRate,
    *,
    seconds: float,
    turn: float,
    clock: Clock,
) -> None:
    """Train in turns until each loop had `seconds`."""
    for name, loop in loops.items():
        for _ in range(WARM_UP):
            loop.learn()
        log(f"{name}: warm")
    rounds = max(1, round(seconds / turn))
    for number in range(rounds):
        for loop in loops.values():
            loop.run(seconds / rounds, clock)
        product.run(seconds / rounds / 4, clock)
        log(f"round {number + 1} of {rounds}")


def run(options: argparse.Namespace, arguments: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Measure all loops; return the table and the facts of the report.

    Raises:
        AnnoseqError: the data or the device cannot be used.
    """
    compute = _compute(options)
    memory = {name: _memory_of(name, arguments) for name in options.networks}
    machine = describe_machine(compute.device)
    facts: dict[str, str] = {}
    datasets: dict[str, Dataset] = {}
    for name in options.networks:
        config = NETWORKS[name][0]
        if config.tokens not in datasets:
            datasets[config.tokens], new = load(options, config)
            facts |= new
    data = {name: datasets[NETWORKS[name][0].tokens] for name in options.networks}
    operations: dict[str, float] = {}
    on_cpu = ComputeDevice.select(DeviceConfig(device="cpu"))  # cuDNN's products are not counted
    for name in options.networks:
        loop = build_loop(name, data[name], on_cpu, seed=options.seed)
        operations[name] = count_operations(loop, steps=COUNTED)
        del loop
        gc.collect()
        log(f"{name}: counted")
    loops = {
        name: build_loop(name, data[name], compute, seed=options.seed) for name in options.networks
    }
    product, clock = MatmulRate(compute.device), Clock(compute.device)
    time_in_turns(loops, product, seconds=options.seconds, turn=options.turn, clock=clock)
    facts |= {
        "product of two float32 matrices": f"{product.rate / 1e9:,.1f} GFLOP/s ({SQUARE} square)",
        "batch": f"{BATCH_SIZE} rows",
        "precision of annoseq's networks": options.precision,
        "steps": "; ".join(f"{name}: {loop.steps:,}" for name, loop in loops.items()),
        "seed": str(options.seed),
        **machine,
    }
    return table(loops, operations, memory, product.rate), facts


def _compute(options: argparse.Namespace) -> ComputeDevice:
    return ComputeDevice.select(DeviceConfig(device=options.device, precision=options.precision))


def _memory_of(name: str, arguments: Sequence[str]) -> int:
    command = [sys.executable, "-m", "benchmarks.throughput", *arguments, "--memory-of", name]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, check=True, cwd=Path(__file__).resolve().parents[1]
    )
    log(f"{name}: memory watched")
    return int(json.loads(done.stdout)["bytes"])


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        "throughput", "Measure training throughput under full teacher forcing.", report=REPORT
    )
    add = parser.add_argument
    add("--seconds", type=float, default=60, help="of processor time for each network")
    add("--turn", type=float, default=5, help="seconds of a turn, approximately")
    add("--max-tokens", type=int, default=60, help="leave out rows with a longer source")
    add(
        "--networks",
        nargs="+",
        choices=NETWORKS,
        default=list(NETWORKS),
        help="ratios are to the first",
    )
    add("--device", choices=["cpu", "cuda"], default="cpu", help="on cuda, wall time is measured")
    precisions = ["float32", "bfloat16", "float16"]
    add("--precision", choices=precisions, default="float32", help="of annoseq's networks")
    add("--memory-of", choices=NETWORKS, help="only print this network's peak memory, as JSON")
    return read_options(parser, arguments, above_zero=("seconds", "turn", "max_tokens"))


ABOUT = f"""\
Target tokens per second of training, without padding: the 2019 notebook's loop, which is fed its
own output, and annoseq's networks under full teacher forcing with the loss over tokens. `gru` is
the notebook's own network: the same widths, vocabulary and batches of {BATCH_SIZE} rows. {{clock}}
The transformer processes a batch in micro-batches of at most {MICRO_BATCH:,} tokens, padding
included, and accumulates their gradients (`--micro-batch-tokens`). The networks take turns in one
process; their first {WARM_UP} steps are left out. A token is a word or, with bpe, a sub-word;
pairs/s are comparable between all. The operations of matrix products, forward and backward, are
counted by torch's FlopCounterMode over {COUNTED} steps, padding included; their share is that of
the rate of a product of two float32 matrices, measured in the same turns. Peak memory is that of
{REMEMBERED} steps, each network in a process of its own, above the memory of the process with torch
imported and the encoded rows, before the model is built."""


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print the table, and replace the report."""
    arguments = command_line(given)
    options = parse_arguments(arguments)

    def work() -> None:
        if options.memory_of:
            dataset, _ = load(options, NETWORKS[options.memory_of][0])
            compute = _compute(options)
            peak = watch_memory(options.memory_of, dataset, compute, seed=options.seed)
            print(json.dumps({"bytes": peak}))
            return
        written, facts = run(options, arguments)
        print(written)
        on_gpu = "On the GPU, wall time is measured, after all pending kernels."
        write_report(
            options.out,
            title="Training throughput",
            about=ABOUT.format(clock=TIMING_NOTE if options.device == "cpu" else on_gpu),
            tables=[written],
            facts=facts | provenance("throughput", arguments),
        )

    # A GPU's backward pass has a thread of its own.
    with pinned_to_core(options.core) if options.device == "cpu" else nullcontext():
        return exit_status(work)


if __name__ == "__main__":
    sys.exit(main())

"""Training of the tagger on one core of a CPU and on two, in turns, beside an idle and a busy core.

Two taggers with the same initial weights are trained in one process on the same batches, one epoch
of the one after an epoch of the other; at the end their weights are compared. On one core, the
worker of `annoseq.cpu_threads` is not used. The busy neighbour computes without pause.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from unittest.mock import patch

import torch

from annoseq import cpu_threads
from annoseq.config import BatchConfig, NetworkConfig, TrainingConfig
from annoseq.cpu_threads import usable_cores
from annoseq.devices import ComputeDevice, are_threads_chosen
from annoseq.errors import OptionError
from annoseq.tokenization.dataset import Dataset
from annoseq.training.initialization import initialize_model
from annoseq.training.loop import OneCycle, Trainer
from annoseq.training.resources import Resources
from benchmarks.budget import log
from benchmarks.command import command_line, exit_status, provenance
from benchmarks.measure import describe_machine, markdown_table, write_report
from benchmarks.meddocan import FOLDER, read_tables
from benchmarks.threads import busy_neighbour

if TYPE_CHECKING:
    from collections.abc import Sequence

REPORT = Path(__file__).with_suffix(".md")
CORES = (1, 2)
MAX_LR = 3e-3


@dataclass
class TimedRun:
    """One-cycle training on a number of cores, with pairs per second and CPU time of its epochs."""

    cores: int
    run: OneCycle
    seed: int
    speeds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)

    @classmethod
    def start(cls, dataset: Dataset, cores: int, *, epochs: int, seed: int) -> TimedRun:
        """Return a training from initial weights."""
        compute = ComputeDevice.select("cpu")
        network = NetworkConfig.of("tagger")
        training = TrainingConfig(seed=seed).resolve_auto(model="tagger", rows=len(dataset.train))
        objective = initialize_model(
            dataset,
            network,
            training,
            base=None,
            resources=Resources(),
            compute=compute,
        ).objective
        batching = BatchConfig().resolve_auto(model="tagger")
        trainer = Trainer(objective, training, batching, compute)
        return cls(cores, OneCycle(trainer, first=0, epochs=epochs, max_lr=MAX_LR), seed)

    def train_epoch(self) -> None:
        """Train for an epoch, and record its speed."""
        torch.manual_seed(self.seed + self.run.epoch)  # of dropout
        wall, cpu = time.perf_counter(), time.process_time()
        with patch.object(cpu_threads, "usable_cores", return_value=self.cores):
            self.run.train_epoch()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        self.speeds.append(len(self.run.trainer.objective.train_rows) / wall)
        self.cpu_seconds.append(cpu)

    def weights(self) -> dict[str, torch.Tensor]:
        """Return the weights."""
        weights: dict[str, torch.Tensor] = self.run.trainer.objective.state_dict()
        return weights


def measure_turns(runs: Sequence[TimedRun], *, rounds: int) -> list[list[str]]:
    """Train in turns, the first one last in every other round; return table rows.

    The last cell of the second row is its speed as a multiple of the first one's, the median of
    those of the rounds.
    """
    for run in runs:
        run.speeds, run.cpu_seconds = [], []
    for number in range(rounds):
        for run in runs if number % 2 == 0 else reversed(runs):
            run.train_epoch()
        log(f"round {number + 1} of {rounds}: " + ", ".join(f"{r.speeds[-1]:.0f}" for r in runs))
    one, two = runs
    ratios = [ours / theirs for ours, theirs in zip(two.speeds, one.speeds, strict=True)]
    cells = ["", f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"]
    return [
        [str(run.cores), f"{median(run.speeds):.0f}", f"{median(run.cpu_seconds):.2f}", cell]
        for run, cell in zip(runs, cells, strict=True)
    ]


def measure(options: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """Return the table, and what was found besides.

    Raises:
        OptionError: the number of threads is set, or there is one core.
        TableError: the corpus is not there.
    """
    if are_threads_chosen() or usable_cores() < 2:
        raise OptionError(
            f"this process may use {usable_cores()} cores, and "
            f"{'the number of threads is set' if are_threads_chosen() else 'no threads are set'}. "
            "Run it on two cores, without OMP_NUM_THREADS and MKL_NUM_THREADS."
        )
    pairs, _ = read_tables(options.data, first=options.rows)
    dataset = Dataset.from_pairs(pairs)
    epochs = 1 + 2 * options.rounds
    runs = [TimedRun.start(dataset, cores, epochs=epochs, seed=options.seed) for cores in CORES]
    for run in runs:
        run.train_epoch()  # to warm up
    rows = []
    for name, neighbour in (("idle", nullcontext()), ("busy", busy_neighbour())):
        with neighbour:
            measured = measure_turns(runs, rounds=options.rounds)
        rows += [[name, *cells] for cells in measured]
    table = markdown_table(
        ["neighbour", "cores", "pairs/s", "CPU seconds an epoch", "times one core"], rows
    )
    ours, theirs = (run.weights() for run in runs)
    is_equal = all(torch.equal(ours[name], theirs[name]) for name in ours)
    return table, {
        "training rows": f"{len(runs[0].run.trainer.objective.train_rows):,} of MEDDOCAN's",
        f"weights after {epochs} epochs": "equal, bit for bit" if is_equal else "NOT EQUAL",
    }


ABOUT = """\
Pairs per second (wall clock) of a tagger's training on MEDDOCAN, without validation, on one core
and on two, epoch by epoch in turns: on an idle machine, and beside a process that computes without
pause. Medians of the rounds; of the ratio, also the lowest and the highest. On one core, torch has
one thread; on two, the worker takes one direction of the LSTM, about half of the features' vectors
and gradients, and half of the weights that are clipped and updated.

Of a step's CPU time, four fifths are in parts that are done at the same time. If nothing else
delayed them, two cores would train 1.6 times as fast as these parts do one after the other. (The
CPU time of each part was measured in one thread: 1.43 times with the LSTM alone, 1.48 with the
features, 1.59 with AdamW and clipping, 1.61 with less Python for each step.) The graphs of their
own that they need take some 4 % more CPU time.

Tried, and not kept: the forward-backward algorithm of the CRF's loss in compiled code (1.9 of the
3.6 ms that it takes of a step of some 70 ms, but then the weights depend on numba being there), and
in fewer operations of torch (0.7 ms, and other last digits); gradients of the features by
`index_add` (2 of 7 ms, and other last digits)."""


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training_cores",
        description="Measure the training of a tagger on one core and on two.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--data", type=Path, default=FOLDER, help="folder of MEDDOCAN's train.csv and dev.csv")
    add("--rows", type=int, default=2_400, help="first rows of train.csv, a fifth for validation")
    add("--rounds", type=int, default=5, help="epochs of each training, idle and busy")
    add("--seed", type=int, default=42, help="of weights, order and dropout")
    add("--out", type=Path, default=REPORT, help="Markdown file that the results replace")
    options = parser.parse_args(arguments)
    for name in ("rows", "rounds"):
        if getattr(options, name) <= 0:
            parser.error(f"--{name}: a number above 0 was expected")
    return options


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print the table, and replace the report."""
    arguments = command_line(given)
    options = parse_arguments(arguments)

    def work() -> None:
        machine = describe_machine(torch.device("cpu"))
        table, facts = measure(options)
        print(table)
        write_report(
            options.out,
            title="Training on two cores",
            about=ABOUT,
            tables=[table],
            facts=facts | machine | provenance("training_cores", arguments),
        )

    return exit_status(work)


if __name__ == "__main__":
    sys.exit(main())

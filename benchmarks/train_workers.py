"""`annoseq train --workers`: one tagger trained by one process and by several, in turns.

The default tagger is trained on MEDDOCAN rows; its second epoch is measured.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from annoseq.config import BatchConfig, TrainingConfig
from annoseq.tokenization.dataset import Dataset
from annoseq.training.distributed import ProcessGroup
from annoseq.training.learner import Learner
from annoseq.training.loop import Trainer
from annoseq.training.training_workers import training_workers
from benchmarks.command import Benchmark, command_line, make_parser, read_options
from benchmarks.measure import describe_machine, markdown_table
from benchmarks.meddocan import read_tables

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from annoseq.training.recorder import Epoch

REPORT = Path(__file__).with_suffix(".md")
VALIDATION_ROWS = 64
"""Few, because the time of training is measured."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Pairs per second and CPU seconds of a process in the second epoch, and its training loss."""

    pairs_per_second: float
    cpu: float
    loss: float


@dataclass(frozen=True, slots=True)
class Training:
    """Training of a tagger, whose processes each leave a file in a folder."""

    data: Path
    folder: Path
    rows: int
    seed: int

    def __call__(self, *, join: Callable[[], None]) -> None:
        train, dev = read_tables(self.data, first=self.rows)
        dataset = Dataset.from_pairs(train, valid=dev[:VALIDATION_ROWS])
        join()
        settings = TrainingConfig(seed=self.seed, keep="last")
        learner = Learner(dataset, training=settings, batching=BatchConfig(), device="cpu")
        clock = [time.process_time()]

        def note(_: Epoch) -> None:
            clock.append(time.process_time())

        learner.fit_one_cycle(2, report=lambda line: None, after_epoch=note)
        last = learner.recorder.epochs[-1]
        measured = Measured(last.pairs_per_second, clock[2] - clock[1], last.train_loss)
        path = self.folder / f"{learner.processes.rank}.json"
        path.with_suffix(".part").write_text(json.dumps(asdict(measured)), encoding="utf-8")
        path.with_suffix(".part").replace(path)


def measure(options: argparse.Namespace, *, workers: int) -> list[Measured]:
    """Train; return what each process measured, the first one's at the head."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        work = Training(options.data, folder, options.rows, options.seed)
        files = [folder / f"{rank}.json" for rank in range(workers)]
        with training_workers(workers, work) as join:
            work(join=join)
            for file in files:  # the others are ended with this block
                while not file.exists():
                    time.sleep(0.05)
        return [Measured(**json.loads(file.read_text(encoding="utf-8"))) for file in files]


class Echo(ProcessGroup):
    """The first of two processes, to which the other answers with what it sent itself."""

    def module(self, objective: nn.Module) -> nn.Module:
        return objective

    def all_reduce(self, value: Tensor) -> Tensor:
        return value

    def gather(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        return [[tensor.clone() for tensor in tensors] for _ in range(self.count)]


def measure_steps(options: argparse.Namespace, *, steps: int = 5) -> list[list[str]]:
    """Take steps of one process and of one of two in turns; return a row of medians."""
    train, dev = read_tables(options.data, first=options.rows)
    dataset = Dataset.from_pairs(train, valid=dev[:VALIDATION_ROWS])
    runs = []
    for processes in (ProcessGroup(), Echo(0, 2)):
        learner = Learner(dataset, training=TrainingConfig(seed=options.seed), device="cpu")
        objective, compute = learner._trainer.objective, learner.compute
        trainer = Trainer(objective, learner.config, learner.batching, compute, processes)
        runs.append((trainer, trainer.optimizer(1e-3), compute.scaler()))
        objective.train()
    batches = runs[0][0].order(0)
    taken: list[tuple[float, ...]] = []
    for start in range(0, len(batches) - steps, steps):
        times = []
        for trainer, optimizer, scaler in runs:
            begun = time.process_time()
            for rows in batches[start : start + steps]:
                trainer.step(rows, optimizer, scaler, forcing=1.0)
            times.append((time.process_time() - begun) / steps)
        taken.append(tuple(times))
    ratio = statistics.median(alone / half for alone, half in taken)
    alone, half = (statistics.median(each) * 1e3 for each in zip(*taken, strict=True))
    return [[f"{alone:.1f} ms", f"{half:.1f} ms", f"{ratio:.2f}"]]


def table_rows(runs: dict[int, list[list[Measured]]]) -> list[list[str]]:
    """Return a row for each number of workers: medians, and ratios to one of the same round."""
    found = []
    for workers, mine in runs.items():
        pairs = list(zip((alone for (alone,) in runs[1]), mine, strict=True))
        of_one = [each[0].pairs_per_second / alone.pairs_per_second for alone, each in pairs]
        by_cpu = [alone.cpu / max(one.cpu for one in each) for alone, each in pairs]
        found.append(
            [
                str(workers),
                f"{statistics.median(each[0].pairs_per_second for each in mine):,.0f}",
                f"{statistics.median(of_one):.2f}",
                f"{statistics.median(max(one.cpu for one in each) for each in mine):,.1f} s",
                f"{statistics.median(by_cpu):.2f}",
                f"{statistics.median(each[0].loss for each in mine):.4f}",
            ]
        )
    return found


def run(options: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """Run everything and return the table and facts."""
    machine = describe_machine(torch.device("cpu"))
    runs: dict[int, list[list[Measured]]] = {workers: [] for workers in (1, *options.workers)}
    for _ in range(options.rounds):
        for workers, done in runs.items():
            done.append(measure(options, workers=workers))
            print(f"{workers}: {done[-1]}", file=sys.stderr)
    steps = measure_steps(options)
    head = ["workers", "pairs/s", "of one", "CPU of a process", "of one by CPU", "training loss"]
    facts = {
        "rows": f"{options.rows:,} of MEDDOCAN's train rows, batches of at most 32",
        "rounds": str(options.rounds),
        "seed": str(options.seed),
        **machine,
    }
    of_a_step = ["CPU of a step", "of one of two processes", "ratio"]
    return [markdown_table(head, table_rows(runs)), markdown_table(of_a_step, steps)], facts


ABOUT = """\
The default tagger is trained on MEDDOCAN by one process and by several (`annoseq train --workers
N`), in turns; the second of two epochs is measured. "Of one" is the ratio of pairs/s, by the clock,
to those of one process in the same round: it tells something on a quiet machine alone. "By CPU" is
the ratio of the CPU time of the one process to that of the busiest of several, with the threads
that exchange its gradients. Start and reading are left out; each process takes about 10 s of CPU
time for them.

The second table is of steps in turns within one process: those of one, and those of one of two,
which hears nothing but its own echo. Between two processes, gloo adds some 2.4 ms of CPU time for
each step.

Of a step of one process, AdamW and clipping take 8 ms however many processes there are, and half as
many rows 0.57 of the time of the rest. What was tried to exchange gradients, in CPU seconds of a
process for 50 steps, where one process took 3.4 to 3.7 (a busy machine): torch's
`DistributedDataParallel` alone 3.5, as it averages 18 MB of gradients, of which all but 2 MB are of
feature tables; sparse gradients of the tables, exchanged by torch, 3.5 to 3.9; rows of the tables,
exchanged by `TableGradients`, 2.4 to 3.2. Memory that both processes share, in place of gloo, took
as much, 2.6 to 3.0.

Tried for one process, and not kept: AdamW that lets rows of the feature tables wait for their steps
until they are read (lazy updates; losses equal to 1e-5): 0.96 of the speed, since a batch reads a
tenth of the rows, and to gather and scatter them with their moments takes as long as to pass over
all; an allocator that keeps freed memory: a twentieth of the page faults, and the same speed.
Padding is 10.5 % of what is computed, in batches that are sorted within 50."""
BENCHMARK = Benchmark(name="train_workers", title="One tagger by several processes", about=ABOUT)


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser("train_workers", "Measure training by several processes.", report=REPORT)
    parser.set_defaults(core=None, rows=4_000)  # the workers need all cores
    parser.add_argument("--workers", type=int, nargs="+", default=[2], help="numbers of workers")
    parser.add_argument("--rounds", type=int, default=3, help="trainings of each")
    return read_options(parser, arguments, above_zero=("rounds",))


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmark, print its table, and replace its report."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    arguments = command_line(given)
    options = parse_arguments(arguments)
    return BENCHMARK.run(options, arguments, partial(run, options))


if __name__ == "__main__":
    sys.exit(main())

"""`annoseq annotate --workers`: one table by one process and by several, in turns.

MEDDOCAN's dev rows, repeated, are annotated to JSONL with a given model.
"""

from __future__ import annotations

import csv
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import torch

from benchmarks.budget import cache_folder
from benchmarks.command import Benchmark, command_line, make_parser, read_options
from benchmarks.measure import children_cpu_seconds, describe_machine, markdown_table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

REPORT = Path(__file__).with_suffix(".md")
_POLL = 0.05
"""Seconds between samples of memory."""


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds, CPU seconds of all processes, and the highest sum of their resident sets in bytes.

    Workers share the pages of libraries, which the sum counts for each.
    """

    seconds: float
    cpu: float
    peak: int


def write_table(source: Path, target: Path, *, times: int, limit: int | None) -> tuple[int, int]:
    """Write the texts of a table, repeated; return the numbers of rows and characters."""
    with source.open(newline="", encoding="utf-8") as file:
        texts = [row["orig_text"] for row in csv.DictReader(file)][:limit] * times
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["orig_text"])
        writer.writerows([text] for text in texts)
    return len(texts), sum(map(len, texts))


def measure(model: Path, table: Path, out: Path, *, workers: int) -> Run:
    """Annotate a table."""
    words = ["annotate", model, table, "--out", out, "--workers", workers, "--overwrite"]
    before, begun = children_cpu_seconds(), time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "annoseq", *map(str, words), "--device", "cpu"],
        stderr=subprocess.DEVNULL,
    )
    peaks, is_over = [0], threading.Event()

    def sample() -> None:
        while not is_over.wait(_POLL):
            with suppress(psutil.Error):
                one = psutil.Process(process.pid)
                family = [one, *one.children(recursive=True)]
                peaks.append(sum(each.memory_info().rss for each in family))

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    status = process.wait()
    seconds = time.monotonic() - begun
    is_over.set()
    sampler.join()
    if status:
        raise subprocess.CalledProcessError(status, "annoseq annotate")
    return Run(seconds, children_cpu_seconds() - before, max(peaks))


def table_rows(runs: dict[int, list[Run]], rows: int) -> list[list[str]]:
    """Return a row for each number of workers: medians, and ratios to one of the same round."""
    found = []
    for workers, mine in runs.items():
        ratios = [alone.seconds / one.seconds for alone, one in zip(runs[1], mine, strict=True)]
        seconds = statistics.median(one.seconds for one in mine)
        cpu = statistics.median(one.cpu for one in mine)
        found.append(
            [
                str(workers),
                f"{seconds:,.1f} s",
                f"{rows / seconds:,.0f}",
                f"{statistics.median(ratios):.2f}",
                f"{cpu:,.1f} s",
                f"{max(one.peak for one in mine) / 2**20:,.0f} MiB",
            ]
        )
    return found


def run(options: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """Run everything and return the table and facts."""
    machine = describe_machine(torch.device("cpu"))
    with tempfile.TemporaryDirectory() as name:
        table, folder = Path(name) / "notes.csv", Path(name)
        rows, characters = write_table(
            options.data / "dev.csv", table, times=options.times, limit=options.rows
        )
        runs: dict[int, list[Run]] = {workers: [] for workers in (1, *options.workers)}
        outs = {workers: folder / f"{workers}.jsonl" for workers in runs}
        for _ in range(options.rounds):
            for workers, done in runs.items():
                done.append(measure(options.model, table, outs[workers], workers=workers))
        same = len({out.read_bytes() for out in outs.values()}) == 1
    head = ["workers", "time", "rows/s", "of one", "CPU", "memory of all"]
    told = f"The outputs are {'identical' if same else 'NOT identical'}, byte for byte."
    facts = {
        "rows": f"{rows:,}, {characters:,} characters; each text occurs {options.times} times",
        "rounds": str(options.rounds),
        **machine,
    }
    return [markdown_table(head, table_rows(runs, rows)), told], facts


ABOUT = """\
`annoseq annotate --workers N` over one table to JSONL, by one process and by several, in turns:
medians, from the start of the command to its end. "Of one" is the ratio of rows/s to those of one
process in the same round. CPU is of all processes. The command and each worker load the model, 2.4
s of CPU time each, which a short run feels."""
BENCHMARK = Benchmark(name="workers", title="One table by several processes", about=ABOUT)


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser("workers", "Measure annotation by several processes.", report=REPORT)
    parser.set_defaults(core=None)  # the workers need all
    model = cache_folder("tagger") / "tagger-meddocan.model"
    parser.add_argument("--model", type=Path, default=model, help="folder of a model")
    parser.add_argument("--times", type=int, default=20, help="how often the rows are repeated")
    parser.add_argument("--workers", type=int, nargs="+", default=[2], help="numbers of workers")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each")
    return read_options(parser, arguments, above_zero=("times", "rounds"))


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmark, print its table, and replace its report."""
    arguments = command_line(given)
    options = parse_arguments(arguments)
    return BENCHMARK.run(options, arguments, partial(run, options))


if __name__ == "__main__":
    sys.exit(main())

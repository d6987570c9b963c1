"""Folder runs: one process and Ray with 1 and 2 workers, the same bytes, killed and resumed.

MEDDOCAN's dev rows, repeated, are cut into parts of CSV and annotated with a given model. Times of
parts are those at which their records were written.
"""

from __future__ import annotations

import contextlib
import csv
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import torch

from annoseq.errors import OutputError
from benchmarks.budget import cache_folder
from benchmarks.command import Benchmark, command_line, make_parser, read_options
from benchmarks.measure import describe_machine, markdown_table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

REPORT = Path(__file__).with_suffix(".md")
_POLL = 0.2
"""Seconds between samples of memory and of the number of parts."""
_NOTE = 3_000
"""Characters of a clinical note, for the estimate."""
_NOTES = 10**8
_PUBLISHED = 2_500
"""Characters a second and core of a published 44M-parameter int8 encoder: 5,000 on two cores."""


@dataclass(frozen=True, slots=True)
class Run:
    """Measurements of a run: seconds, CPU seconds, and peak memory of a worker in bytes."""

    name: str
    seconds: float
    first_part: float
    cpu: float
    worker_cpu: float
    peak: int

    def rate(self, rows: int) -> float:
        """Return rows for each CPU second of the workers, their start included."""
        return rows / self.worker_cpu

    def cells(self, rows: int, single: Run) -> list[str]:
        """Return the cells of the table; `single` is the run of one worker of Ray."""
        return [
            self.name,
            f"{self.seconds:,.0f} s",
            f"{rows / self.seconds:,.0f}",
            f"{self.first_part:,.0f} s",
            f"{self.cpu:,.0f} s",
            f"{self.cpu - self.worker_cpu:,.0f} s",
            f"{self.rate(rows):,.0f}",
            f"{self.rate(rows) / single.rate(rows):.2f}",
            f"{self.peak / 2**20:,.0f} MiB",
        ]


def write_parts(table: Path, folder: Path, *, times: int, parts: int, limit: int | None) -> int:
    """Cut a table, repeated, into parts; return the number of rows."""
    with table.open(newline="", encoding="utf-8") as file:
        texts = [row["orig_text"] for row in csv.DictReader(file)][:limit] * times
    folder.mkdir()
    for part in range(parts):
        with (folder / f"{part:04}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["orig_text"])
            writer.writerows([text] for text in texts[part::parts])
    return len(texts)


def command(model: Path, source: Path, out: Path, workers: int) -> list[str]:
    """Return the command of a run: in one process with no workers, else with those of Ray."""
    engine = ["--engine", "ray", "--concurrency", str(workers)] if workers else []
    words = ["annotate", str(model), str(source), "--out", str(out), "--device", "cpu"]
    return [sys.executable, "-m", "annoseq", *words, *engine]


def record_times(out: Path) -> list[float]:
    """Return the times at which parts were done."""
    return sorted(path.stat().st_mtime for path in (out / "manifest").glob("*.json"))


class ProcessSampler(threading.Thread):
    """CPU seconds of a run's processes, and the highest resident set of a worker, sampled.

    A worker is an actor of Ray, or, without Ray, the process itself.
    """

    def __init__(self, process: psutil.Process, *, has_ray: bool) -> None:
        super().__init__(daemon=True)
        self._process, self._has_ray = process, has_ray
        self._cpu: dict[int, float] = {}
        self._worker_cpu: dict[int, float] = {}
        self.peak = 0
        self.is_over = threading.Event()

    def run(self) -> None:
        """Sample until `is_over`."""
        while not self.is_over.wait(_POLL):
            with contextlib.suppress(psutil.Error):
                for one in [self._process, *self._process.children(recursive=True)]:
                    self._sample(one)

    def _sample(self, one: psutil.Process) -> None:
        with contextlib.suppress(psutil.Error):
            times, memory = one.cpu_times(), one.memory_info().rss
            self._cpu[one.pid] = times.user + times.system
            if not self._has_ray or "MapWorker" in " ".join(one.cmdline()):
                self._worker_cpu[one.pid] = times.user + times.system
                self.peak = max(self.peak, memory)

    @property
    def cpu(self) -> float:
        """CPU seconds of all processes."""
        return sum(self._cpu.values())

    @property
    def worker_cpu(self) -> float:
        """CPU seconds of the workers."""
        return sum(self._worker_cpu.values())


def measure(model: Path, source: Path, out: Path, *, workers: int) -> Run:
    """Annotate all parts.

    Raises:
        OutputError: the command failed.
    """
    begun = time.time()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command(model, source, out, workers), stderr=errors)
        sampler = ProcessSampler(psutil.Process(process.pid), has_ray=workers > 0)
        sampler.start()
        status = process.wait()
        sampler.is_over.set()
        sampler.join()
        errors.seek(0)
        if status:
            raise OutputError(f"the run failed: {errors.read().decode()[-400:]}")
    name = f"Ray, {workers} workers" if workers > 1 else "Ray, 1 worker"
    return Run(
        name if workers else "one process",
        time.time() - begun,
        record_times(out)[0] - begun,
        sampler.cpu,
        sampler.worker_cpu,
        sampler.peak,
    )


def kill_and_resume(model: Path, source: Path, out: Path, *, kills: int, draw: Any) -> list[int]:
    """Kill a run of two workers at random parts, resume it, and let it end at last.

    Returns the numbers of parts that were done at each kill. The driver is killed with -9, with all
    of its Ray, as a power cut would.
    """
    parts, found = len(list(source.iterdir())), []
    for number in range(kills):
        rest = parts - len(record_times(out))
        until = parts - rest + draw.randint(1, max(1, rest // (kills - number + 1)))
        process = subprocess.Popen(
            command(model, source, out, 2), stderr=subprocess.DEVNULL, start_new_session=True
        )
        while len(record_times(out)) < until and process.poll() is None:
            time.sleep(_POLL)
        family = psutil.Process(process.pid).children(recursive=True)
        for one in [*family, psutil.Process(process.pid)]:
            with contextlib.suppress(psutil.Error):
                one.send_signal(signal.SIGKILL)
        process.wait()
        found.append(len(record_times(out)))
    subprocess.run(command(model, source, out, 2), stderr=subprocess.DEVNULL, check=True)
    return found


def same_bytes(first: Path, second: Path) -> bool:
    """Return True if two runs wrote the same files with the same bytes, but for the manifest."""
    contents = [
        {
            path.relative_to(out): path.read_bytes()
            for path in out.rglob("*")
            if path.is_file() and "manifest" not in path.parts
        }
        for out in (first, second)
    ]
    return contents[0] == contents[1]


def estimate(rate: float, single: Run, bytes_per_character: float) -> str:
    """Return the table of what 10^8 notes take, from characters a second and core."""
    rows = []
    for cores in (1, 100, 1_000):
        hours = _NOTES * _NOTE / rate / cores / 3600
        published = _NOTES * _NOTE / _PUBLISHED / cores / 3600
        memory = cores * single.peak / 2**30
        rows.append([f"{cores:,}", f"{hours:,.1f}", f"{published:,.0f}", f"{memory:,.1f} GiB"])
    size = _NOTES * _NOTE * bytes_per_character / 1e12
    table = markdown_table(
        ["cores", "hours", "hours at the published rate", "memory of the workers"], rows
    )
    return (
        f"On paper, 10^8 notes of {_NOTE:,} characters at {rate:,.0f} characters a CPU second of a "
        f"worker, with no loss between machines; the output has about {size:.1f} TB as CSV. Others "
        "publish about 5,000 characters a second on two cores for a 44M-parameter int8 encoder, "
        f"which is another model for other texts:\n\n{table}"
    )


def compare(source: Path, outs: dict[int, Path], options: argparse.Namespace) -> str:
    """Kill and resume a run, and return a sentence on the bytes of all runs."""
    killed = source.with_name("killed")
    done = kill_and_resume(
        options.model, source, killed, kills=options.kills, draw=random.Random(options.seed)
    )
    same = [same_bytes(outs[0], other) for other in (outs[1], outs[2], killed)]
    verdicts = ["identical" if one else "NOT identical" for one in same]
    kills = ", ".join(f"{number} of {options.parts}" for number in done)
    return (
        f"Output of one process against Ray with 1 worker: {verdicts[0]}; with 2: {verdicts[1]}; "
        f"with 2, killed with -9 after {kills} parts and resumed each time: {verdicts[2]}."
    )


def run(options: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """Run everything and return tables and facts."""
    machine = describe_machine(torch.device("cpu"))
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "notes"
        rows = write_parts(
            options.data / "dev.csv",
            source,
            times=options.times,
            parts=options.parts,
            limit=options.rows,
        )
        outs = {workers: Path(name) / f"out{workers}" for workers in (0, 1, 2)}
        runs = [
            measure(options.model, source, out, workers=workers) for workers, out in outs.items()
        ]
        told = compare(source, outs, options)
        characters = sum(len(path.read_text("utf-8")) for path in source.iterdir())
        written = sum(path.stat().st_size for path in (outs[0] / "parts").iterdir())
    heads = ["engine", "time", "rows/s", "first part", "CPU", "not of workers", "rows/CPU s"]
    table = markdown_table(
        [*heads, "of Ray with 1", "a worker"], [one.cells(rows, runs[1]) for one in runs]
    )
    rate = runs[1].rate(rows) * characters / rows
    facts = {
        "rows": f"{rows:,} of {characters / rows:,.0f} characters, in {options.parts} parts",
        "repeated": f"each text occurs {options.times} times, in one part or another",
        "model": "a tagger of MEDDOCAN's training rows (`annoseq train`, seed 42)",
        **machine,
    }
    return [table, told, estimate(rate, runs[1], written / characters)], facts


ABOUT = """\
`annoseq annotate` over a folder of parts, by one process and by Ray on the same machine. "First
part" is the time from the command to the end of the first part: starting Python, Ray and the
workers, and loading the model. "CPU" is of all processes, "not of workers" the part of it that Ray
and the command took; "rows/CPU s" divides by the CPU seconds of the workers, their start included,
and does not depend on what else the machine does, as times do. "A worker" is the highest resident
set of one."""


TITLE = "Folders of parts, by one process and by Ray"
BENCHMARK = Benchmark(name="scale", title=TITLE, about=ABOUT)


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser("scale", "Measure folder runs by one process and by Ray.", report=REPORT)
    parser.set_defaults(core=None)  # the workers need all
    model = cache_folder("tagger") / "tagger-meddocan.model"
    parser.add_argument("--model", type=Path, default=model, help="folder of a model")
    parser.add_argument("--times", type=int, default=20, help="how often the rows are repeated")
    parser.add_argument("--parts", type=int, default=40, help="number of parts")
    parser.add_argument("--kills", type=int, default=3, help="how often a run is killed")
    return read_options(parser, arguments, above_zero=("times", "parts", "kills"))


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmark, print its tables, and replace its report."""
    arguments = command_line(given)
    options = parse_arguments(arguments)
    return BENCHMARK.run(options, arguments, partial(run, options))


if __name__ == "__main__":
    sys.exit(main())

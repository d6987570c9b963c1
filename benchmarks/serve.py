"""The HTTP service under load from locust: requests a second, latency, memory, a full queue.

`annoseq serve` and locust are processes of their own on this machine. Each request has one sentence
of the sample corpus. Locust is not installed with annoseq: pip install locust
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import torch

from annoseq.data.pairs import write_pairs
from annoseq.errors import OptionError
from annoseq.sample import sample_pairs
from benchmarks.command import command_line, exit_status, provenance
from benchmarks.measure import describe_machine, markdown_table, write_report

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REPORT = Path(__file__).with_suffix(".md")
_ROWS = 4_000
_USERS = (1, 8, 32)
_SMALL_QUEUE = 32
_MANY_USERS = 200
_ABOUT = """`annoseq serve` with one tagger, asked by locust on the same machine over loopback. Each
program sends its next request when it has its answer, and each request has one sentence. "CPU of
the server" is its processor time for an answer; requests/s and latencies depend on what else the
machine does, and locust and the server share it."""
_POLL = 0.5
"""Seconds between samples of memory."""
_LOAD = """
import itertools, json, os
import gevent
from locust import FastHttpUser, constant, constant_throughput, task
from locust.exception import StopUser

TEXTS = itertools.cycle(json.loads(open(os.environ["TEXTS"]).read()))
LIMIT = int(os.environ["LIMIT"])
RATE = float(os.environ["RATE"])

class Program(FastHttpUser):
    wait_time = constant_throughput(RATE) if RATE else constant(0)
    sent = 0

    @task
    def annotate(self):
        if LIMIT:
            Program.sent += 1
            if Program.sent == LIMIT + 1:
                gevent.spawn(self.environment.runner.quit)
            if Program.sent > LIMIT:
                raise StopUser
        body = {"texts": [next(TEXTS)]}
        with self.client.post("/annotate", json=body, catch_response=True) as response:
            if response.status_code == 429:
                response.request_meta["name"] = "429"
                response.success()
            elif not response.ok:
                response.failure(f"status {response.status_code}")
"""


@dataclass(frozen=True, slots=True)
class LoadResult:
    """Counts, milliseconds and seconds of a run, and the server's CPU seconds and memory in MiB."""

    seconds: float
    answered: Counter[int]
    """Numbers of answers by milliseconds."""
    refused: Counter[int]
    failures: int
    cpu: float
    memory: list[float]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answered.total() / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of the server's processor time for an answer."""
        return 1_000 * self.cpu / max(self.answered.total(), 1)


def percentile(times: Counter[int], share: float) -> int:
    """Return the milliseconds within which a share of the answers came.

    >>> percentile(Counter({5: 98, 7: 1, 90: 1}), 0.5), percentile(Counter({5: 98, 90: 2}), 0.99)
    (5, 90)
    """
    left = share * times.total()
    for milliseconds, count in sorted(times.items()):
        left -= count
        if left <= 0:
            return milliseconds
    return 0


@contextmanager
def serving(model: Path, *options: str) -> Iterator[tuple[str, psutil.Process]]:
    """Start the service; yield its address and its process."""
    command = [sys.executable, "-m", "annoseq", "serve", str(model), "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            lines = iter(process.stderr or ())
            url = next((line.split()[2] for line in lines if line.startswith("serving at")), None)
            if url is None:
                raise OptionError("annoseq serve did not start. Run it by itself to see why.")
            yield url, psutil.Process(process.pid)
        finally:
            process.terminate()


def send_load(
    url: str,
    server: psutil.Process,
    texts: Path,
    *,
    users: int,
    seconds: int = 0,
    limit: int = 0,
    rate: float = 0.0,
) -> LoadResult:
    """Let users send requests for some seconds, or up to a number, at most `rate` a second each."""
    samples: list[float] = []
    is_over = threading.Event()

    def sample() -> None:
        while not is_over.wait(_POLL):
            samples.append(server.memory_info().rss / 2**20)

    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "load.py"
        script.write_text(_LOAD, encoding="utf-8")
        command = [sys.executable, "-m", "locust", "-f", str(script), "--headless", "--json"]
        command += ["--host", url, "-u", str(users), "-r", str(users), "--skip-log"]
        command += ["-t", f"{seconds}s"] if seconds else []
        sampler = threading.Thread(target=sample)
        sampler.start()
        before = _cpu(server)
        values = {"TEXTS": str(texts), "LIMIT": str(limit), "RATE": str(rate)}
        ran = subprocess.run(
            command, env={**os.environ, **values}, capture_output=True, text=True, check=False
        )
        cpu = _cpu(server) - before
        is_over.set()
        sampler.join()
    return read_statistics(ran.stdout, cpu=cpu, memory=samples)


def read_statistics(output: str, *, cpu: float, memory: list[float]) -> LoadResult:
    """Parse what locust prints.

    Raises:
        OptionError: it printed no statistics.
    """
    try:
        entries: list[dict[str, Any]] = json.loads(output[output.index("[") :])
    except ValueError as error:
        raise OptionError("locust printed no statistics. Run it by itself to see why.") from error
    times: dict[bool, Counter[int]] = {True: Counter(), False: Counter()}
    for entry in entries:
        found = {int(float(key)): value for key, value in entry["response_times"].items()}
        times[entry["name"] == "429"] += Counter(found)
    start = min(entry["start_time"] for entry in entries)
    end = max(entry["last_request_timestamp"] for entry in entries)
    failures = sum(entry["num_failures"] for entry in entries)
    return LoadResult(end - start, times[False], times[True], failures, cpu, memory)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def load_rows(results: dict[int, LoadResult]) -> list[list[str]]:
    """Return the rows of the table of loads."""
    return [
        [
            str(users),
            f"{result.rate:,.0f}",
            f"{percentile(result.answered, 0.5):,} ms",
            f"{percentile(result.answered, 0.99):,} ms",
            f"{result.cpu_ms:.1f} ms",
            f"{result.failures:,}",
        ]
        for users, result in results.items()
    ]


def memory_row(memory: list[float], requests: int) -> list[str]:
    """Return memory at the start, after each fifth of the requests, and its rise after the first.

    Samples are taken at equal times, and so at about equal numbers of requests.
    """
    steps = [memory[min(len(memory) * fifth // 5, len(memory) - 1)] for fifth in range(6)]
    rise = steps[-1] - steps[1]
    return [f"{requests:,}", *(f"{step:,.0f} MiB" for step in steps), f"{rise:+,.0f} MiB"]


def prepare(folder: Path, model: Path | None) -> tuple[Path, Path]:
    """Return a model, trained on the sample corpus if none is given, and a file of texts."""
    pairs = sample_pairs(_ROWS, seed=42)
    texts = folder / "texts.json"
    texts.write_text(json.dumps([pair.source for pair in pairs]), encoding="utf-8")
    if model is None:
        model, table = folder / "model", folder / "pairs.csv"
        write_pairs(pairs, table, overwrite=False)
        command = [sys.executable, "-m", "annoseq", "train", str(table), "--out", str(model)]
        subprocess.run([*command, "--epochs", "6", "--device", "cpu"], check=True)
    return model, texts


def measure(model: Path, texts: Path, *, seconds: int, requests: int) -> list[str]:
    """Measure, and return the tables and what to say of them."""
    with serving(model) as (url, server):
        send = partial(send_load, url, server, texts)
        send(users=8, seconds=5)  # after which the server has met most tokens
        loads = {users: send(users=users, seconds=seconds) for users in _USERS}
        many = send(users=16, limit=requests)
    capacity = max(result.rate for result in loads.values())
    with serving(model, "--max-waiting", str(_SMALL_QUEUE)) as (url, server):
        send = partial(send_load, url, server, texts)
        send(users=8, seconds=5)
        rate = 2 * capacity / _MANY_USERS
        over = send(users=_MANY_USERS, seconds=2 * seconds, rate=rate)
    head = ["programs at once", "requests/s", "p50", "p99", "CPU of the server", "failures"]
    asked = over.answered.total() + over.refused.total()
    quiet = over.memory[len(over.memory) // 2 :]
    return [
        markdown_table(head, load_rows(loads)),
        f"Memory of the server (resident) over {many.answered.total():,} requests of one text from "
        f"16 programs, {many.rate:,.0f} a second, {many.failures:,} failures:",
        markdown_table(
            ["requests", "start", *(f"{fifth}/5" for fifth in range(1, 6)), "from 1/5 on"],
            [memory_row(many.memory, many.answered.total())],
        ),
        f"At twice the highest rate above ({2 * capacity:,.0f} a second from {_MANY_USERS} "
        f"programs, with `--max-waiting {_SMALL_QUEUE}`), {asked / over.seconds:,.0f} requests a "
        f"second arrived: {over.rate:,.0f} a second were answered (p50 "
        f"{percentile(over.answered, 0.5):,} ms, p99 {percentile(over.answered, 0.99):,} ms), "
        f"{over.refused.total() / over.seconds:,.0f} a second got 429 (p50 "
        f"{percentile(over.refused, 0.5):,} ms), {over.failures:,} failed. Memory: "
        f"{over.memory[0]:,.0f} MiB at the start, {quiet[0]:,.0f} MiB half-way, {quiet[-1]:,.0f} "
        "MiB at the end.",
    ]


def run(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """Measure, print the tables, and replace the report."""
    if find_spec("locust") is None:
        raise OptionError(
            "benchmarks.serve needs locust, which is not installed. Run: pip install locust"
        )
    facts = describe_machine(torch.device("cpu"))
    with tempfile.TemporaryDirectory() as folder:
        model, texts = prepare(Path(folder), options.model)
        tables = measure(model, texts, seconds=options.seconds, requests=options.requests)
    print("\n\n".join(tables))
    write_report(
        options.out,
        title="The HTTP service under load",
        about=_ABOUT,
        tables=tables,
        facts={
            "texts": f"{_ROWS:,} sentences of the sample corpus, one a request, in turn",
            "model": "a tagger of the sample corpus (`annoseq train`, 6 epochs, seed 42), CPU",
            **facts,
            **provenance("serve", arguments),
        },
    )


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    arguments = command_line(given)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve", description=__doc__)
    add = parser.add_argument
    add("--model", type=Path, help="a trained model, instead of training one")
    add("--seconds", type=int, default=15, help="of each load")
    add("--requests", type=int, default=100_000, help="over which memory is watched")
    add("--out", type=Path, default=REPORT, help="Markdown file that the results replace")
    options = parser.parse_args(arguments)
    return exit_status(partial(run, options, arguments))


if __name__ == "__main__":
    sys.exit(main())

"""Long runs whose results are saved, and joined to one report.

Each run saves its results in a folder. `--only NAME` makes one, `--join` makes the report alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from annoseq.atomic_io import atomic_file
from annoseq.devices import ComputeDevice
from annoseq.errors import OptionError
from benchmarks.budget import cache_folder, log
from benchmarks.measure import describe_machine

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Collection, Sequence

    from benchmarks.command import Benchmark, Results


class SavedOutcomes(NamedTuple):
    """Outcomes of runs by name, and the machine of the first."""

    outcomes: dict[str, Any]
    machine: dict[str, str]


def add_run_options(parser: argparse.ArgumentParser, *, cache: str, runs: Collection[str]) -> None:
    """Add the options that select runs, and the folder of their results."""
    default = cache_folder(cache)
    what = "folder of the models and their results"
    parser.add_argument("--results", type=Path, default=default, help=what)
    alone = parser.add_mutually_exclusive_group()
    alone.add_argument("--only", choices=runs, help="make this run, and write no report")
    alone.add_argument("--join", action="store_true", help="only make the report of the results")


def perform_runs(
    options: argparse.Namespace,
    runs: Collection[str],
    *,
    make: Callable[[str], None],
    join: Callable[[], Results],
) -> Results | None:
    """Perform the selected runs; join all results unless `--only` is given."""
    options.results.mkdir(parents=True, exist_ok=True)
    if not options.join:
        for name in [options.only] if options.only else runs:
            make(name)
    return None if options.only else join()


def run_and_join(
    benchmark: Benchmark,
    options: argparse.Namespace,
    arguments: Sequence[str],
    runs: Collection[str],
    *,
    perform: Callable[[str, argparse.Namespace], dict[str, Any]],
    join: Callable[[argparse.Namespace], Results],
    device: str = "cpu",
) -> int:
    """Perform the selected runs, and make the report of all; return the exit status."""
    if ComputeDevice.select(device).device.type != "cpu":
        options.core = None  # else all processes that share a GPU would share a core, too
    make = partial(perform_and_save, options=options, perform=perform, device=device)
    return benchmark.run(
        options,
        arguments,
        lambda: perform_runs(options, runs, make=make, join=lambda: join(options)),
    )


def run_side_by_side(
    options: argparse.Namespace,
    arguments: Sequence[str],
    stages: Sequence[Collection[str]],
    *,
    benchmark: str,
) -> None:
    """Start every run as a process, so many at a time, until the time is up; stage after stage."""
    began = time.monotonic()

    def start(name: str) -> None:
        left = began + 60 * options.minutes - time.monotonic()
        command = [sys.executable, "-m", f"benchmarks.{benchmark}", *arguments, "--only", name]
        if left < 1 or _file(options.results, name).exists():
            return
        with (options.results / f"{name}.log").open("w", encoding="utf-8") as stream:
            try:
                subprocess.run(command, stdout=stream, stderr=stream, timeout=left, check=False)
            except subprocess.TimeoutExpired:
                log(f"{name}: not complete in time")
        log(f"{name}: {time.monotonic() - began:.0f} s")

    for names in stages:
        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(start, names))


def perform_and_save(
    name: str,
    options: argparse.Namespace,
    perform: Callable[[str, argparse.Namespace], dict[str, Any]],
    *,
    device: str = "cpu",
) -> None:
    """Perform a run; save its outcome, and the description of the machine before it."""
    machine = describe_machine(ComputeDevice.select(device).device)
    outcome = perform(name, options)
    save_results(options.results, name, {"outcome": outcome, "machine": machine})
    log(f"{name}: {outcome}")


def load_outcomes(folder: Path, runs: Collection[str]) -> SavedOutcomes:
    """Return the outcomes of the runs that have one.

    Raises:
        OptionError: none has.
    """
    kept = load_results(folder, runs)
    if not kept:
        raise OptionError(f"{folder}: no run is complete. Leave --join off.")
    outcomes = {name: one["outcome"] for name, one in kept.items()}
    return SavedOutcomes(outcomes, next(iter(kept.values()))["machine"])


def save_results(folder: Path, name: str, figures: dict[str, Any]) -> None:
    """Save the results of a run."""
    with atomic_file(_file(folder, name), overwrite=True) as new:
        new.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def load_results(folder: Path, runs: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the saved results of runs by name, without runs that have none."""
    files = {name: _file(folder, name) for name in runs}
    return {
        name: json.loads(file.read_text(encoding="utf-8"))
        for name, file in files.items()
        if file.exists()
    }


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"

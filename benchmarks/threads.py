"""Training speed with one and two threads of a CPU, beside an idle and a busy core.

Every model is trained for one epoch on sample pairs, in a process of its own that may use two
cores. The busy neighbour is a process that computes without pause on one of them.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from annoseq.data.pairs import write_pairs
from annoseq.errors import OutputError
from annoseq.sample import sample_pairs
from benchmarks.command import exit_status, provenance
from benchmarks.measure import describe_machine, markdown_table, write_report

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REPORT = Path(__file__).with_suffix(".md")
MODELS = ("tagger", "gru", "attention", "transformer")
_SPEED = re.compile(r"([\d,]+) pairs/s")


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """Keep one core busy with a process of the same priority."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def pairs_per_second(table: Path, folder: Path, *, model: str, threads: int) -> int:
    """Train a model for one epoch; return the speed that the command prints.

    Raises:
        OutputError: the command failed or printed no speed.
    """
    words = [sys.executable, "-m", "annoseq", "train", str(table), "--model", model]
    words += ["--epochs", "1", "--device", "cpu", "--out", str(folder / f"{model}{threads}")]
    done = subprocess.run(
        [*words, "--overwrite"],
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        capture_output=True,
        text=True,
        check=False,
    )
    speed = _SPEED.search(done.stdout + done.stderr)
    if done.returncode or speed is None:
        raise OutputError(f"`annoseq train` failed with exit code {done.returncode}.")
    return int(speed[1].replace(",", ""))


def make_table(options: argparse.Namespace, folder: Path) -> str:
    """Measure all models and return the table."""
    table = folder / "pairs.csv"
    write_pairs(sample_pairs(options.rows, seed=options.seed), table, overwrite=False)
    rows = []
    for model in options.models:
        idle = [pairs_per_second(table, folder, model=model, threads=n) for n in (1, 2)]
        with busy_neighbour():
            busy = [pairs_per_second(table, folder, model=model, threads=n) for n in (1, 2)]
        ratios = [f"{two / max(one, 1):.2f}" for one, two in (idle, busy)]
        rows.append([f"`{model}`", *map(str, idle), ratios[0], *map(str, busy), ratios[1]])
        print(" | ".join(rows[-1]), file=sys.stderr)
    head = [
        *("model", "idle: one thread", "two threads", "ratio"),
        *("busy: one thread", "two threads", "ratio"),
    ]
    return markdown_table(head, rows)


ABOUT = """\
Pairs per second of training on sample pairs, one epoch each, with one and with two threads of torch
on two cores: on an idle machine, and beside a process that keeps one of the cores busy. The ratio
is that of two threads to one."""


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.threads",
        description="Measure training with one and two threads, beside an idle and a busy core.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--rows", type=int, default=1_500, help="number of sample pairs")
    add("--models", nargs="+", choices=MODELS, default=list(MODELS), help="models to train")
    add("--seed", type=int, default=42, help="seed of the pairs")
    add("--out", type=Path, default=REPORT, help="Markdown file that the results replace")
    options = parser.parse_args(arguments)
    if options.rows <= 0:
        parser.error("--rows: a number above 0 was expected")
    return options


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print the table, and replace the report."""
    arguments = list(sys.argv[1:] if given is None else given)
    options = parse_arguments(arguments)

    def work() -> None:
        machine = describe_machine(torch.device("cpu"))
        with tempfile.TemporaryDirectory() as folder:
            table = make_table(options, Path(folder))
        print(table)
        write_report(
            options.out,
            title="Threads of a CPU",
            about=ABOUT,
            tables=[table],
            facts={"pairs": f"{options.rows:,} of the sample corpus, seed {options.seed}"}
            | machine
            | provenance("threads", arguments),
        )

    return exit_status(work)


if __name__ == "__main__":
    sys.exit(main())

"""The memory of `annoseq annotate` on a small and a large table: it must be the same.

Tables of sample texts are annotated, each by a process of its own, with a small GRU trained for
one epoch: the claim is about memory, which neither the model's width nor its skill changes between
the two. A process reports its own peak when it is done (on Linux `VmHWM`, because what `getrusage`
says of a child can be its parent's).
"""

from __future__ import annotations

import argparse
import datetime
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from annoseq.data.pairs import write_pairs
from annoseq.devices import peak_resident_memory
from annoseq.errors import AnnoseqError, OutputError
from annoseq.sample import sample_pairs
from benchmarks.measure import describe_machine, markdown_table, write_report

if TYPE_CHECKING:
    from collections.abc import Sequence

REPORT = Path(__file__).with_suffix(".md")
TOLERANCE = 0.10
TRAINING_ROWS = 1_000
NETWORK = ("--gru.embedding", "16", "--gru.hidden", "16", "--gru.layers", "1")
_PROGRAM = """
from annoseq.cli import main
main()
from benchmarks.streaming import peak_memory
print(peak_memory())
"""


@dataclass(frozen=True, slots=True)
class Run:
    """Measurements of a process; `peak` is in bytes."""

    rows: int
    peak: int
    seconds: float

    def cells(self) -> list[str]:
        """Return the cells of the table."""
        return [
            f"{self.rows:,} rows",
            f"{self.peak / 2**20:,.1f} MiB",
            f"{self.seconds:,.0f} s",
            f"{self.rows / self.seconds:,.0f}",
        ]


def peak_memory() -> int:
    """Return the highest resident set of this process so far, in bytes."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return peak_resident_memory()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024


def annoseq(*arguments: object) -> int:
    """Run a command in a process of its own and return its peak memory.

    Raises:
        OutputError: the command failed; it has said why.
    """
    words = [sys.executable, "-c", _PROGRAM, *map(str, arguments)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise OutputError(f"`annoseq {arguments[0]}` failed with exit code {done.returncode}.")
    return int(done.stdout.splitlines()[-1])


def train(folder: Path, *, seed: int) -> Path:
    """Train a small model for one epoch."""
    table, model = folder / "pairs.csv", folder / "model"
    write_pairs(sample_pairs(TRAINING_ROWS, seed=seed), table, overwrite=False)
    annoseq("train", table, "--out", model, *NETWORK, "--epochs", 1, "--device", "cpu")
    return model


def measure(model: Path, folder: Path, *, rows: int, seed: int) -> Run:
    """Annotate so many rows."""
    table, out = folder / f"{rows}.csv", folder / f"{rows}.jsonl"
    write_pairs(sample_pairs(rows, seed=seed + 1), table, overwrite=False)
    start = time.perf_counter()
    peak = annoseq("annotate", model, table, "--out", out, "--device", "cpu")
    seconds = time.perf_counter() - start
    with out.open("rb") as lines:
        written = sum(1 for _ in lines)
    if written != rows:
        raise OutputError(f"{written:,} lines were written for {rows:,} rows.")
    return Run(rows, peak, seconds)


def results(runs: Sequence[Run]) -> str:
    """Return the table of results and a sentence about them."""
    ratio = runs[-1].peak / runs[0].peak
    verdict = "within" if abs(ratio - 1) <= TOLERANCE else "NOT within"
    table = markdown_table(
        ["table", "peak memory", "time", "rows/s"], [one.cells() for one in runs]
    )
    return f"{table}\n\nRatio of the peaks: {ratio:.3f}, {verdict} {TOLERANCE:.0%} of each other."


ABOUT = """\
`annoseq annotate` on a small and a large table of sample texts, written to JSONL, each in a
process of its own. The peak is that of the whole process: Python, torch, the model and one chunk of
1,000 texts. The time includes starting Python and torch."""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.streaming",
        description="Measure the memory of `annoseq annotate` on a small and a large table.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--rows", type=int, nargs=2, default=[10_000, 100_000], help="of the two tables")
    add("--seed", type=int, default=42, help="seed of the texts")
    add("--out", type=Path, default=REPORT, help="Markdown file that the results replace")
    options = parser.parse_args(arguments)
    if min(options.rows) <= 0:
        parser.error("--rows: numbers above 0 were expected")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark, print its table, and replace its report."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parse_arguments(given)
    try:
        with tempfile.TemporaryDirectory() as name:
            model = train(Path(name), seed=options.seed)
            runs = [
                measure(model, Path(name), rows=rows, seed=options.seed) for rows in options.rows
            ]
        table = results(runs)
        print(table)
        write_report(
            options.out,
            title="Annotating a stream in constant memory",
            about=ABOUT,
            tables=[table],
            facts={
                "data": f"`annoseq sample`'s texts; a model trained on {TRAINING_ROWS:,} others",
                "network": f"`{shlex.join(NETWORK)}`, one epoch",
                "seed": str(options.seed),
                **describe_machine(torch.device("cpu")),
                "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
                "command": f"`{shlex.join(['python', '-m', 'benchmarks.streaming', *given])}`",
            },
        )
    except AnnoseqError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0 if abs(runs[-1].peak / runs[0].peak - 1) <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())

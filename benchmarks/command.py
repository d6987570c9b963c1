"""Command-line options, reports and error handling shared by the benchmarks."""

from __future__ import annotations

import argparse
import datetime
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from annoseq.errors import AnnoseqError
from benchmarks.budget import cores, last_core, pinned_to_core
from benchmarks.measure import write_report
from benchmarks.meddocan import FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    Results = tuple[Sequence[str], Mapping[str, str]]
    """Tables in Markdown, and facts listed below them by name."""

_PATH_OPTIONS = ("--core", "--environment", "--out", "--results")
"""Options with a value that does not affect the results."""


def make_parser(name: str, description: str, *, report: Path) -> argparse.ArgumentParser:
    """Return a parser with the options of every benchmark."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--data", type=Path, default=FOLDER, help="folder of train.csv and dev.csv")
    add("--rows", type=int, help="use only this many first rows of each table")
    add("--core", type=int, default=last_core(), help="the one core, where a process can be pinned")
    add("--seed", type=int, default=42, help="of weights, dropout, and the choice of rows")
    add("--out", type=Path, default=report, help="Markdown file that the results replace")
    return parser


def read_options(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str],
    *,
    above_zero: Collection[str],
) -> argparse.Namespace:
    """Parse a command line and check its numbers."""
    options = parser.parse_args(arguments)
    for name in ("rows", *above_zero):
        value = getattr(options, name)
        if value is not None and value <= 0:
            parser.error(f"--{name.replace('_', '-')} {value}: a number above 0 was expected")
    if options.core is not None and options.core not in cores():
        parser.error(f"--core {options.core}: one of {sorted(cores())} was expected")
    return options


def provenance(name: str, arguments: Sequence[str]) -> dict[str, str]:
    """Return the date and the command that a report ends with.

    Paths and `--join` are left out of the command, so that it can be repeated elsewhere.
    """
    command = shlex.join(["python", "-m", f"benchmarks.{name}", *_without_paths(arguments)])
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return {"date": today, "command": f"`{command}`"}


def _without_paths(arguments: Sequence[str]) -> list[str]:
    kept: list[str] = []
    rest = iter(arguments)
    for word in rest:
        if word in _PATH_OPTIONS:
            next(rest, None)
        elif word != "--join" and not word.startswith(tuple(f"{name}=" for name in _PATH_OPTIONS)):
            kept.append(word)
    return kept


def exit_status(run: Callable[[], None], *, error: type[Exception] = AnnoseqError) -> int:
    """Call a function and return the exit status: 2 after an `AnnoseqError` or an `error`."""
    try:
        run()
    except (AnnoseqError, error) as found:
        print(f"error: {found}", file=sys.stderr)
        return 2
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """Module name, report title and introduction of a benchmark."""

    name: str
    title: str
    about: str

    def run(
        self,
        options: argparse.Namespace,
        arguments: Sequence[str],
        measure: Callable[[], Results | None],
    ) -> int:
        """Measure on one core, print the tables, replace the report; return the exit status."""

        def work() -> None:
            found = measure()
            if found is None:
                return
            tables, facts = found
            print("\n\n".join(tables))
            write_report(
                options.out,
                title=self.title,
                about=self.about,
                tables=tables,
                facts={**facts, **provenance(self.name, arguments)},
            )

        with pinned_to_core(options.core):
            return exit_status(work)


def command_line(given: Sequence[str] | None) -> list[str]:
    """Return the arguments passed to a main function, or those of the command line."""
    return list(sys.argv[1:] if given is None else given)

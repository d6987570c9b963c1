"""What the command lines of the benchmarks share: options, the report, errors."""

from __future__ import annotations

import argparse
import datetime
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from annoseq.errors import AnnoseqError
from benchmarks.budget import cores, last_core, one_core
from benchmarks.measure import write_report
from benchmarks.meddocan import FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    Results = tuple[Sequence[str], Mapping[str, str]]
    """Tables, and what the report says besides."""

_PLACES = ("--core", "--environment", "--out", "--results")
"""Options of which a result does not depend, each with a value."""


def make_parser(name: str, description: str, *, report: Path) -> argparse.ArgumentParser:
    """Return a parser with the options that all have."""
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
    """Read a command line, whose numbers must make sense."""
    options = parser.parse_args(arguments)
    for name in ("rows", *above_zero):
        value = getattr(options, name)
        if value is not None and value <= 0:
            parser.error(f"--{name.replace('_', '-')} {value}: a number above 0 was expected")
    if options.core is not None and options.core not in cores():
        parser.error(f"--core {options.core}: one of {sorted(cores())} was expected")
    return options


def made_by(name: str, arguments: Sequence[str]) -> dict[str, str]:
    """Return the date and the command, as a report ends with them.

    It is the command that a reader would give: where files lay, and that some runs were made
    before and only joined, is left out.
    """
    command = shlex.join(["python", "-m", f"benchmarks.{name}", *_for_readers(arguments)])
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return {"date": today, "command": f"`{command}`"}


def _for_readers(arguments: Sequence[str]) -> list[str]:
    kept: list[str] = []
    rest = iter(arguments)
    for word in rest:
        if word in _PLACES:
            next(rest, None)
        elif word != "--join" and not word.startswith(tuple(f"{name}=" for name in _PLACES)):
            kept.append(word)
    return kept


def guarded(run: Callable[[], None], *, error: type[Exception] = AnnoseqError) -> int:
    """Run, and turn an error of annoseq's, or of one more kind, into a line and exit status 2."""
    try:
        run()
    except (AnnoseqError, error) as found:
        print(f"error: {found}", file=sys.stderr)
        return 2
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """The name of a benchmark's module, and what its report begins with."""

    name: str
    title: str
    about: str

    def carry_out(
        self,
        options: argparse.Namespace,
        arguments: Sequence[str],
        measure: Callable[[], Results | None],
    ) -> int:
        """Measure on one core; print the tables and replace the report, if there are any."""

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
                facts={**facts, **made_by(self.name, arguments)},
            )

        with one_core(options.core):
            return guarded(work)


def arguments_of(given: Sequence[str] | None) -> list[str]:
    """Return what was given to a main function, or on the command line."""
    return list(sys.argv[1:] if given is None else given)

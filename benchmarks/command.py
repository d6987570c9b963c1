"""What the command lines of the benchmarks with a processor-time budget share."""

from __future__ import annotations

import argparse
import datetime
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from annoseq.errors import AnnoseqError
from benchmarks.budget import cores, last_core
from benchmarks.meddocan import FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence


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
    """Return the date and the command, as a report ends with them."""
    command = shlex.join(["python", "-m", f"benchmarks.{name}", *arguments])
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return {"date": today, "command": f"`{command}`"}


def guarded(run: Callable[[], None], *, error: type[Exception] = AnnoseqError) -> int:
    """Run, and turn an error of annoseq's, or of one more kind, into a line and exit status 2."""
    try:
        run()
    except (AnnoseqError, error) as found:
        print(f"error: {found}", file=sys.stderr)
        return 2
    return 0

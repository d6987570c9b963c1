"""Long runs whose results are saved, and joined to one report.

Each run saves its results in a folder. `--only NAME` makes one, `--join` makes the report alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annoseq.atomic_io import atomic_file
from benchmarks.budget import cache_folder

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Collection

    from benchmarks.command import Results


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

"""`annoseq compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from annoseq.cli.console import say
from annoseq.cli.options import Overwrite
from annoseq.evaluation.differences import compare_records, difference_lines
from annoseq.evaluation.record import read_record, write_record
from annoseq.files import rehearse

_SCORES = "Scores that `annoseq score` or `annoseq evaluate` wrote with --json."


def compare(
    a: Annotated[Path, Parameter(help=_SCORES)],
    b: Annotated[Path, Parameter(help="The same of another model, for the same rows.")],
    /,
    *,
    json_path: Annotated[
        Path | None, Parameter(name="--json", help="Differences to write as JSON.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Compare two models' scores of the same rows, and tell which differences chance explains."""
    if json_path:
        rehearse(json_path, overwrite=overwrite)
    differences = compare_records(read_record(a), read_record(b), names=(str(a), str(b)))
    for line in difference_lines(differences):
        say(line)
    if json_path:
        record = {"a": str(a), "b": str(b)}
        found = {name: one.to_dict() for name, one in differences.items()}
        write_record({**record, "scores": found}, json_path, overwrite=overwrite)

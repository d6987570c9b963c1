"""`annoseq sample`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from annoseq.cli.console import note
from annoseq.cli.options import Overwrite, at_least
from annoseq.pairs.pairs import write_pairs
from annoseq.pairs.sample import sample_pairs


def sample(
    out: Annotated[Path, Parameter(help="Table to write (.csv, .tsv, .jsonl, .parquet).")],
    /,
    *,
    rows: Annotated[int, Parameter(help="Rows to write.", validator=at_least(1))] = 4_000,
    seed: Annotated[int, Parameter(help="Seed: the same seed gives the same corpus.")] = 42,
    overwrite: Overwrite = False,
) -> None:
    """Write the sample corpus."""
    write_pairs(sample_pairs(rows, seed=seed), out, overwrite=overwrite)
    note(f"wrote {rows:,} pairs to {out}; next: annoseq check {out}")

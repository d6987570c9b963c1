"""Corpora of a few rows of the sample, in the place of the real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.data.pairs import Pair, Pairs, write_pairs
from annoseq.sample import sample_pairs

if TYPE_CHECKING:
    from pathlib import Path


def sample_documents(count: int) -> list[Pair]:
    """Return sample rows, each of which is a document of its own."""
    rows = enumerate(sample_pairs(count, seed=1))
    return [Pair(one.source, one.target, row=row, document=f"d{row}") for row, one in rows]


def write_corpora(folder: Path, *names: str) -> Path:
    """Write corpora whose 30 training and dev rows are the same; return the folder."""
    pairs = Pairs(sample_documents(30), name="sample")
    for name in names:
        (folder / name / "pairs").mkdir(parents=True)
        for part in ("train", "dev"):
            write_pairs(pairs, folder / name / "pairs" / f"{part}.csv", overwrite=False)
    return folder

"""Tables of pairs for the doctor's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from annoseq.data.pairs import Pair, Pairs

CORPORA = Path(__file__).parents[3] / "shared" / "data"

TAGGED = ("Dr. Ames came", "Dr. {{NAME}}Ames{{/NAME}} came")


def table(*texts: tuple[str, str]) -> Pairs:
    """Make a table, its rows counted from 1."""
    rows = enumerate(texts, start=1)
    return Pairs([Pair(source, target, row) for row, (source, target) in rows], name="pairs.csv")


def corpus(path: str) -> Path:
    """Return the path of a shared corpus, or skip the test."""
    if not (CORPORA / path).exists():
        pytest.skip(f"the corpora are not beside the repository, in {CORPORA}")
    return CORPORA / path

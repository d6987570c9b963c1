"""Seeded split into training and validation rows, by row or by document.

The split is the same on every machine and Python version: rows, or documents, are ranked by a hash
of the seed and their name, not drawn from a random number generator.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

from annoseq.errors import OptionError, PairsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    class TextPair(Protocol):
        """A source, its target, and the document that they are from: a pair or an example."""

        @property
        def source(self) -> str:
            """The original text."""

        @property
        def target(self) -> str:
            """The text to write."""

        @property
        def document(self) -> str | None:
            """The document of the row."""


SplitBy = Literal["auto", "row", "document"]
"""Unit of the split: row, document, or auto: document where the pairs have at least two."""


def split_rows(
    pairs: Sequence[TextPair], *, share: float, by: SplitBy, seed: int
) -> tuple[list[int], list[int]]:
    """Return the indices of the training and of the validation pairs, in order.

    `share` is the share of validation rows; neither part is ever empty. Split by document,
    no document is in both parts, a document is taken if that brings the share nearer, and a
    row without a document, or with an empty one, stands alone.

    Raises:
        OptionError: `share` is not between 0 and 1.
        PairsError: there are not two rows, or not two documents, to split.
    """
    if not 0 < share < 1:
        raise OptionError(
            f"the validation share is {share}. Give a number between 0 and 1, such as 0.1."
        )
    if len(pairs) < 2:
        raise PairsError(
            f"a split needs at least 2 rows, and the pairs have {len(pairs)}. "
            "Add rows, or give validation pairs with --valid."
        )
    groups = group_rows(pairs, by=by)
    chosen = _choose(groups, target=share * len(pairs), seed=seed)
    train = [row for row in range(len(pairs)) if row not in chosen]
    return train, sorted(chosen)


def group_rows(pairs: Sequence[TextPair], *, by: SplitBy) -> dict[str | int, list[int]]:
    """Return the indices of the rows that stay together, under the key that ranks them.

    Raises:
        PairsError: they are to be grouped by document, and there are not two.
    """
    if by != "row":
        documents: dict[str | int, list[int]] = {}
        for index, pair in enumerate(pairs):
            documents.setdefault(pair.document or index, []).append(index)
        named = sum(isinstance(key, str) for key in documents)
        if by == "document":
            _check_documents(named=named, groups=len(documents))
        if by == "document" or named >= 2:
            return documents
    return {index: [index] for index in range(len(pairs))}


def _check_documents(*, named: int, groups: int) -> None:
    if not named:
        raise PairsError(
            "the pairs have no documents to split by. "
            "Name the column that holds them with --document, or split by row (--split-by row)."
        )
    if groups < 2:
        raise PairsError(
            "all rows are of one document, so that a split by document leaves one part empty. "
            "Add documents, split by row (--split-by row), or give validation pairs with --valid."
        )


def _choose(groups: dict[str | int, list[int]], *, target: float, seed: int) -> set[int]:
    """Take, in the order of their hashes, the groups that bring the rows nearer to `target`."""
    ranked = [groups[key] for key in sorted(groups, key=lambda key: hash_rank(seed, key))]
    chosen: set[int] = set()
    for rows in ranked[:-1]:  # one is left to train on
        if abs(len(chosen) + len(rows) - target) < abs(len(chosen) - target):
            chosen.update(rows)
    smallest = min(ranked, key=len)
    return chosen or set(smallest)


def hash_rank(seed: int | str, key: str | int) -> bytes:
    """Return the sort key that brings rows or documents into a seeded random order."""
    return hashlib.sha256(f"{seed}:{key}".encode()).digest()

"""Rows that occur more than once, in a table and across the parts of a split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.doctor.findings import ACROSS, ALTERNATIVE, CONFLICT, DUPLICATE

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from annoseq.doctor.findings import Findings
    from annoseq.pairs.pair import Pair


class Repeats:
    """Remembers the first row of every source and of every pair, by reference to its text."""

    def __init__(self, *, is_annotation: bool) -> None:
        self._other = CONFLICT if is_annotation else ALTERNATIVE
        self._sources: dict[str, int] = {}
        self._pairs: dict[tuple[str, Hashable], int] = {}

    def check(self, pair: Pair, meaning: Hashable, findings: Findings) -> None:
        """Add the row if its source was seen; `meaning` is the target, or what it stands for."""
        key = (pair.source, meaning)
        if key in self._pairs:
            findings.add(DUPLICATE, pair.row, f"the same as row {self._pairs[key]}")
            return
        self._pairs[key] = pair.row
        first = self._sources.setdefault(pair.source, pair.row)
        if first != pair.row:
            findings.add(self._other, pair.row, f"the same source as row {first}")


def check_across(train: Iterable[Pair], valid: Iterable[Pair], findings: Findings) -> None:
    """Add the rows of `valid` whose source is in `train`."""
    rows: dict[str, int] = {}
    for pair in train:
        rows.setdefault(pair.source, pair.row)
    for pair in valid:
        if pair.source in rows:
            findings.add(ACROSS, pair.row, f"the same source as training row {rows[pair.source]}")

"""How far a score would move with other documents of the same kind: the Poisson bootstrap.

Each document counts in each of R replicates as often as a Poisson variable of mean 1 says, so that
one pass and R sums are enough, whatever the number of documents (Chamandy, Muralidharan, Najmi and
Naidu 2012, "Estimating Uncertainty for Massive Data Streams"). The draws depend on the seed and a
document's place alone. Two models scored on the same documents thus have the same replicates, and
the difference of their scores can be tested in pairs (Koehn 2004) from what is written down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from annoseq.evaluation.counts import Counts, CountTotals, add_counts

if TYPE_CHECKING:
    from collections.abc import Callable

    from annoseq.evaluation.counts import Array

REPLICATES, SEED = 1000, 12345
_CHUNK = 256
"""Documents whose counts are added at once."""
_FEWEST = 5
"""Documents below which there is no interval: too many replicates would be empty."""


class ConfidenceInterval(NamedTuple):
    """Where 95 % of the replicates lie."""

    low: float
    high: float


class PoissonBootstrap:
    """The sums of all documents, and of R replicates of them.

    `keeps` tells which counts are resampled; the others are only added.
    """

    def __init__(
        self,
        *,
        replicates: int = REPLICATES,
        seed: int = SEED,
        keeps: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self.documents = 0
        self.totals = Counts()
        self._random = np.random.default_rng(seed)
        self._replicates = replicates
        self._keeps = keeps
        self._columns: dict[str, int | None] = {}
        self._sums = np.zeros((replicates, 0))
        self._waiting: list[Counts] = []

    def add(self, counts: Counts) -> None:
        """Add the counts of a document."""
        self.documents += 1
        add_counts(self.totals, counts)
        self._waiting.append(counts)
        if len(self._waiting) == _CHUNK:
            self._flush()

    def replicates(self) -> CountTotals:
        """Return the sums of the replicates, each (R,)."""
        self._flush()
        columns = {name: i for name, i in self._columns.items() if i is not None}
        return CountTotals({name: self._sums[:, column] for name, column in columns.items()})

    def _flush(self) -> None:
        if not self._waiting:
            return
        cells = [
            (row, column, value)
            for row, counts in enumerate(self._waiting)
            for name, value in counts.items()
            if (column := self._column(name)) is not None
        ]
        width = sum(column is not None for column in self._columns.values())
        chunk = np.zeros((len(self._waiting), width))
        for row, column, value in cells:
            chunk[row, column] = value
        weights = self._random.poisson(1.0, (len(self._waiting), self._replicates))
        grown = np.zeros((self._replicates, width))
        grown[:, : self._sums.shape[1]] = self._sums
        self._sums = grown + weights.T.astype(np.float64) @ chunk
        self._waiting.clear()

    def _column(self, name: str) -> int | None:
        if name not in self._columns:
            taken = sum(column is not None for column in self._columns.values())
            self._columns[name] = taken if self._keeps(name) else None
        return self._columns[name]


def percentile_interval(values: Array, *, documents: int) -> ConfidenceInterval | None:
    """Return the 2.5th and the 97.5th percentile of a score's replicates (R,).

    There is none where there are too few documents.
    """
    if documents < _FEWEST:
        return None
    low, high = np.percentile(values, [2.5, 97.5])
    return ConfidenceInterval(float(low), float(high))


def paired_p_value(ours: Array, theirs: Array) -> float:
    """Return the two-sided p-value that two scores differ, from paired replicates (R,) of each.

    It is twice the share of replicates in which the lower score is not the lower one, counted with
    one more, so that it is never 0.
    """
    differences = ours - theirs
    below = (1 + int((differences <= 0).sum())) / (1 + len(differences))
    above = (1 + int((differences >= 0).sum())) / (1 + len(differences))
    return min(1.0, 2 * min(below, above))

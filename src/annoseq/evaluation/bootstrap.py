"""Confidence intervals and paired tests of scores by the Poisson bootstrap over documents.

Each document counts in each of R replicates as often as a Poisson variable of mean 1 says, so that
one pass and R sums are enough, whatever the number of documents (Chamandy, Muralidharan, Najmi and
Naidu 2012, "Estimating Uncertainty for Massive Data Streams"). The draws depend on the seed, on a
document's index and on numpy's generator. Two models scored on the same documents thus have the
same replicates, and the difference of their scores can be tested in pairs (Koehn 2004) from files.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from annoseq.evaluation.counts import Counts, CountTotals, add_counts

if TYPE_CHECKING:
    from collections.abc import Callable

    from annoseq.evaluation.counts import Array, CountKey

REPLICATES, SEED = 1000, 12345
_CHUNK_DOCUMENTS = 256
"""Documents whose counts are added at once."""
_MIN_DOCUMENTS = 5
"""Documents below which there is no interval: too many replicates would be empty."""
_FINGERPRINT_DOCUMENTS = 16


class ConfidenceInterval(NamedTuple):
    """Bounds of the central 95 % of the replicates."""

    low: float
    high: float


class PoissonBootstrap:
    """Totals over all documents, and in R replicates of them.

    `is_resampled` selects the counts that the replicates have; the others are only added up.
    """

    def __init__(
        self,
        *,
        replicates: int = REPLICATES,
        seed: int = SEED,
        is_resampled: Callable[[CountKey], bool] = lambda _: True,
    ) -> None:
        self.documents = 0
        self.totals = Counts()
        self._generator = np.random.default_rng(seed)
        self._size = replicates
        self._is_resampled = is_resampled
        self._columns: dict[CountKey, int | None] = {}
        self._sums = np.zeros((replicates, 0))
        self._pending: list[Counts] = []

    def add(self, counts: Counts) -> None:
        """Add the counts of a document."""
        self.documents += 1
        add_counts(self.totals, counts)
        self._pending.append(counts)
        if len(self._pending) == _CHUNK_DOCUMENTS:
            self._flush()

    def replicates(self) -> CountTotals:
        """Return the totals of the replicates, each (R,)."""
        self._flush()
        columns = {key: column for key, column in self._columns.items() if column is not None}
        return CountTotals({key: self._sums[:, column] for key, column in columns.items()})

    def _flush(self) -> None:
        if not self._pending:
            return
        cells = [
            (row, column, value)
            for row, counts in enumerate(self._pending)
            for key, value in counts.items()
            if (column := self._column(key)) is not None
        ]
        width = sum(column is not None for column in self._columns.values())
        chunk = np.zeros((len(self._pending), width))
        for row, column, value in cells:
            chunk[row, column] = value
        weights = _draw_weights(self._generator, len(self._pending), self._size)
        sums = np.zeros((self._size, width))
        sums[:, : self._sums.shape[1]] = self._sums
        self._sums = sums + weights.T.astype(np.float64) @ chunk
        self._pending.clear()

    def _column(self, key: CountKey) -> int | None:
        if key not in self._columns:
            used = sum(column is not None for column in self._columns.values())
            self._columns[key] = used if self._is_resampled(key) else None
        return self._columns[key]


def draws_fingerprint(*, replicates: int, seed: int) -> str:
    """Return a checksum of the first draws of a bootstrap.

    numpy may change the stream of a generator between versions; replicates of scores can be
    compared in pairs only if their draws are the same.
    """
    weights = _draw_weights(np.random.default_rng(seed), _FINGERPRINT_DOCUMENTS, replicates)
    return sha256(weights.astype("<i8").tobytes()).hexdigest()[:16]


def percentile_interval(values: Array, *, documents: int) -> ConfidenceInterval | None:
    """Return the 2.5th and the 97.5th percentile of a score's replicates (R,).

    With too few documents there is none.
    """
    if documents < _MIN_DOCUMENTS:
        return None
    low, high = np.percentile(values, [2.5, 97.5])
    return ConfidenceInterval(float(low), float(high))


def paired_p_value(ours: Array, theirs: Array) -> float:
    """Return the two-sided p-value that two scores differ, from paired replicates (R,) of each.

    It is twice the share of replicates in which the lower score is not the lower one, with one
    added to both counts, so that it is never 0.
    """
    differences = ours - theirs
    below = (1 + int((differences <= 0).sum())) / (1 + len(differences))
    above = (1 + int((differences >= 0).sum())) / (1 + len(differences))
    return min(1.0, 2 * min(below, above))


def _draw_weights(
    generator: np.random.Generator, documents: int, replicates: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return generator.poisson(1.0, (documents, replicates))

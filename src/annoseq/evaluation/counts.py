"""Additive counts of a score, and the compared spans of a text.

The counts of documents can be added, so that a table of any size is scored in bounded memory, and
resampled, so that a score has an interval. A name is `scheme.count`, or `scheme.count@LABEL`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from annoseq.data.markup import Span


Counts: TypeAlias = Counter[str]
Array: TypeAlias = NDArray[np.float64]


def add_counts(counts: Counts, more: Mapping[str, int]) -> None:
    """Add counts to others; `Counter.update` takes three times as long."""
    for name, count in more.items():
        counts[name] = counts.get(name, 0) + count


class CountTotals:
    """Summed statistics by name, each a number or one number for each of R replicates (R,).

    What was never counted is 0.
    """

    def __init__(self, values: Mapping[str, float | Array]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> Array:
        return np.asarray(self._values.get(name, 0.0), dtype=np.float64)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    @property
    def labels(self) -> list[str]:
        """The labels that were counted."""
        marked = (name.partition("@") for name in self._values)
        return sorted({label for _, at, label in marked if at})


def ratio(part: Array, whole: Array) -> Array:
    """Divide, with 0 where there is nothing to divide by."""
    shape = np.broadcast_shapes(part.shape, whole.shape)
    return np.divide(part, whole, out=np.zeros(shape), where=whole > 0)


def precision_recall_f1(correct: Array, predicted: Array, gold: Array) -> dict[str, Array]:
    """Return precision, recall and their harmonic mean."""
    return {
        "precision": ratio(correct, predicted),
        "recall": ratio(correct, gold),
        "f1": ratio(2 * correct, predicted + gold),
    }


@dataclass(frozen=True, slots=True)
class SpanComparison:
    """A row to be scored.

    `id` names it. `target` and `output` are the annotated texts where there are any; `is_unseen`
    says that the text was not trained on, None where that is not known. `document` and `start` are
    those of the row's pair.
    """

    id: str
    text: str
    gold: tuple[Span, ...]
    predicted: tuple[Span, ...]
    target: str | None = None
    output: str | None = None
    document: str | None = None
    start: int | None = None
    is_unseen: bool | None = None


def group_by_document(rows: Iterable[SpanComparison]) -> Iterator[list[SpanComparison]]:
    """Group the rows that follow one another in a document; without documents, each is its own."""
    numbered = enumerate(rows)
    for _, group in groupby(
        numbered, key=lambda one: one[0] if one[1].document is None else one[1].document
    ):
        yield [row for _, row in group]

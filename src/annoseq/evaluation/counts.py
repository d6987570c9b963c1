"""Additive counts of a score, and the compared spans of a text.

The counts of documents can be added, so that a table of any size is scored in bounded memory, and
resampled, so that a score has an interval.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from annoseq.errors import PairsError
from annoseq.evaluation.span_matching import unique_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from annoseq.data.markup import Span


class LabelCount(NamedTuple):
    """Key of a count of one label."""

    name: str
    label: str


class ConfusionCount(NamedTuple):
    """Key of a cell of the confusion matrix; an empty label stands for no span."""

    gold: str
    predicted: str


CountKey: TypeAlias = str | LabelCount | ConfusionCount
"""Key of a count: a name such as `strict.correct`, of all labels or of one, or a pair of labels."""
Counts: TypeAlias = Counter[CountKey]
Array: TypeAlias = NDArray[np.float64]


@lru_cache(maxsize=4096)  # the same few keys are counted in every row
def count_key(name: str, label: str | None) -> CountKey:
    """Return the key of a count of one label, or with None of all labels."""
    return name if label is None else LabelCount(name, label)


@lru_cache(maxsize=4096)
def confusion_key(gold: str, predicted: str) -> ConfusionCount:
    """Return the key of a cell of the confusion matrix."""
    return ConfusionCount(gold, predicted)


def add_counts(counts: Counts, more: Mapping[CountKey, int] | Mapping[str, int]) -> None:
    """Add counts in place; `Counter.update` takes three times as long."""
    for key, count in more.items():
        counts[key] = counts.get(key, 0) + count


class CountTotals:
    """Sums of counts by key, each a number, or one number for each of R replicates (R,).

    A key that was never counted has the sum 0.
    """

    def __init__(self, values: Mapping[CountKey, float | Array]) -> None:
        self._values = values

    def __getitem__(self, key: CountKey) -> Array:
        return np.asarray(self._values.get(key, 0.0), dtype=np.float64)

    def __contains__(self, key: CountKey) -> bool:
        return key in self._values

    @property
    def labels(self) -> list[str]:
        """Labels that were counted, sorted."""
        return sorted({key.label for key in self._values if isinstance(key, LabelCount)})


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
    those of the row's pair. A span that is given twice with the same label is kept once; `repeated`
    are the numbers of gold and of predicted spans left out for that.
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
    repeated: tuple[int, int] = field(default=(0, 0), init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        gold, predicted = unique_spans(self.gold), unique_spans(self.predicted)
        repeated = (len(self.gold) - len(gold), len(self.predicted) - len(predicted))
        if any(repeated):
            object.__setattr__(self, "gold", gold)
            object.__setattr__(self, "predicted", predicted)
            object.__setattr__(self, "repeated", repeated)


class RowInDocument(Protocol):
    """A row of a document: its id, and the row's offset in it, where they are known."""

    @property
    def document(self) -> str | None:
        """Id of the document; a row without one, or with an empty one, stands alone."""

    @property
    def start(self) -> int | None:
        """Offset of the row in its document."""


def document_order(rows: Sequence[RowInDocument]) -> list[int]:
    """Return the indices of rows, those of a document together, documents by their first rows.

    The rows of a document are ordered by their offsets if all have one, so that their counts do not
    depend on the order of the table.
    """
    documents: dict[str | int, list[int]] = {}
    for index, row in enumerate(rows):
        documents.setdefault(row.document or index, []).append(index)
    return [index for document in documents.values() for index in _by_offset(document, rows)]


def _by_offset(indices: Sequence[int], rows: Sequence[RowInDocument]) -> Sequence[int]:
    offsets = {index: start for index in indices if (start := rows[index].start) is not None}
    return sorted(indices, key=offsets.__getitem__) if len(offsets) == len(indices) else indices


def group_by_document(
    rows: Iterable[SpanComparison], *, name: str = "the rows"
) -> Iterator[list[SpanComparison]]:
    """Group the rows of a document, which follow each other; a row without one is a group.

    `name` is that of the table that the rows are of, for the message. Rows in memory are brought
    into their `document_order` first.

    Raises:
        PairsError: a document returns after another.
    """
    seen: set[str] = set()
    numbered = enumerate(rows, 1)
    for key, group in groupby(numbered, key=lambda item: item[1].document or item[0]):
        members = list(group)
        if isinstance(key, str):
            if key in seen:
                raise PairsError(
                    f"{name}: row {members[0][0]:,}: its document was there before, with others in "
                    "between. Sort the table, and the predictions with it, so that a document's "
                    "rows follow each other; they are scored together."
                )
            seen.add(key)
        yield [row for _, row in members]

"""Streaming counter of coverage scores: identifiers, documents, patients and tokens by score."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from annoseq.evaluation.calibration import SCORE_MARGIN
from annoseq.evaluation.counts import document_order
from annoseq.evaluation.coverage import CoverageCounts, ScoreHistogram
from annoseq.evaluation.deid_metrics import TOKEN, is_identifying
from annoseq.evaluation.recall_thresholds import score_bin, threshold_bin
from annoseq.evaluation.span_matching import unique_spans

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from annoseq.data.examples import Example
    from annoseq.data.markup import Span

COVERAGE_FLOOR = SCORE_MARGIN
"""Least coverage score of a token that is counted: thresholds are no finer."""
_CLUSTERING_SCORE = 0.01
"""Score of the threshold whose design effect stands for all where a file knows one alone."""


class MissedIdentifier(BaseModel):
    """Place of an identifier that is not covered: the row of its table, and offsets in its text."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    row: int
    label: str
    start: int
    end: int


class CoverageCounter:
    """Streaming counter of coverage scores; rows of a document are consecutive."""

    def __init__(self, *, floor: float) -> None:
        self._floor = floor
        self._identifiers: dict[str, Counter[int | None]] = {}
        self._documents = Counter[int | None]()
        self._characters = Counter[int | None]()
        self._tokens = Counter[int | None]()
        self._other_tokens = Counter[int | None]()
        self._clusters = ClusterSums()
        self._document: str | None = None
        self._lowest: list[float | None] = []  # scores of the identifiers of the document
        self._lowest_of_patient: dict[str, float | None] = {}

    def add(
        self,
        text: str,
        gold: Sequence[Span],
        parts: Sequence[Span],
        *,
        document: str | None,
        patient: str | None = None,
    ) -> None:
        """Count a row: gold spans, and scored parts of the text in its order without overlap.

        The rows of a `patient` may be anywhere.
        """
        if not document or document != self._document:
            self._close_document()
        self._document = document
        scores = PartScores(parts)
        for span in unique_spans(gold):
            score = scores.lowest(text, span.start, span.end)
            self._identifiers.setdefault(span.label, Counter())[_bin(score)] += 1
            self._lowest.append(score)
            if patient is not None:
                lowest = self._lowest_of_patient.get(patient, 1.0)
                self._lowest_of_patient[patient] = _lower(lowest, score)
        self._count_text(text, gold, scores)

    def counts(self) -> CoverageCounts:
        """Return the histograms of all rows."""
        self._close_document()
        clusterings = tuple(self._clusters.design_effects())
        least = score_bin(_CLUSTERING_SCORE)
        return CoverageCounts(
            floor=self._floor,
            clustering=next((effect for bin_, effect in clusterings if bin_ >= least), 1.0),
            clusterings=clusterings,
            identifiers={
                label: _histogram(counter) for label, counter in sorted(self._identifiers.items())
            },
            documents=_histogram(self._documents),
            characters=_histogram(self._characters),
            tokens=_histogram(self._tokens),
            other_tokens=_histogram(self._other_tokens),
            patients=_histogram(Counter(map(_bin, self._lowest_of_patient.values()))),
        )

    def _close_document(self) -> None:
        if scores := self._lowest:
            known = [score for score in scores if score is not None]
            self._documents[_bin(min(known) if len(known) == len(scores) else None)] += 1
            self._clusters.add(list(map(score_bin, known)), unscored=len(scores) - len(known))
        self._lowest = []

    def _count_text(self, text: str, gold: Sequence[Span], scores: PartScores) -> None:
        """Count the characters of identifiers, and all tokens of a text."""
        is_gold = bytearray(len(text))
        for span in gold:
            is_gold[span.start : span.end] = b"\1" * (span.end - span.start)
        for token in TOKEN.finditer(text):
            start, end = token.span()
            in_gold = sum(is_gold[start:end])
            counter = self._tokens if in_gold else self._other_tokens
            counter[_bin(scores.highest(start, end))] += 1
            if in_gold:
                for place in range(start, end):
                    if is_gold[place] and is_identifying(text[place]):
                        self._characters[_bin(scores.highest(place, place + 1))] += 1


class ClusterSums:
    """Sums over documents that give the design effect of the coverage at every threshold.

    A document of n identifiers misses m of them at a threshold. The sums of m, m² and m n change
    where a threshold passes the score of an identifier.
    """

    def __init__(self) -> None:
        self._documents = self._identifiers = self._squared_sizes = 0
        self._start = np.zeros(3)  # sums of m, m², m n of what is missed at any threshold
        self._steps: dict[int, NDArray[np.float64]] = {}

    def add(self, bins: Sequence[int], *, unscored: int) -> None:
        """Add a document: the bins of its identifiers, and the number of those without a score."""
        size = len(bins) + unscored
        self._documents += 1
        self._identifiers += size
        self._squared_sizes += size**2
        self._start += (unscored, unscored**2, unscored * size)
        for missed, bin_ in enumerate(sorted(bins), unscored):
            step = self._steps.setdefault(bin_, np.zeros(3))
            step += (1, 2 * missed + 1, size)

    def design_effects(self) -> Iterator[tuple[int, float]]:
        """Return the design effect at the threshold of each bin, lowest bin first; at least 1."""
        count, sums = self._identifiers, self._start.copy()
        correction = self._documents / max(self._documents - 1, 1)
        for bin_ in sorted(self._steps):
            missed, squares, products = sums.tolist()
            share = missed / count
            variance = squares - 2 * share * products + share**2 * self._squared_sizes
            independent = missed * (1 - share)
            effect = correction * variance / independent if independent else 1.0
            yield bin_, round(max(1.0, effect), 4)
            sums += self._steps[bin_]


def count_coverage(examples: Sequence[Example], parts: Sequence[Sequence[Span]]) -> CoverageCounts:
    """Count the coverage of examples in any order, whose texts have these scored parts."""
    counter = CoverageCounter(floor=COVERAGE_FLOOR)
    for row in document_order(examples):
        example = examples[row]
        counter.add(
            example.source,
            example.tight_spans,
            parts[row],
            document=example.document,
            patient=example.patient,
        )
    return counter.counts()


def find_missed(
    row: int, text: str, gold: Sequence[Span], parts: Sequence[Span], *, threshold: float
) -> Iterator[MissedIdentifier]:
    """Yield the gold spans of a row that a threshold on its scored parts does not cover."""
    scores, least = PartScores(parts), threshold_bin(threshold)
    for span in unique_spans(gold):
        score = scores.lowest(text, span.start, span.end)
        if score is None or score_bin(score) < least:
            yield MissedIdentifier(row=row, label=span.label, start=span.start, end=span.end)


class PartScores:
    """Scores of the parts of a text, which are in order and do not overlap."""

    def __init__(self, parts: Sequence[Span]) -> None:
        self._parts = parts
        self._starts = [part.start for part in parts]

    def _overlapping(self, start: int, end: int) -> Iterator[Span]:
        first = max(bisect_right(self._starts, start) - 1, 0)
        for index in range(first, bisect_left(self._starts, end)):
            if self._parts[index].end > start:
                yield self._parts[index]

    def highest(self, start: int, end: int) -> float | None:
        """Return the highest score of the parts in a range, or None if there is none."""
        return max((part.score or 0.0 for part in self._overlapping(start, end)), default=None)

    def lowest(self, text: str, start: int, end: int) -> float | None:
        """Return the lowest score of the identifying characters in a range.

        It is None if one of them is in no part.
        """
        lowest, reach = 1.0, start
        for part in self._overlapping(start, end):
            if is_identifying(text[reach : part.start]):
                return None
            if is_identifying(text[max(part.start, start) : min(part.end, end)]):
                lowest = min(lowest, part.score or 0.0)
            reach = part.end
        return None if is_identifying(text[reach:end]) else lowest


def _lower(score: float | None, other: float | None) -> float | None:
    """Return the lower of two scores; None, of what has no score, is the lowest."""
    return None if score is None or other is None else min(score, other)


def _bin(score: float | None) -> int | None:
    return None if score is None else score_bin(score)


def _histogram(counter: Counter[int | None]) -> ScoreHistogram:
    bins = [(bin_, count) for bin_, count in counter.items() if bin_ is not None]
    return ScoreHistogram(bins=tuple(sorted(bins, reverse=True)), unscored=counter[None])

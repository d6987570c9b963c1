"""Coverage of identifiers at every threshold on the coverage scores of tokens.

An identifier is covered if all its characters are marked, whatever the spans and labels; white
space does not count. Its score is the lowest of its parts' scores, and a document's the lowest of
its identifiers' scores. A threshold marks the parts with at least its score, so that histograms of
these scores tell the coverage, the documents without a miss and the other text marked at any
threshold.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from annoseq.evaluation.deid_metrics import TOKEN
from annoseq.evaluation.recall_thresholds import (
    design_effect,
    lowest_score,
    score_bin,
    standard_error,
    threshold_bin,
)
from annoseq.evaluation.span_matching import unique_spans

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from annoseq.data.markup import Span

_CLUSTERING_SCORE = 0.01
"""Identifiers covered at this score count in the design effect of documents."""
_MARGIN, _CONFIDENCE = 1.2816, 90
"""Standard errors above the target coverage that a threshold aims at, and the confidence in %."""
_LEAST_CHANGE = 0.0005
"""Points of a curve differ by at least this share of covered identifiers or of other tokens."""


class ScoreHistogram(BaseModel):
    """Numbers of items by bin of `score_bin`, highest first, and of those without a score."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bins: tuple[tuple[int, int], ...] = ()
    unscored: int = 0

    @property
    def scored(self) -> int:
        """Number of items with a score."""
        return sum(count for _, count in self.bins)

    @property
    def total(self) -> int:
        """Number of items."""
        return self.scored + self.unscored

    def count_from(self, bin_: int) -> int:
        """Return the number of items with a score in this bin or a higher one."""
        return sum(count for item, count in self.bins if item >= bin_)

    def bin_of(self, count: int) -> int | None:
        """Return the highest bin from which on there are at least `count` items, or None."""
        found = 0
        for bin_, items in self.bins:
            found += items
            if found >= count:
                return bin_
        return None


class CoveragePoint(BaseModel):
    """Counts of covered identifiers and of other text that a threshold marks.

    `clean_documents` are those without a missed identifier; tokens are runs of letters and digits,
    and single other characters. `other_tokens` are in no identifier.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float
    identifiers: int
    covered: int
    characters: int
    covered_characters: int
    documents: int
    clean_documents: int
    marked_tokens: int
    other_tokens: int
    marked_other_tokens: int

    @property
    def coverage(self) -> float:
        """Share of identifiers that are covered."""
        return self.covered / self.identifiers if self.identifiers else 0.0

    @property
    def character_coverage(self) -> float:
        """Share of the characters of identifiers that are marked."""
        return self.covered_characters / self.characters if self.characters else 0.0

    @property
    def clean_share(self) -> float:
        """Share of documents with identifiers that have no missed one."""
        return self.clean_documents / self.documents if self.documents else 0.0

    @property
    def other_share(self) -> float:
        """Share of the tokens outside of identifiers that are marked."""
        return self.marked_other_tokens / self.other_tokens if self.other_tokens else 0.0

    @property
    def precision(self) -> float:
        """Share of marked tokens that are in an identifier."""
        marked = self.marked_tokens + self.marked_other_tokens
        return self.marked_tokens / marked if marked else 0.0


@dataclass(frozen=True, slots=True)
class CoverageTarget:
    """Threshold for a target coverage, and its counts on the rows that it was chosen on.

    `confidence` is the percentage of samples of documents like these that reach the target; at 0
    the coverage is at best the expected one. If `is_out_of_reach`, too many identifiers have a part
    that is never marked.
    """

    target_coverage: float
    expected: CoveragePoint
    confidence: int
    is_out_of_reach: bool

    @property
    def threshold(self) -> float:
        """Coverage score from which on a token is marked."""
        return self.expected.threshold


class CoverageCounts(BaseModel):
    """Histograms of coverage scores on rows with gold spans.

    `identifiers` by label, `documents` with identifiers, `characters` and `tokens` of identifiers,
    and `other_tokens`, which are in none. `floor` is the lowest score of a part; `clustering` is
    the design effect of the coverage of documents.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    floor: float
    clustering: float
    identifiers: dict[str, ScoreHistogram]
    documents: ScoreHistogram
    characters: ScoreHistogram
    tokens: ScoreHistogram
    other_tokens: ScoreHistogram

    def choose_threshold(self, target_coverage: float) -> CoverageTarget:
        """Choose the highest threshold that covers the target share of the identifiers.

        It aims higher by 1.28 standard errors of the coverage measured here, or covers all that can
        be covered where that is less.
        """
        identifiers = self.all_identifiers()
        gold, reachable = identifiers.total, identifiers.scored
        error = standard_error(target_coverage, count=gold, clustering=self.clustering)
        needed = math.ceil((target_coverage + _MARGIN * error) * gold)
        bin_ = identifiers.bin_of(min(needed, reachable)) if gold else None
        return CoverageTarget(
            target_coverage=target_coverage,
            expected=self.point(1.0 if bin_ is None else lowest_score(bin_)),
            confidence=_CONFIDENCE if gold and needed <= reachable else 0,
            is_out_of_reach=math.ceil(target_coverage * gold) > reachable,
        )

    def point(self, threshold: float) -> CoveragePoint:
        """Return the counts at a threshold."""
        bin_ = threshold_bin(threshold)
        identifiers = self.all_identifiers()
        return CoveragePoint(
            threshold=threshold,
            identifiers=identifiers.total,
            covered=identifiers.count_from(bin_),
            characters=self.characters.total,
            covered_characters=self.characters.count_from(bin_),
            documents=self.documents.total,
            clean_documents=self.documents.count_from(bin_),
            marked_tokens=self.tokens.count_from(bin_),
            other_tokens=self.other_tokens.total,
            marked_other_tokens=self.other_tokens.count_from(bin_),
        )

    def coverage_by_label(self, threshold: float) -> dict[str, tuple[int, int]]:
        """Return the number of identifiers of each label, and of those covered at a threshold."""
        bin_ = threshold_bin(threshold)
        return {
            label: (histogram.total, histogram.count_from(bin_))
            for label, histogram in self.identifiers.items()
        }

    def curve(self) -> list[CoveragePoint]:
        """Return the points of all thresholds that differ visibly, highest threshold first."""
        bins = {bin_ for histogram in self._histograms() for bin_, _ in histogram.bins}
        points: list[CoveragePoint] = []
        for bin_ in sorted(bins, reverse=True):
            point = self.point(lowest_score(bin_))
            if not points or _differ(points[-1], point):
                points.append(point)
        return points

    def all_identifiers(self) -> ScoreHistogram:
        """Return the histogram of the identifiers of all labels."""
        bins = Counter[int]()
        for histogram in self.identifiers.values():
            bins.update(dict(histogram.bins))
        unscored = sum(histogram.unscored for histogram in self.identifiers.values())
        return ScoreHistogram(bins=tuple(sorted(bins.items(), reverse=True)), unscored=unscored)

    def _histograms(self) -> Iterator[ScoreHistogram]:
        yield from (*self.identifiers.values(), self.other_tokens)


class CoverageCounter:
    """Streaming counter of coverage scores; rows of a document are consecutive."""

    def __init__(self, *, floor: float) -> None:
        self._floor = floor
        self._identifiers: dict[str, Counter[int | None]] = {}
        self._documents = Counter[int | None]()
        self._characters = Counter[int | None]()
        self._tokens = Counter[int | None]()
        self._other_tokens = Counter[int | None]()
        self._found: list[tuple[int, int]] = []  # identifiers of each document, and those covered
        self._document: str | None = None
        self._lowest: list[float | None] = []  # scores of the identifiers of the document

    def add(
        self, text: str, gold: Sequence[Span], parts: Sequence[Span], *, document: str | None
    ) -> None:
        """Count a row: gold spans, and scored parts of the text in its order without overlap."""
        if document is None or document != self._document:
            self._close_document()
        self._document = document
        scores = PartScores(parts)
        for span in unique_spans(gold):
            score = scores.lowest(text, span.start, span.end)
            self._identifiers.setdefault(span.label, Counter())[_bin(score)] += 1
            self._lowest.append(score)
        self._count_text(text, gold, scores)

    def counts(self) -> CoverageCounts:
        """Return the histograms of all rows."""
        self._close_document()
        return CoverageCounts(
            floor=self._floor,
            clustering=design_effect(self._found),
            identifiers={
                label: _histogram(counter) for label, counter in sorted(self._identifiers.items())
            },
            documents=_histogram(self._documents),
            characters=_histogram(self._characters),
            tokens=_histogram(self._tokens),
            other_tokens=_histogram(self._other_tokens),
        )

    def _close_document(self) -> None:
        if scores := self._lowest:
            known = [score for score in scores if score is not None]
            self._documents[_bin(min(known) if len(known) == len(scores) else None)] += 1
            covered = sum(score >= _CLUSTERING_SCORE for score in known)
            self._found.append((len(scores), covered))
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
                    if is_gold[place]:
                        self._characters[_bin(scores.highest(place, place + 1))] += 1


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
        """Return the lowest score in a range, or None if a character is in no part."""
        lowest, reach = 1.0, start
        for part in self._overlapping(start, end):
            if text[reach : part.start].strip():
                return None
            lowest, reach = min(lowest, part.score or 0.0), part.end
        return None if text[reach:end].strip() else lowest


def _bin(score: float | None) -> int | None:
    return None if score is None else score_bin(score)


def _histogram(counter: Counter[int | None]) -> ScoreHistogram:
    bins = [(bin_, count) for bin_, count in counter.items() if bin_ is not None]
    return ScoreHistogram(bins=tuple(sorted(bins, reverse=True)), unscored=counter[None])


def _differ(point: CoveragePoint, following: CoveragePoint) -> bool:
    return (
        following.coverage - point.coverage >= _LEAST_CHANGE
        or following.other_share - point.other_share >= _LEAST_CHANGE
        or following.clean_documents != point.clean_documents
    )

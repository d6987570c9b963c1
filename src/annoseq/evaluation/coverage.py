"""Coverage of identifiers at every threshold on the coverage scores of tokens.

An identifier is covered if all its letters, digits and symbols are marked, whatever the spans and
labels; white space and punctuation identify nobody. Its score is the lowest of its parts' scores,
and a document's the lowest of its identifiers' scores. A threshold marks the parts with at least
its score, so that histograms of these scores tell the coverage, the documents without a miss and
the other text marked at any threshold.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from annoseq.evaluation.recall_thresholds import lowest_score, threshold_bin
from annoseq.evaluation.risk_control import clustered_p_value

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONFIDENCE = 90
"""Confidence in % with which a threshold reaches the target coverage."""
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

    `clean_documents` are those without a missed identifier, and so are `clean_patients`, which are
    0 of 0 where patients are not known; tokens are runs of letters and digits, and single other
    characters. `other_tokens` are in no identifier.
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
    patients: int = 0
    clean_patients: int = 0

    @property
    def coverage(self) -> float:
        """Share of identifiers that are covered."""
        return self.covered / self.identifiers if self.identifiers else 0.0

    @property
    def character_coverage(self) -> float:
        """Share of the letters, digits and symbols of identifiers that are marked."""
        return self.covered_characters / self.characters if self.characters else 0.0

    @property
    def clean_share(self) -> float:
        """Share of documents with identifiers that have no missed one."""
        return self.clean_documents / self.documents if self.documents else 0.0

    @property
    def clean_patient_share(self) -> float:
        """Share of patients with identifiers that have no missed one."""
        return self.clean_patients / self.patients if self.patients else 0.0

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

    `confidence` is the percentage of samples of documents like these whose threshold reaches the
    target for all such documents; at 0 the coverage is at best the expected one. If
    `is_out_of_reach`, too many identifiers have a part that is never marked. `statement` is that of
    the certificate whose threshold it is, empty without one.
    """

    target_coverage: float
    expected: CoveragePoint
    confidence: int
    is_out_of_reach: bool
    statement: str = ""

    @property
    def threshold(self) -> float:
        """Coverage score from which on a token is marked."""
        return self.expected.threshold


class CoverageCounts(BaseModel):
    """Histograms of coverage scores on rows with gold spans.

    `identifiers` by label, `documents` and `patients` with identifiers, `characters` and `tokens`
    of identifiers, and `other_tokens`, which are in none. `floor` is the lowest score of a part.
    `clusterings` is (bin, design effect), lowest first: the variance of the coverage at the bin's
    threshold over that of as many independent identifiers, because those of a document are missed
    together. `clustering` is that at a score of 0.01, and all that older files know.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    floor: float
    clustering: float
    identifiers: dict[str, ScoreHistogram]
    documents: ScoreHistogram
    characters: ScoreHistogram
    tokens: ScoreHistogram
    other_tokens: ScoreHistogram
    patients: ScoreHistogram = ScoreHistogram()
    clusterings: tuple[tuple[int, float], ...] = ()

    def choose_threshold(self, target_coverage: float) -> CoverageTarget:
        """Choose the highest threshold that covers the target share of the identifiers.

        Thresholds are tested from the lowest until the first of which a sufficient coverage is not
        shown, with documents as clusters. Where it is of none, all is covered that can be.
        """
        identifiers = self.all_identifiers()
        shown = self._shown_bin(target_coverage)
        bin_ = identifiers.bin_of(identifiers.scored) if shown is None else shown
        return CoverageTarget(
            target_coverage=target_coverage,
            expected=self.point(1.0 if bin_ is None else lowest_score(bin_)),
            confidence=0 if shown is None else _CONFIDENCE,
            is_out_of_reach=math.ceil(target_coverage * identifiers.total) > identifiers.scored,
        )

    def _shown_bin(self, target_coverage: float) -> int | None:
        """Return the highest bin whose threshold is shown to reach the target, or None."""
        identifiers, effects = self.all_identifiers(), dict(self.clusterings)
        missed, shown = identifiers.unscored, None
        for bin_, count in reversed(identifiers.bins):
            p_value = clustered_p_value(
                missed,
                items=identifiers.total,
                clusters=self.documents.total,
                design_effect=effects.get(bin_, self.clustering),
                risk=1 - target_coverage,
                delta=1 - _CONFIDENCE / 100,
            )
            if p_value > 1 - _CONFIDENCE / 100:
                break
            missed, shown = missed + count, bin_
        return shown

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
            patients=self.patients.total,
            clean_patients=self.patients.count_from(bin_),
        )

    def point_for(self, share: float) -> CoveragePoint | None:
        """Return the point of the highest threshold that covers a share, or None."""
        identifiers = self.all_identifiers()
        bin_ = identifiers.bin_of(math.ceil(share * identifiers.total))
        return None if bin_ is None else self.point(lowest_score(bin_))

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


def _differ(point: CoveragePoint, following: CoveragePoint) -> bool:
    return (
        following.coverage - point.coverage >= _LEAST_CHANGE
        or following.other_share - point.other_share >= _LEAST_CHANGE
        or following.clean_documents != point.clean_documents
    )

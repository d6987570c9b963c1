"""Score thresholds for a target recall, from counts of correct and incorrect candidates.

A gold span is found at threshold t if a predicted candidate with its offsets and label has a score
of at least t. The threshold is the highest that finds the target share of the gold spans of rows
that were not trained on, plus a margin for chance.

One threshold serves all labels. A threshold for each, chosen on the spans of that label alone,
gives up the spans of easy labels and cannot find those of hard ones. Of MEDDOCAN's dev documents,
with the threshold chosen on one half and measured on the other for a target of 0.97, one threshold
found 0.970 at a precision of 0.90, a threshold for each label where data suffice 0.958 at 0.81
(means of 20 halves).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from annoseq.evaluation.calibration import SCORE_MARGIN, judge_spans
from annoseq.evaluation.span_matching import unique_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from annoseq.data.markup import Span

_BINS_PER_LOG_ODD = 20
"""Scores are counted in steps of a twentieth of their log-odds: the same resolution at 0 and 1."""
_CLUSTERING_SCORE = 0.1
"""Spans found at this score count in the design effect of documents."""
_MARGINS = {99: 2.3263, 90: 1.2816}
"""Confidence in percent -> standard errors above the target recall that the threshold aims at; the
first for which there are enough candidates is taken."""


class ExpectedScores(NamedTuple):
    """Numbers of gold spans, of kept candidates and of gold spans found at a threshold."""

    gold: int
    kept: int
    found: int

    @property
    def recall(self) -> float:
        """Share of gold spans that was found."""
        return self.found / self.gold if self.gold else 0.0

    @property
    def precision(self) -> float:
        """Share of kept candidates that is correct."""
        return self.found / self.kept if self.kept else 0.0


@dataclass(frozen=True, slots=True)
class RecallTarget:
    """Threshold for a target recall, and its scores on the rows that it was chosen on.

    Spans with a score of at least `threshold` are kept, whatever their label. `confidence` is the
    percentage of samples of documents like these that reach the target; at 0 the recall is at best
    the expected one. If `is_out_of_reach`, too many gold spans have no candidate: the threshold
    keeps every correct candidate, and the recall is still below the target.
    """

    target_recall: float
    threshold: float
    expected: ExpectedScores
    confidence: int
    is_out_of_reach: bool

    @property
    def has_margin(self) -> bool:
        """True if the threshold leaves a margin for chance."""
        return self.confidence > 0

    def keep(self, spans: Iterable[Span]) -> list[Span]:
        """Return the spans that reach the threshold; a span without a score is kept."""
        return [span for span in spans if span.score is None or span.score >= self.threshold]


class CandidateCounts(BaseModel):
    """Correct and incorrect candidates by label and score, and gold spans without a candidate.

    `curves` has for each label (bin, correct, incorrect), highest scores first, with the bins of
    `score_bin`. `missed` counts the gold spans without a candidate. `clustering` is the design
    effect: the variance of the recall over that of as many independent spans, because the spans of
    a document are found or missed together.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    clustering: float
    curves: dict[str, tuple[tuple[int, int, int], ...]]
    missed: dict[str, int]

    @property
    def gold(self) -> int:
        """Number of gold spans."""
        return self._correct + sum(self.missed.values())

    @property
    def reachable(self) -> float:
        """Share of gold spans that have a candidate."""
        return self._correct / self.gold if self.gold else 0.0

    @property
    def _correct(self) -> int:
        return sum(correct for curve in self.curves.values() for _, correct, _ in curve)

    def choose_threshold(self, target_recall: float) -> RecallTarget:
        """Choose the highest threshold that finds the target share of gold spans.

        It aims higher by 2.33 standard errors of the recall measured here, or by 1.28 where there
        are not candidates enough for that, if there are for this.
        """
        curve, gold = self._merged_curve(), self.gold
        found = curve[:, 1].cumsum()
        reachable = int(found[-1]) if len(found) else 0
        error = standard_error(target_recall, count=gold, clustering=self.clustering)
        target = math.ceil(target_recall * gold)
        confidence, needed = 0, min(target, reachable)
        for percent, margin in _MARGINS.items():
            with_margin = math.ceil((target_recall + margin * error) * gold)
            if gold and with_margin <= reachable:
                confidence, needed = percent, with_margin
                break
        last = int(np.searchsorted(found, needed))
        kept = curve[: last + 1] if needed else curve[:0]
        return RecallTarget(
            target_recall=target_recall,
            threshold=lowest_score(int(kept[-1, 0])) if len(kept) else 1.0,
            expected=ExpectedScores(gold, int(kept[:, 1:].sum()), int(kept[:, 1].sum())),
            confidence=confidence,
            is_out_of_reach=target > reachable,
        )

    def _merged_curve(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the (bin, correct, incorrect) of all labels (N, 3), highest scores first."""
        correct, incorrect = Counter[int](), Counter[int]()
        for curve in self.curves.values():
            for bin_, label_correct, label_incorrect in curve:
                correct[bin_] += label_correct
                incorrect[bin_] += label_incorrect
        bins = sorted({*correct, *incorrect}, reverse=True)
        rows = [(bin_, correct[bin_], incorrect[bin_]) for bin_ in bins]
        return np.array(rows, dtype=np.int64).reshape(-1, 3)


class CandidateCounter:
    """Streaming counter of correct and incorrect candidates; rows of a document are consecutive."""

    def __init__(self) -> None:
        self._documents: list[tuple[int, int]] = []  # gold spans, and those found
        self._document: str | None = None
        self._correct: Counter[tuple[str, int]] = Counter()
        self._incorrect: Counter[tuple[str, int]] = Counter()
        self._missed: Counter[str] = Counter()

    @property
    def documents(self) -> int:
        """Number of documents so far."""
        return len(self._documents)

    @property
    def gold(self) -> int:
        """Number of gold spans so far."""
        return sum(gold for gold, _ in self._documents)

    def add(
        self, gold: Sequence[Span], candidates: Sequence[Span], *, document: str | None
    ) -> list[tuple[float, bool]]:
        """Count the candidates of a row; return the score of each and True if it is correct.

        A candidate without a score counts as certain. A span that is there twice counts once.
        """
        gold, candidates = unique_spans(gold), unique_spans(candidates)
        if not document or document != self._document:
            self._documents.append((0, 0))
            self._document = document
        self._missed.update(span.label for span in gold)
        judged: list[tuple[float, bool]] = []
        for span, is_correct in judge_spans(gold, candidates):
            score = 1.0 if span.score is None else span.score
            counter = self._correct if is_correct else self._incorrect
            counter[span.label, score_bin(score)] += 1
            self._missed[span.label] -= is_correct
            judged.append((score, is_correct))
        found = sum(is_correct and score >= _CLUSTERING_SCORE for score, is_correct in judged)
        previous_gold, previous_found = self._documents[-1]
        self._documents[-1] = (previous_gold + len(gold), previous_found + found)
        return judged

    def counts(self) -> CandidateCounts:
        """Return the counts of all rows."""
        labels = sorted({label for label, _ in (*self._correct, *self._incorrect)})
        return CandidateCounts(
            clustering=design_effect(self._documents),
            curves={label: self._curve(label) for label in labels},
            missed={label: count for label, count in sorted(self._missed.items()) if count},
        )

    def _curve(self, label: str) -> tuple[tuple[int, int, int], ...]:
        bins = {bin_ for name, bin_ in (*self._correct, *self._incorrect) if name == label}
        return tuple(
            (bin_, self._correct[label, bin_], self._incorrect[label, bin_])
            for bin_ in sorted(bins, reverse=True)
        )


def score_bin(score: float) -> int:
    """Return the bin of a score on a log-odds scale, rounded down.

    >>> score_bin(0.5), score_bin(0.5249), score_bin(0.526)
    (0, 1, 2)
    """
    clipped = min(max(score, SCORE_MARGIN), 1 - SCORE_MARGIN)
    return math.floor(math.log(clipped / (1 - clipped)) * _BINS_PER_LOG_ODD)


def lowest_score(bin_: int) -> float:
    """Return the lowest score of a bin, less a tolerance for rounding."""
    return (1 - 1e-9) / (1 + math.exp(-bin_ / _BINS_PER_LOG_ODD))


def threshold_bin(threshold: float) -> int:
    """Return the lowest bin whose scores reach a threshold: the inverse of `lowest_score`.

    >>> [threshold_bin(lowest_score(bin_)) for bin_ in (-277, 0, 7, 276)]
    [-277, 0, 7, 276]
    """
    if threshold < SCORE_MARGIN:
        return score_bin(0.0)
    clipped = min(threshold, 1 - SCORE_MARGIN)
    log_odds = math.log(clipped / (1 - clipped))
    return min(math.ceil(log_odds * _BINS_PER_LOG_ODD - 1e-4), score_bin(1.0))


def standard_error(share: float, *, count: int, clustering: float) -> float:
    """Return the standard error of a share of `count` items with a design effect."""
    return math.sqrt(share * (1 - share) * clustering / max(count, 1))


def design_effect(documents: Sequence[tuple[int, int]]) -> float:
    """Return the variance of the recall of documents over that of independent spans, at least 1."""
    if not documents:
        return 1.0
    gold, found = np.array(documents, dtype=np.float64).T
    recall = found.sum() / max(gold.sum(), 1.0)
    independent = gold.sum() * recall * (1 - recall)
    if not independent:
        return 1.0
    return max(1.0, float(((found - recall * gold) ** 2).sum() / independent))

"""Score thresholds for a target recall, with their calibration statistics.

A gold span is found at threshold t if a predicted candidate with its offsets and label has a score
of at least t. The threshold is a quantile of the gold spans' scores, with the correction of split
conformal prediction (Vovk et al. 2005; Angelopoulos and Bates 2021): of a further gold span, drawn
as these were, the chance to be found is at least the wanted share. The spans of a document are
alike, so that with few documents the measured share may still fall short.

It has counts and no text: for each label how many spans of about a score were right and how many
wrong, and how many had no candidate. From these a threshold is chosen for any wanted recall.

One threshold serves all labels. A threshold for each, chosen on the spans of that label alone,
gives up the spans of easy labels and cannot find those of hard ones. Of MEDDOCAN's dev documents,
one half choosing for the other, 0.97 was wanted: one threshold found 0.970 at a precision of 0.90,
a threshold for each label where data suffice 0.958 at 0.81 (means of 20 halves).
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from annoseq.evaluation.calibration import SCORE_MARGIN, Calibration, judge_spans
from annoseq.models.serialization import CALIBRATION_FILE, read_json_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from annoseq.data.markup import Span
    from annoseq.evaluation.counts import Array


class Thresholds(BaseModel):
    """The score from which a span is kept, for all labels and for those with data enough.

    `target_recall` is what was asked for. `out_of_reach` names the labels of which more spans have
    no candidate at all than that allows; of these every candidate is kept, and "" stands for all
    labels together.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    target_recall: float
    overall: float
    labels: dict[str, float] = {}
    out_of_reach: tuple[str, ...] = ()

    def of(self, label: str) -> float:
        """Return the score from which spans of a label are kept."""
        return self.labels.get(label, self.overall)

    @property
    def lowest(self) -> float:
        """The score below which no span is kept, whatever its label."""
        return min([self.overall, *self.labels.values()])

    def keep(self, spans: Iterable[Span]) -> list[Span]:
        """Leave out the spans whose scores are too low; one without a score stays."""
        return [one for one in spans if one.score is None or one.score >= self.of(one.label)]


class ExpectedScores(NamedTuple):
    """What thresholds did to some rows: of the gold spans so many found, so many kept in all."""

    gold: int
    kept: int
    found: int

    @property
    def recall(self) -> float:
        """The share of gold spans that was found."""
        return self.found / self.gold if self.gold else 0.0

    @property
    def precision(self) -> float:
        """The share of kept spans that is right."""
        return self.found / self.kept if self.kept else 0.0


def gold_scores(
    rows: Iterable[tuple[Sequence[Span], Sequence[Span]]],
) -> dict[str, list[float]]:
    """Return by label the score of each gold span's candidate, -inf where there is none.

    A row is its gold spans and its candidates, with scores.
    """
    found: dict[str, list[float]] = {}
    for gold, candidates in rows:
        left = list(gold)
        for span, is_correct in judge_spans(gold, candidates):
            if is_correct:
                left.remove(span)
                score = 1.0 if span.score is None else span.score
                found.setdefault(span.label, []).append(score)
        for span in left:
            found.setdefault(span.label, []).append(-math.inf)
    return found


def choose_thresholds(scores: Mapping[str, Sequence[float]], *, target_recall: float) -> Thresholds:
    """Choose thresholds from `gold_scores` of rows that were not trained on.

    A label with too few spans to promise anything of it takes the threshold of all.
    """
    everything = [score for some in scores.values() for score in some]
    overall = _quantile(everything, target_recall)
    chosen = {label: _quantile(some, target_recall) for label, some in sorted(scores.items())}
    named = {"": overall, **chosen}
    return Thresholds(
        target_recall=target_recall,
        overall=max(overall or 0.0, 0.0),
        labels={label: max(one, 0.0) for label, one in chosen.items() if one is not None},
        out_of_reach=tuple(label for label, one in named.items() if one == -math.inf),
    )


def measure_thresholds(
    rows: Iterable[tuple[Sequence[Span], Sequence[Span]]], thresholds: Thresholds
) -> ExpectedScores:
    """Count what thresholds keep of the candidates of other rows."""
    gold = kept = found = 0
    for golds, candidates in rows:
        chosen = thresholds.keep(candidates)
        gold += len(golds)
        kept += len(chosen)
        found += sum(is_correct for _, is_correct in judge_spans(golds, chosen))
    return ExpectedScores(gold, kept, found)


def _quantile(scores: Sequence[float], target_recall: float) -> float | None:
    """Return the highest threshold that keeps the promise, None where n spans cannot."""
    count = len(scores)
    may_miss = count - math.ceil((count + 1) * target_recall)
    return sorted(scores)[may_miss] if may_miss >= 0 else None


MIN_GOLD_SPANS = 100
"""Gold spans that there must be: of fewer, a share like 0.95 says little."""
_STEPS = 20
"""Scores are counted in steps of a twentieth of their log-odds: the same fineness at 0 and 1."""
_MARGINS = {99: 2.3263, 90: 1.2816}
"""In how many of a hundred cases the wanted recall is kept, and for that, how many standard errors
above it thresholds aim: the first for which there are candidates enough."""


class RecallTarget(NamedTuple):
    """Thresholds for a wanted recall, and what they did to the rows kept from training.

    `confidence` is in how many of a hundred cases documents like these have the wanted recall; at 0
    it is what is to be expected at best, and where `is_out_of_reach` not even that: then all that
    was right there is found.
    """

    thresholds: Thresholds
    expected: ExpectedScores
    confidence: int

    @property
    def is_promised(self) -> bool:
        """Whether chance is allowed for."""
        return self.confidence > 0

    @property
    def is_out_of_reach(self) -> bool:
        """Whether too many spans have no candidate."""
        return bool(self.thresholds.out_of_reach)


class CalibrationStatistics(BaseModel):
    """What `calibration.json` holds.

    `curves` has for each label (place, right, wrong), the likeliest first: how many candidates at
    that place of the scale were right. `missed` counts the gold spans without a candidate, `floor`
    is the least score of a candidate, and `clustering` how many times the variance of the recall
    is that of as many independent spans: a document's spans are found or missed together.
    `error_before` and `error_after` are the calibration errors of the likeliest spans, the latter
    under calibrations fitted on other documents.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    rows: int
    documents: int
    floor: float
    calibration: Calibration
    error_before: float
    error_after: float
    clustering: float
    curves: dict[str, tuple[tuple[int, int, int], ...]]
    missed: dict[str, int]

    @classmethod
    def read(cls, content: str) -> CalibrationStatistics:
        """Read what a model folder holds.

        Raises:
            ModelError: the content is not of this version.
        """
        return read_json_file(cls, content, name=CALIBRATION_FILE)

    @property
    def gold(self) -> int:
        """How many gold spans there were."""
        return self._right + sum(self.missed.values())

    @property
    def reachable(self) -> float:
        """The share of gold spans that have a candidate."""
        return self._right / self.gold if self.gold else 0.0

    @property
    def _right(self) -> int:
        return sum(right for curve in self.curves.values() for _, right, _ in curve)

    def probabilities(self, scores: Sequence[float]) -> Array:
        """Return the probabilities of scores (N,): never 0 or 1, which no count can tell."""
        least = 0.5 / max(self.calibration.spans, 1)
        found: Array = self.calibration.apply(scores).clip(least, 1 - least)
        return found

    def choose(self, target_recall: float) -> RecallTarget:
        """Choose the highest threshold that finds the wanted share of spans.

        It aims higher by 2.33 standard errors of the recall measured here, or by 1.28 where there
        are not candidates enough for that, if there are for this.
        """
        curve, gold = self._curve(), self.gold
        found = curve[:, 1].cumsum()
        right = int(found[-1]) if len(found) else 0
        error = math.sqrt(target_recall * (1 - target_recall) * self.clustering / max(gold, 1))
        least = math.ceil(target_recall * gold)
        confidence, needed = 0, min(least, right)
        for sureness, margin in _MARGINS.items():
            safe = math.ceil((target_recall + margin * error) * gold)
            if gold and safe <= right:
                confidence, needed = sureness, safe
                break
        last = int(np.searchsorted(found, needed))
        kept = curve[: last + 1] if needed else curve[:0]
        return RecallTarget(
            thresholds=Thresholds(
                target_recall=target_recall,
                overall=_score(int(kept[-1, 0])) if len(kept) else 1.0,
                out_of_reach=("",) if least > right else (),
            ),
            expected=ExpectedScores(gold, int(kept[:, 1:].sum()), int(kept[:, 1].sum())),
            confidence=confidence,
        )

    def _curve(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the (place, right, wrong) of all labels together (N, 3), the likeliest first."""
        right, wrong = Counter[int](), Counter[int]()
        for curve in self.curves.values():
            for place, some, others in curve:
                right[place] += some
                wrong[place] += others
        places = sorted({*right, *wrong}, reverse=True)
        rows = [(place, right[place], wrong[place]) for place in places]
        return np.array(rows, dtype=np.int64).reshape(-1, 3)


def score_bin(score: float) -> int:
    """Return the place of a score on the scale, rounded down.

    >>> score_bin(0.5), score_bin(0.5249), score_bin(0.526)
    (0, 1, 2)
    """
    inside = min(max(score, SCORE_MARGIN), 1 - SCORE_MARGIN)
    return math.floor(math.log(inside / (1 - inside)) * _STEPS)


def _score(place: int) -> float:
    """Return the lowest score at a place, a trifle less for what rounding does."""
    return (1 - 1e-9) / (1 + math.exp(-place / _STEPS))

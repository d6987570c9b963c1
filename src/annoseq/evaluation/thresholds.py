"""Thresholds that find a wanted share of spans.

A gold span is found at threshold t if a predicted candidate with its offsets and label has a score
of at least t. The threshold is a quantile of the gold spans' scores, with the correction of split
conformal prediction (Vovk et al. 2005; Angelopoulos and Bates 2021): of a further gold span, drawn
as these were, the chance to be found is at least the wanted share. The spans of a document are
alike, so that with few documents the measured share may still fall short.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict

from annoseq.evaluation.reliability import verdicts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from annoseq.pairs.markup import Span


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


class Expectation(NamedTuple):
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
        for span, is_correct in verdicts(gold, candidates):
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
) -> Expectation:
    """Count what thresholds keep of the candidates of other rows."""
    gold = kept = found = 0
    for golds, candidates in rows:
        chosen = thresholds.keep(candidates)
        gold += len(golds)
        kept += len(chosen)
        found += sum(is_correct for _, is_correct in verdicts(golds, chosen))
    return Expectation(gold, kept, found)


def _quantile(scores: Sequence[float], target_recall: float) -> float | None:
    """Return the highest threshold that keeps the promise, None where n spans cannot."""
    count = len(scores)
    may_miss = count - math.ceil((count + 1) * target_recall)
    return sorted(scores)[may_miss] if may_miss >= 0 else None

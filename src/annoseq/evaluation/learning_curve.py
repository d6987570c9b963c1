"""Learning curve of a score: extrapolation to more documents, with intervals.

A replicate of the curve has three sources of error: the held-back documents, resampled by the
Poisson bootstrap; the noise of training on one sample of documents rather than another, from the
repeats; and the form of the curve, which each replicate chooses anew. Figueroa et al. 2012 take the
interval from the residuals of one fit, which leaves out the first and the third.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from annoseq.errors import TrainingError
from annoseq.evaluation.bootstrap import REPLICATES, SEED, PoissonBootstrap
from annoseq.evaluation.counts import (
    Counts,
    CountTotals,
    add_counts,
    count_key,
    precision_recall_f1,
    ratio,
)
from annoseq.evaluation.coverage_counter import PartScores
from annoseq.evaluation.curve_fit import FORMS, choose_curves
from annoseq.evaluation.span_matching import score_spans, unique_spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.data.examples import Example
    from annoseq.data.markup import Span
    from annoseq.evaluation.counts import Array
    from annoseq.evaluation.curve_fit import ChosenCurves, CurveForm

COVERAGE = "coverage"
"""Name of the score of covered identifiers; other names are labels, and None is all of them."""
_QUANTILES = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class CurveRun:
    """A training: its repeat, its number of documents, and counts of each held-back document."""

    repeat: int
    documents: int
    counts: tuple[Counts, ...]
    seconds: float = 0.0

    @property
    def f1(self) -> float:
        """Span F1 over all held-back documents."""
        return float(_score(CountTotals(self._totals()), None))

    def _totals(self) -> Counts:
        totals = Counts()
        for counts in self.counts:
            add_counts(totals, counts)
        return totals


def count_document(
    rows: Sequence[Example], predicted: Sequence[Sequence[Span]], parts: Sequence[Sequence[Span]]
) -> Counts:
    """Count the correct, predicted and gold spans of a document, and its covered identifiers.

    `predicted` are the spans of each row, and `parts` the marked parts of its text.
    """
    counts = Counts()
    for example, found, marked in zip(rows, predicted, parts, strict=True):
        gold = example.tight_spans
        for label in (None, *{span.label for span in (*gold, *found)}):
            sides = ([s for s in side if label in {None, s.label}] for side in (found, gold))
            score = score_spans(*sides)
            values = {"correct": score.correct, "predicted": score.predicted, "gold": score.gold}
            add_counts(counts, {count_key(name, label): value for name, value in values.items()})
        scores = PartScores(marked)
        lowest = [
            scores.lowest(example.source, span.start, span.end) for span in unique_spans(gold)
        ]
        covered = sum(score is not None for score in lowest)
        add_counts(counts, {"identifiers": len(lowest), "covered": covered})
    return counts


class CurveScores(NamedTuple):
    """Scores of K repeats at P numbers of documents: `documents` (P,), `scores` (K, P).

    `replicates` (R, K, P) are of resampled held-back documents.
    """

    documents: Array
    scores: Array
    replicates: Array


@dataclass(frozen=True)
class CurveTotals:
    """Totals of counts of all runs, and of their replicates, by repeat and number of documents."""

    runs: dict[tuple[int, int], tuple[CountTotals, CountTotals]]

    @classmethod
    def of(
        cls, runs: Sequence[CurveRun], *, replicates: int = REPLICATES, seed: int = SEED
    ) -> CurveTotals:
        """Resample the held-back documents of each repeat, the same ones in all of its runs."""
        totals = {}
        for run in runs:
            bootstrap = PoissonBootstrap(replicates=replicates, seed=seed + run.repeat)
            for counts in run.counts:
                bootstrap.add(counts)
            totals[run.repeat, run.documents] = (
                CountTotals(bootstrap.totals),
                bootstrap.replicates(),
            )
        return cls(totals)

    @property
    def labels(self) -> list[str]:
        """Labels of gold and predicted spans, sorted."""
        return sorted({label for totals, _ in self.runs.values() for label in totals.labels})

    def gold(self, label: str) -> int:
        """Return the number of gold spans of a label in the documents held back by a repeat."""
        counts = [float(totals[count_key("gold", label)]) for totals, _ in self.runs.values()]
        return round(sum(counts) / len(counts))

    def scores(self, name: str | None = None) -> CurveScores:
        """Return the span F1 of all labels or of one, or the coverage, of all runs.

        Raises:
            TrainingError: a repeat lacks a run that another has.
        """
        repeats = sorted({repeat for repeat, _ in self.runs})
        sizes = sorted({size for _, size in self.runs})
        if any((repeat, size) not in self.runs for repeat in repeats for size in sizes):
            raise TrainingError(
                f"{len(self.runs)} runs are not {len(repeats)} repeats of the same "
                f"{len(sizes)} sizes. Train the missing ones with --resume."
            )
        cells = [[self.runs[repeat, size] for size in sizes] for repeat in repeats]
        width = next(iter(self.runs.values()))[1]["gold"].shape
        return CurveScores(
            documents=np.array(sizes, dtype=np.float64),
            scores=np.array([[float(_score(totals, name)) for totals, _ in row] for row in cells]),
            replicates=np.moveaxis(
                np.array(
                    [[np.broadcast_to(_score(r, name), width) for _, r in row] for row in cells]
                ),
                -1,
                0,
            ),
        )


class Estimate(NamedTuple):
    """A value and the bounds of its 95 % interval; a number of documents may be infinite."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class CurveForecast:
    """Curve fitted to the mean scores of a learning curve, and its replicates.

    `means` (P,) are the scores at `documents` (P,), with replicates (R, P). `noise` is the standard
    deviation of a single training's score s, of n documents, divided by sqrt(s * (1 - s) / n).
    """

    documents: Array
    means: Array
    mean_replicates: Array
    fitted: ChosenCurves
    replicates: ChosenCurves
    noise: float
    freedom: int
    seed: int

    @property
    def form(self) -> CurveForm:
        """Form that most replicates choose."""
        return FORMS[int(np.bincount(self.replicates.choice, minlength=len(FORMS)).argmax())]

    def last_errors(self) -> dict[CurveForm, float]:
        """Return for each form its error at the last point, when fitted to the others."""
        return {form: float(self.fitted.errors[i, 0]) for i, form in enumerate(FORMS)}

    def mean_interval(self, point: int) -> Estimate:
        """Return the mean score at a point of the curve, and its interval."""
        return _estimate(float(self.means[point]), self.mean_replicates[:, point])

    def score_at(self, documents: float) -> Estimate:
        """Return the score of a training on so many documents, and the interval of one training.

        The value is the median of the replicates, which errs less than the form that the mean
        scores choose. More documents than at the last point score no less than there: curves rise,
        also where a form misses the last point.
        """
        draws = self.replicates.predict(documents)
        if documents >= self.documents[-1]:
            draws = np.maximum(draws, self.mean_replicates[:, -1])
        value = float(np.median(draws))
        noise = np.random.default_rng(self.seed).standard_t(self.freedom, len(draws))
        draws = np.clip(draws + noise * self.noise * _spread(draws, documents), 0.0, 1.0)
        return _estimate(value, draws)

    def documents_for(self, score: float) -> Estimate:
        """Return the number of documents at which the expected score is reached."""
        draws = np.sort(self.replicates.documents_for(score))
        # Infinite draws have no percentile by interpolation.
        places = [round(q / 100 * (len(draws) - 1)) for q in (50, *_QUANTILES)]
        return Estimate(*(float(draws[place]) for place in places))


def forecast(scores: CurveScores, *, seed: int = SEED) -> CurveForecast:
    """Fit the forms to the mean over repeats, and to replicates of it."""
    generator = np.random.default_rng(seed)
    means = scores.scores.mean(axis=0)
    noise, freedom = _training_noise(scores.documents, scores.scores)
    size, repeats, points = scores.replicates.shape
    draws = generator.standard_t(freedom, (size, points))
    spread = noise * _spread(means, scores.documents) / sqrt(repeats)
    replicates = np.clip(scores.replicates.mean(axis=1) + draws * spread, 0.0, 1.0)
    return CurveForecast(
        documents=scores.documents,
        means=means,
        mean_replicates=replicates,
        fitted=choose_curves(scores.documents, means[None, :]),
        replicates=choose_curves(scores.documents, replicates),
        noise=noise,
        freedom=freedom,
        seed=seed,
    )


def _estimate(value: float, draws: Array) -> Estimate:
    """Return a value with the 95 % interval of its draws, which contains it."""
    low, high = np.percentile(draws, _QUANTILES)
    return Estimate(value, float(min(low, value)), float(max(high, value)))


def _training_noise(documents: Array, scores: Array) -> tuple[float, int]:
    """Return the relative standard deviation of a training's score, and its degrees of freedom.

    It is that of the interaction of repeats and points (K, P): what all runs of a repeat have in
    common is the ease of its held-back documents, which the bootstrap resamples. With one repeat it
    is that of second differences, in which a smooth curve leaves little.
    """
    repeats, points = scores.shape
    spread = np.maximum(_spread(scores.mean(axis=0), documents), 1e-6)
    if repeats > 1:
        residuals = scores - scores.mean(axis=0) - scores.mean(axis=1)[:, None] + scores.mean()
        freedom = (repeats - 1) * (points - 1)
    else:
        residuals = (scores[:, 2:] - 2 * scores[:, 1:-1] + scores[:, :-2]) / sqrt(6)
        spread, freedom = spread[1:-1], points - 2
    return float(np.sqrt(((residuals / spread) ** 2).sum() / freedom)), freedom


def _spread(scores: Array, documents: Array | float) -> Array:
    """Return the factors of the training noise.

    It is less near 0 and 1, where there is no room, and its variance falls with the number of
    documents, as that of a mean over them does.
    """
    factors: Array = np.sqrt(scores * (1 - scores) / documents)
    return factors


def _score(totals: CountTotals, name: str | None) -> Array:
    """Return the coverage, or the span F1 of all labels or of one."""
    if name == COVERAGE:
        return ratio(totals["covered"], totals["identifiers"])
    counts = (totals[count_key(part, name)] for part in ("correct", "predicted", "gold"))
    return precision_recall_f1(*counts)["f1"]

"""Sample size estimation: the score with more documents, and the documents that a target needs.

The statements in words are those that `annoseq curve` prints, and its report shows.
"""

from __future__ import annotations

from math import floor, isfinite, log10
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from annoseq._version import __version__
from annoseq.errors import TableError, count_noun, describe_validation_error
from annoseq.evaluation.curve_fit import CurveForm
from annoseq.evaluation.learning_curve import COVERAGE, forecast

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from annoseq.evaluation.learning_curve import CurveForecast, CurveTotals, Estimate

_HORIZON = 100
"""Multiple of the documents beyond which a target is out of reach: no fit carries so far."""
_STARVING_GAIN = 0.02
"""Gain of F1 by twice the documents from which on a label starves, if all labels gain less."""
_LEAST_SPANS = 10
"""Gold spans of a label in the held-back documents, below which its F1 says nothing."""
_CHART_POINTS = 40
_NAMES = {"f1": "F1", COVERAGE: "coverage"}


class _Result(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class CurvePoint(_Result):
    """Mean score of the repeats at a number of documents, its 95 % interval, and each repeat's."""

    documents: int
    score: float
    low: float
    high: float
    repeats: list[float]


class ScoreForecast(_Result):
    """Score of a training on so many documents, and the 95 % interval of one such training."""

    documents: int
    score: float
    low: float
    high: float


class TargetForecast(_Result):
    """Documents at which the expected score reaches a target, and their 95 % interval.

    A number is None where the target is out of reach.
    """

    target: float
    documents: int | None = None
    low: int | None = None
    high: int | None = None


class ScoreCurve(_Result):
    """Learning curve of a score: its points, the fitted form, and the forecasts.

    `last_errors` are the errors of each form at the last point when fitted to the others; `fitted`
    are points of the fitted curve up to twice the documents; `training_noise` is the standard
    deviation of a single training's score s, of n documents, divided by sqrt(s * (1 - s) / n).
    """

    points: list[CurvePoint]
    form: CurveForm
    last_errors: dict[CurveForm, float]
    training_noise: float
    fitted: list[ScoreForecast]
    now: ScoreForecast
    doubled: ScoreForecast
    target: TargetForecast | None = None


class LabelForecast(_Result):
    """F1 of a label with the documents that there are, and with twice as many.

    `spans` is the number of gold spans in the held-back documents of a repeat; of fewer than 10,
    there is no forecast. A label starves if there is none, or if twice the documents gain it at
    least 0.02 and more than all labels together.
    """

    spans: int
    now: ScoreForecast | None = None
    doubled: ScoreForecast | None = None
    is_starving: bool

    @property
    def gain(self) -> float:
        """Gain of F1 by twice the documents, 0 where it is not known."""
        if self.now is None or self.doubled is None:
            return 0.0
        return self.doubled.score - self.now.score

    @property
    def order(self) -> tuple[bool, float, int]:
        """Sort key: labels without a forecast first, then those that gain most."""
        return self.now is not None, -self.gain, self.spans


class LearningCurve(_Result):
    """Contents of `curve.json`: learning curves of F1 and coverage, and forecasts by label."""

    annoseq: str = __version__
    documents: int
    repeats: int
    minutes_per_document: float | None = None
    f1: ScoreCurve
    coverage: ScoreCurve
    labels: dict[str, LabelForecast]

    def statements(self) -> Iterator[str]:
        """Return what the curves say in words."""
        for name, curve in (("f1", self.f1), (COVERAGE, self.coverage)):
            yield (
                f"with all {count_noun(self.documents, 'document')}: {_NAMES[name]} "
                f"{_range(curve.now)}; twice the documents: {_NAMES[name]} {_range(curve.doubled)}"
            )
            if curve.target:
                yield self._target_statement(_NAMES[name], curve.target)

    def starving(self) -> list[str]:
        """Return the labels that starve: those with too few spans, then those that gain most."""
        starving = [label for label, found in self.labels.items() if found.is_starving]
        return sorted(starving, key=lambda label: self.labels[label].order)

    def _target_statement(self, name: str, target: TargetForecast) -> str:
        low, middle, high = (
            None if count is None else max(0, count - self.documents)
            for count in (target.low, target.documents, target.high)
        )
        begin = f"{name} {target.target:g}"
        if low is None:
            return f"{begin} is not in reach"
        if middle is None:
            return f"{begin} is hardly in reach: it needs at least {_about(low)} more documents"
        if high == 0:
            return f"{begin} is reached with the documents that there are"
        bound = f"at least {_about(low)}" if high is None else f"{_about(low)} to {_about(high)}"
        unreached = " or is not in reach" if high is None else ""
        return (
            f"{begin} needs about {_about(middle)} more documents "
            f"(95 %: {bound}{self._hours(middle)}){unreached}"
        )

    def _hours(self, documents: int) -> str:
        if self.minutes_per_document is None:
            return ""
        hours = documents * self.minutes_per_document / 60
        return (
            f"; about {_about(hours)} {'hour' if _about(hours) == '1' else 'hours'} of annotation"
        )


def estimate_sample_size(
    totals: CurveTotals,
    *,
    documents: int,
    target_f1: float | None = None,
    target_coverage: float | None = None,
    minutes_per_document: float | None = None,
) -> LearningCurve:
    """Fit the learning curves of all runs, and extrapolate them.

    `documents` is the number that there are, those held back included.

    Raises:
        TrainingError: a repeat lacks a run that another has.
    """
    f1 = _score_curve(totals, None, documents, target_f1)
    labels = {
        label: _label_forecast(totals, label, documents, f1.doubled.score - f1.now.score)
        for label in totals.labels
        if totals.gold(label)
    }
    return LearningCurve(
        documents=documents,
        repeats=len({repeat for repeat, _ in totals.runs}),
        minutes_per_document=minutes_per_document,
        f1=f1,
        coverage=_score_curve(totals, COVERAGE, documents, target_coverage),
        labels=labels,
    )


def _score_curve(
    totals: CurveTotals, name: str | None, documents: int, target: float | None
) -> ScoreCurve:
    scores = totals.scores(name)
    found = forecast(scores)
    first = float(scores.documents[0])
    steps = [
        first * (2 * documents / first) ** (i / _CHART_POINTS) for i in range(_CHART_POINTS + 1)
    ]
    points = [
        CurvePoint(
            documents=int(size),
            score=float(found.means[i]),
            low=interval.low,
            high=interval.high,
            repeats=scores.scores[:, i].tolist(),
        )
        for i, size in enumerate(scores.documents)
        for interval in [found.mean_interval(i)]
    ]
    return ScoreCurve(
        points=points,
        form=found.form,
        last_errors=found.last_errors(),
        training_noise=found.noise,
        fitted=[_score_forecast(found, round(step)) for step in steps],
        now=_score_forecast(found, documents),
        doubled=_score_forecast(found, 2 * documents),
        target=None if target is None else _target_forecast(found, target, documents),
    )


def _label_forecast(totals: CurveTotals, label: str, documents: int, gain: float) -> LabelForecast:
    spans = totals.gold(label)
    if spans < _LEAST_SPANS:
        return LabelForecast(spans=spans, now=None, doubled=None, is_starving=True)
    found = forecast(totals.scores(label))
    now, doubled = (_score_forecast(found, count) for count in (documents, 2 * documents))
    own = doubled.score - now.score
    is_starving = own >= _STARVING_GAIN and own > gain
    return LabelForecast(spans=spans, now=now, doubled=doubled, is_starving=is_starving)


def _score_forecast(found: CurveForecast, documents: int) -> ScoreForecast:
    score, low, high = found.score_at(documents)
    return ScoreForecast(documents=documents, score=score, low=low, high=high)


def _target_forecast(found: CurveForecast, target: float, documents: int) -> TargetForecast:
    estimate: Estimate = found.documents_for(target)
    value, low, high = (
        None if count > _HORIZON * documents or not isfinite(count) else floor(count) + 1
        for count in estimate
    )
    return TargetForecast(target=target, documents=value, low=low, high=high)


def read_learning_curve(path: Path) -> LearningCurve:
    """Read the `curve.json` of a folder that `annoseq curve` wrote.

    Raises:
        TableError: the file cannot be read or is no learning curve.
    """
    hint = "Name the folder that `annoseq curve` wrote."
    try:
        return LearningCurve.model_validate_json((path / "curve.json").read_bytes())
    except OSError as error:
        raise TableError(f"{path}: curve.json cannot be read: {error.strerror}. {hint}") from error
    except ValidationError as error:
        reason = describe_validation_error(error)
        raise TableError(f"{path}: curve.json is no learning curve: {reason}. {hint}") from error


def _range(forecast_: ScoreForecast) -> str:
    """Render a score and its interval.

    >>> _range(ScoreForecast(documents=1, score=0.957, low=0.953, high=0.9612))
    '0.957 (95 %: 0.953 to 0.961)'
    """
    return f"{forecast_.score:.3f} (95 %: {forecast_.low:.3f} to {forecast_.high:.3f})"


def _about(number: float) -> str:
    """Round to two digits.

    >>> _about(312), _about(7.2), _about(12_345)
    ('310', '7', '12,000')
    """
    if number < 10:
        return f"{number:.0f}"
    digits = floor(log10(number)) - 1
    return f"{round(number / 10**digits) * 10**digits:,}"

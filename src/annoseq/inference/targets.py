"""Targets of annotation: a share of the spans to find, or of the identifiers to cover."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from annoseq.errors import OptionError
from annoseq.evaluation.calibration_statistics import MIN_GOLD_SPANS
from annoseq.evaluation.coverage import CoverageTarget
from annoseq.evaluation.recall_thresholds import RecallTarget
from annoseq.inference.predictor import SpanQuery

if TYPE_CHECKING:
    from annoseq.config import SearchConfig
    from annoseq.evaluation.calibration_statistics import CalibrationStatistics
    from annoseq.inference.predictor import SpanPredictor

Target: TypeAlias = RecallTarget | CoverageTarget
_Kind: TypeAlias = Literal["recall", "coverage"]


def choose_target(
    predictor: SpanPredictor,
    calibration: CalibrationStatistics | None,
    *,
    target_recall: float | None,
    target_coverage: float | None,
) -> Target | None:
    """Choose the threshold for the target that is given, if there is one.

    Raises:
        OptionError: both are given, it is no share, or the model knows no probabilities of spans
            or has no calibration.
    """
    if target_recall is not None and target_coverage is not None:
        raise OptionError(
            "--target-recall and --target-coverage are two ways to mark more. Leave one off: "
            "recall is for spans with exact edges, coverage for text that is to be hidden."
        )
    if target_recall is not None:
        known = _check_calibration(predictor, calibration, target_recall, kind="recall")
        return known.candidates.choose_threshold(target_recall)
    if target_coverage is not None:
        known = _check_calibration(predictor, calibration, target_coverage, kind="coverage")
        return known.coverage.choose_threshold(target_coverage)
    return None


def make_query(search: SearchConfig, target: Target | None) -> SpanQuery:
    """Return the spans to ask a predictor for."""
    if isinstance(target, RecallTarget):
        return SpanQuery(search, floor=target.threshold)
    if isinstance(target, CoverageTarget):
        return SpanQuery(search, coverage_floor=target.threshold)
    return SpanQuery(search)


def check_marginals(predictor: SpanPredictor, *, kind: _Kind) -> None:
    """Raise `OptionError` if a model does not know the probability of every span."""
    if not predictor.gives_marginals:
        raise OptionError(
            f"--target-{kind} is for taggers, which know the chance of every span, and this model "
            "writes its output. Leave it off, or train a model with --model tagger."
        )


def _check_calibration(
    predictor: SpanPredictor,
    calibration: CalibrationStatistics | None,
    share: float,
    *,
    kind: _Kind,
) -> CalibrationStatistics:
    if not 0 < share < 1:
        raise OptionError(
            f"a {kind} of {share:g} was asked for. Give a share between 0 and 1, such as 0.99."
        )
    check_marginals(predictor, kind=kind)
    if calibration is None:
        raise OptionError(
            f"--target-{kind} needs calibration.json in the model folder, and this model has none: "
            f"it was validated on fewer than {MIN_GOLD_SPANS} spans, or trained by an older "
            "version. Leave it off, or train again with more rows."
        )
    return calibration

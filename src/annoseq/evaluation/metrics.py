"""Scores computed from totals of counts. The scores are defined in docs/reference/scores.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from annoseq.evaluation.counts import CountTotals, count_key, precision_recall_f1, ratio
from annoseq.evaluation.error_analysis import FIDELITY_ERRORS
from annoseq.evaluation.span_matching import SCHEMES

if TYPE_CHECKING:
    from annoseq.evaluation.counts import Array
    from annoseq.evaluation.span_matching import MatchOutcome, Scheme


_PREFIXES = {"strict": "span"}
"""Names of scores begin with the scheme; the strict score is the span score."""


def scheme_score(
    totals: CountTotals, scheme: Scheme, *, label: str | None = None
) -> dict[str, Array]:
    """Return precision, recall and F1 under a scheme, over all labels or of one.

    A partial match counts as a half (SemEval-2013, task 9.1).
    """
    correct, incorrect, partial, missed, spurious = (
        totals[count_key(f"{scheme}.{outcome}", label)]
        for outcome in ("correct", "incorrect", "partial", "missed", "spurious")
    )
    matched = correct + incorrect + partial
    return precision_recall_f1(correct + partial / 2, matched + spurious, matched + missed)


def span_scores(totals: CountTotals) -> dict[str, Array]:
    """Return all scores of spans by name, over all labels."""
    scores = {
        f"{_PREFIXES.get(scheme, scheme)}_{name}": value
        for scheme in SCHEMES
        for name, value in scheme_score(totals, scheme).items()
    }
    scores |= {f"macro_{name}": value for name, value in macro_score(totals).items()}
    for unit in ("merged", "token", "character", "i2b2_relaxed", "i2b2_token"):
        counts = (totals[f"{unit}.{name}"] for name in ("correct", "predicted", "gold"))
        scores |= {f"{unit}_{name}": value for name, value in precision_recall_f1(*counts).items()}
    scores["document_recall"] = ratio(totals["document.correct"], totals["document.gold"])
    scores["leak"] = ratio(
        totals["strict.missed"] + totals["strict.incorrect"], totals["sentences"]
    )
    scores["over_redaction"] = ratio(
        totals["token.predicted"] - totals["token.correct"], totals["tokens"] - totals["token.gold"]
    )
    scores["perfect_rows"] = ratio(totals["perfect_rows"], totals["rows"])
    return scores


def macro_score(totals: CountTotals) -> dict[str, Array]:
    """Return the unweighted means over the labels that have gold spans."""
    scores = [
        (scheme_score(totals, "strict", label=label), gold_spans(totals, label) > 0)
        for label in totals.labels
    ]
    zero: Array = np.zeros(())
    weight = sum((has_gold.astype(np.float64) for _, has_gold in scores), zero)
    return {
        name: ratio(sum((score[name] * has_gold for score, has_gold in scores), zero), weight)
        for name in ("precision", "recall", "f1")
    }


def gold_spans(totals: CountTotals, label: str | None = None) -> Array:
    """Return the number of gold spans, of all labels or of one."""
    return _sum_of_outcomes(totals, ("correct", "incorrect", "missed"), label)


def predicted_spans(totals: CountTotals, label: str | None = None) -> Array:
    """Return the number of predicted spans, of all labels or of one."""
    return _sum_of_outcomes(totals, ("correct", "incorrect", "spurious"), label)


def output_scores(totals: CountTotals) -> dict[str, Array]:
    """Return exact match and the four fidelity error rates of outputs that were written as text."""
    scores: dict[str, Array] = {}
    if "output.rows" in totals:
        scores["exact_match"] = ratio(totals["output.exact"], totals["output.rows"])
    if "fidelity.outputs" in totals:
        scores |= {
            error: ratio(totals[f"fidelity.{error}"], totals["fidelity.outputs"])
            for error in FIDELITY_ERRORS
        }
    return scores


def _sum_of_outcomes(
    totals: CountTotals, outcomes: tuple[MatchOutcome, ...], label: str | None
) -> Array:
    first, *others = (totals[count_key(f"strict.{outcome}", label)] for outcome in outcomes)
    return sum(others, first)

"""From sums of counts to scores. What each score means stands in docs/scores.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from annoseq.evaluation.counts import CountTotals, precision_recall_f1, ratio
from annoseq.evaluation.error_analysis import FIDELITY_ERRORS
from annoseq.evaluation.span_matching import SCHEMES

if TYPE_CHECKING:
    from annoseq.evaluation.counts import Array
    from annoseq.evaluation.span_matching import Scheme

SCORE_PREFIXES = {"strict": "span"}
"""The strict score is the span score, unless something else is said."""


def scheme_score(
    sums: CountTotals, scheme: Scheme, *, label: str | None = None
) -> dict[str, Array]:
    """Return precision, recall and F1 under a scheme, over all labels or of one.

    A partial match counts as a half (SemEval-2013, task 9.1).
    """
    at = f"@{label}" if label else ""
    correct, incorrect, partial, missed, spurious = (
        sums[f"{scheme}.{verdict}{at}"]
        for verdict in ("correct", "incorrect", "partial", "missed", "spurious")
    )
    matched = correct + incorrect + partial
    return precision_recall_f1(correct + partial / 2, matched + spurious, matched + missed)


def span_scores(sums: CountTotals) -> dict[str, Array]:
    """Return all scores of spans by name, over all labels."""
    found = {
        f"{SCORE_PREFIXES.get(scheme, scheme)}_{part}": value
        for scheme in SCHEMES
        for part, value in scheme_score(sums, scheme).items()
    }
    found |= {f"macro_{part}": value for part, value in macro_score(sums).items()}
    for name in ("merged", "token", "character"):
        counts = (sums[f"{name}.{part}"] for part in ("correct", "predicted", "gold"))
        found |= {f"{name}_{part}": value for part, value in precision_recall_f1(*counts).items()}
    found["document_recall"] = ratio(sums["document.correct"], sums["document.gold"])
    found["leak"] = ratio(sums["strict.missed"] + sums["strict.incorrect"], sums["sentences"])
    found["perfect_rows"] = ratio(sums["perfect_rows"], sums["rows"])
    return found


def macro_score(sums: CountTotals) -> dict[str, Array]:
    """Return the means over the labels that the gold has, each label counting the same."""
    scores = [
        (scheme_score(sums, "strict", label=label), gold_spans(sums, label) > 0)
        for label in sums.labels
    ]
    nothing: Array = np.zeros(())
    weight = sum((has_gold.astype(np.float64) for _, has_gold in scores), nothing)
    return {
        part: ratio(sum((score[part] * has_gold for score, has_gold in scores), nothing), weight)
        for part in ("precision", "recall", "f1")
    }


def gold_spans(sums: CountTotals, label: str | None = None) -> Array:
    """Return how many gold spans there are, of all labels or of one."""
    at = f"@{label}" if label else ""
    return sums[f"strict.correct{at}"] + sums[f"strict.incorrect{at}"] + sums[f"strict.missed{at}"]


def predicted_spans(sums: CountTotals, label: str | None = None) -> Array:
    """Return how many spans were predicted, of all labels or of one."""
    at = f"@{label}" if label else ""
    return (
        sums[f"strict.correct{at}"] + sums[f"strict.incorrect{at}"] + sums[f"strict.spurious{at}"]
    )


def output_scores(sums: CountTotals) -> dict[str, Array]:
    """Return exact match, and the four error rates, of outputs that were written as text."""
    found: dict[str, Array] = {}
    if "output.rows" in sums:
        found["exact_match"] = ratio(sums["output.exact"], sums["output.rows"])
    if "fidelity.outputs" in sums:
        found |= {
            fault: ratio(sums[f"fidelity.{fault}"], sums["fidelity.outputs"])
            for fault in FIDELITY_ERRORS
        }
    return found

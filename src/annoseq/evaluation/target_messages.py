"""Descriptions of thresholds: the scores to expect of a target, and targets out of reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.errors import count_noun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from annoseq.evaluation.coverage import CoverageTarget
    from annoseq.evaluation.recall_thresholds import RecallTarget


def coverage_expectation(target: CoverageTarget) -> str:
    """Describe the threshold, the expected counts, and the confidence in reaching the target."""
    expected = target.expected
    marks = (
        "marks tokens that lie in an identifier with a probability of at least "
        f"{target.threshold:.6f}"
    )
    counts = (
        f"{expected.coverage:.4f} of identifiers covered, {expected.clean_share:.1%} of documents "
        f"without a miss, {expected.other_share:.2%} of other tokens marked"
    )
    if target.statement:
        return f"certificate: {target.statement} It {marks}; when certified: {counts}"
    return (
        f"target coverage {target.target_coverage:g}: {marks}; expected: {counts}; confidence that "
        f"the target is reached: {_confidence(target.confidence)}"
    )


def coverage_warnings(target: CoverageTarget) -> Iterator[str]:
    """Describe a target coverage that may not be reached."""
    share, expected = target.target_coverage, target.expected
    if target.is_out_of_reach:
        yield (
            f"a coverage of {share:g} is out of reach: of "
            f"{count_noun(expected.identifiers, 'identifier')} that the model was validated on, "
            f"{expected.coverage:.4f} can be covered at all. It marks whatever may lie in one."
        )
    elif not target.confidence:
        yield (
            f"a coverage of {share:g} is not promised: of "
            f"{count_noun(expected.identifiers, 'identifier')} that the model was validated on, "
            "too few can be covered to leave room for chance. It marks whatever may lie in one."
        )


def recall_expectation(target: RecallTarget, probability: float) -> str:
    """Describe the threshold, the expected scores, and the confidence in reaching the target."""
    expected = target.expected
    confidence = _confidence(target.confidence)
    return (
        f"target recall {target.target_recall:g}: marks spans of a probability of at least "
        f"{probability:.4f}; expected recall {expected.recall:.4f}, expected precision "
        f"{expected.precision:.4f}; confidence that the target is reached: {confidence}"
    )


def recall_warnings(target: RecallTarget) -> Iterator[str]:
    """Describe a target recall that may not be reached."""
    recall, expected = target.target_recall, target.expected
    if target.is_out_of_reach:
        yield (
            f"a recall of {recall:g} is out of reach: of {count_noun(expected.gold, 'span')} that "
            f"the model was validated on, {expected.recall:.4f} can be found at all. It marks "
            "whatever may be such a span."
        )
    elif not target.has_margin:
        yield (
            f"a recall of {recall:g} is expected and not promised: of "
            f"{count_noun(expected.gold, 'span')} that the model was validated on, too few can be "
            "found to leave room for chance."
        )


def _confidence(percent: int) -> str:
    return f"{percent} %" if percent else "none"

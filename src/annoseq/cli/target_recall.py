"""`--target-recall`: thresholds of a model or for given predictions, and their output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from annoseq.cli.output import print_note
from annoseq.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from annoseq.evaluation.recall_thresholds import CandidateCounter, RecallTarget
    from annoseq.evaluation.score_file import RecallTargetScores, ScoreFile
    from annoseq.inference.annotator import Annotator


def _check_open_fraction(_: object, share: float | None) -> None:
    """Raise `ValueError` unless this is a share, or None."""
    if share is not None and not 0 < share < 1:
        raise ValueError("Give a share between 0 and 1, such as 0.99.")


TargetRecall = Annotated[
    float | None,
    Parameter(
        help="Share of the spans to find, such as 0.98: a tagger then marks less likely ones too, "
        "which costs precision.",
        validator=_check_open_fraction,
    ),
]
ScoreTargetRecall = Annotated[
    float | None,
    Parameter(
        help="Share of gold spans to find, such as 0.99: chooses from which score on spans are to "
        "be kept, and tells the precision to expect.",
        validator=_check_open_fraction,
    ),
]


def choose_recall_target(
    annotator: Annotator, target_recall: float | None, *, prints_expectation: bool = True
) -> RecallTarget | None:
    """Choose a threshold if a recall is asked for, and note on standard error what to expect.

    Raises:
        OptionError: the model knows nothing of the recall of its scores.
    """
    if target_recall is None:
        return None
    target = annotator.recall_target(target_recall)
    if prints_expectation:
        print_note(_expectation(target, annotator.calibrate_score(target.threshold)))
    for line in recall_warnings(target):
        print_note(line)
    return target


def _expectation(target: RecallTarget, probability: float) -> str:
    """Describe the threshold, the expected scores, and the confidence in reaching the target."""
    expected = target.expected
    confidence = f"{target.confidence} %" if target.has_margin else "none"
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
            f"a recall of {recall:g} is out of reach: of the {expected.gold:,} spans that the "
            f"model was validated on, {expected.recall:.4f} can be found at all. It marks whatever "
            "may be such a span."
        )
    elif not target.has_margin:
        yield (
            f"a recall of {recall:g} is expected and not promised: of the {expected.gold:,} spans "
            "that the model was validated on, too few can be found to leave room for chance."
        )


def recall_lines(target: RecallTargetScores, *, is_in_sample: bool) -> Iterator[str]:
    """Render a recall target of a model; `is_in_sample` if the scored rows chose the threshold."""
    assert target.probability is not None
    assert target.measured is not None
    expected, measured = target.expected, target.measured
    yield ""
    yield f"marked are spans of a probability of at least {target.probability:.4f}:"
    yield (
        f"  recall     wanted {target.wanted:.4f}, expected {expected.recall:.4f}, "
        f"measured {measured.recall:.4f}"
    )
    yield f"  precision  expected {expected.precision:.4f}, measured {measured.precision:.4f}"
    yield f"  confidence that the wanted recall is reached: {target.confidence:.0%}"
    if is_in_sample:
        yield "  these are the rows that the probability was chosen on: other rows may differ"


def choose_threshold(
    scores: ScoreFile, candidates: CandidateCounter, target_recall: float | None
) -> RecallTarget | None:
    """Choose a threshold for given predictions, if a recall is asked for.

    Raises:
        OptionError: no predicted span has a score.
    """
    if target_recall is None:
        return None
    if "calibration_error" not in scores.scores:
        raise OptionError(
            "--target-recall needs predicted spans with scores, and none has one. Leave it off."
        )
    return candidates.counts().choose_threshold(target_recall)


def threshold_lines(target: RecallTarget) -> Iterator[str]:
    """Render a threshold for given predictions, and its scores on the same rows."""
    expected = target.expected
    yield ""
    yield (
        f"for a recall of {target.target_recall:g}, keep spans with a score of at least "
        f"{target.threshold:.4f}:"
    )
    yield f"  recall {expected.recall:.4f}, precision {expected.precision:.4f} on these rows"
    if target.is_out_of_reach:
        yield (
            f"  out of reach: only {expected.recall:.4f} of the {expected.gold:,} gold spans were "
            "predicted at all"
        )
    elif not target.has_margin:
        yield "  no margin for chance: too few gold spans were predicted; other rows may differ"

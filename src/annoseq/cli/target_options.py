"""`--target-recall` and `--target-coverage`: thresholds of a model, and what to expect of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from annoseq.cli.options import fingerprint_file
from annoseq.cli.output import print_note
from annoseq.errors import OptionError, count_noun
from annoseq.evaluation.certificate import read_certificate
from annoseq.evaluation.coverage import CoverageTarget
from annoseq.inference.predictor import check_marginals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from annoseq.evaluation.recall_thresholds import CandidateCounter, RecallTarget
    from annoseq.evaluation.score_file import RecallTargetScores, ScoreFile
    from annoseq.inference.annotator import Annotator
    from annoseq.inference.predictor import Target


_DEFAULT_COVERAGE = 0.99
"""Coverage that redaction aims at by itself."""


def check_open_fraction(_: object, share: float | None) -> None:
    """Raise `ValueError` unless this is a share, or None."""
    if share is not None and not 0 < share < 1:
        raise ValueError("Give a share between 0 and 1, such as 0.99.")


TargetRecall = Annotated[
    float | None,
    Parameter(
        help="Share of the spans to find, such as 0.98: a tagger then marks less likely ones too, "
        "which costs precision.",
        validator=check_open_fraction,
    ),
]
TargetCoverage = Annotated[
    float | None,
    Parameter(
        help="Share of the identifiers to cover, such as 0.99: a tagger then marks every token "
        "that may lie in one, whatever its label and edges.",
        validator=check_open_fraction,
    ),
]
ScoreTargetRecall = Annotated[
    float | None,
    Parameter(
        help="Share of gold spans to find, such as 0.99: chooses from which score on spans are to "
        "be kept, and tells the precision to expect.",
        validator=check_open_fraction,
    ),
]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class TargetOptions:
    """Target recall or target coverage, if one is given."""

    target_recall: TargetRecall = None
    target_coverage: TargetCoverage = None
    certificate: Annotated[
        Path | None,
        Parameter(help="Certificate of `annoseq certify`: mark what its threshold marks."),
    ] = None

    def settings(self) -> dict[str, float | str | None]:
        """Return the targets by name; of a certificate, its fingerprint."""
        return {
            "target_coverage": self.target_coverage,
            "target_recall": self.target_recall,
            "certificate": fingerprint_file(self.certificate),
        }

    def given(self) -> dict[str, float | Path]:
        """Return the targets that are given, by option."""
        targets = {
            "--target-coverage": self.target_coverage,
            "--target-recall": self.target_recall,
            "--certificate": self.certificate,
        }
        return {name: value for name, value in targets.items() if value is not None}


BestPath = Annotated[
    bool,
    Parameter(
        help="Replace the likeliest spans only. By default a coverage of 0.99 is aimed at, where "
        "the model's calibration allows it.",
        negative="",
    ),
]


def check_targets(targets: TargetOptions, *, best_path: bool, min_score: float) -> None:
    """Raise `OptionError` if redaction is both to find what is less likely and to leave it."""
    limits = {"--min-score": min_score, "--best-path": best_path}
    for option, value in limits.items():
        for name in targets.given():
            if value:
                raise OptionError(
                    f"{option} leaves alone what {name} asks to find. Leave one of them off."
                )


def add_default_coverage(targets: TargetOptions, annotator: Annotator) -> TargetOptions:
    """Return the targets of a redaction: the given ones, or else the default coverage.

    A note on standard error says why a model does not allow that.
    """
    if targets.given():
        return targets
    return TargetOptions(target_coverage=_default_coverage(annotator))


def choose_target(
    annotator: Annotator, targets: TargetOptions, *, prints_expectation: bool = True
) -> Target | None:
    """Choose a threshold if a target is given, and note on standard error what to expect.

    Raises:
        OptionError: both are given, or the model has no calibration for it.
    """
    target = _choose(annotator, targets)
    if isinstance(target, CoverageTarget):
        if prints_expectation:
            print_note(coverage_expectation(target))
        for line in coverage_warnings(target):
            print_note(line)
    elif target is not None:
        if prints_expectation:
            print_note(_expectation(target, annotator.calibrate_score(target.threshold)))
        for line in recall_warnings(target):
            print_note(line)
    return target


def _choose(annotator: Annotator, targets: TargetOptions) -> Target | None:
    if targets.certificate is None:
        return annotator.choose_target(
            target_recall=targets.target_recall, target_coverage=targets.target_coverage
        )
    if others := set(targets.given()) - {"--certificate"}:
        raise OptionError(
            f"--certificate has its own threshold, and {others.pop()} asks for another. Leave one "
            "of them off."
        )
    check_marginals(annotator.predictor, kind="coverage")
    return read_certificate(targets.certificate).target(
        model=annotator.fingerprint, name=str(targets.certificate)
    )


def _default_coverage(annotator: Annotator) -> float | None:
    """Return the default coverage of redaction, or None, with a note, if the model allows none."""
    if not annotator.predictor.gives_marginals:
        reason = "this model writes its output, and does not know what else may be an identifier"
    elif annotator.calibration is None:
        reason = "this model has no calibration: it was validated on too few spans"
    else:
        target = annotator.calibration.coverage.choose_threshold(_DEFAULT_COVERAGE)
        if target.confidence:
            return _DEFAULT_COVERAGE
        reason = (
            f"of {count_noun(target.expected.identifiers, 'identifier')} that this model was "
            f"validated on, too few can be covered for a coverage of {_DEFAULT_COVERAGE:g}"
        )
    print_note(f"replaces the likeliest spans only: {reason}. Measure what it misses with --gold.")
    return None


def coverage_expectation(target: CoverageTarget) -> str:
    """Describe the threshold, the expected counts, and the confidence in reaching the target."""
    expected = target.expected
    return (
        f"target coverage {target.target_coverage:g}: marks tokens that lie in an identifier with "
        f"a probability of at least {target.threshold:.6f}; expected: {expected.coverage:.4f} of "
        f"identifiers covered, {expected.clean_share:.1%} of documents without a miss, "
        f"{expected.other_share:.2%} of other tokens marked; confidence that the target is "
        f"reached: {_confidence(target.confidence)}"
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


def _confidence(percent: int) -> str:
    return f"{percent} %" if percent else "none"


def _expectation(target: RecallTarget, probability: float) -> str:
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
            f"  out of reach: only {expected.recall:.4f} of "
            f"{count_noun(expected.gold, 'gold span')} can be found"
        )
    elif not target.has_margin:
        yield "  no margin for chance: too few gold spans were predicted; other rows may differ"

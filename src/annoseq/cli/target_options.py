"""`--target-recall` and `--target-coverage`: thresholds of a model, and what to expect of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from annoseq.cli.output import print_note
from annoseq.cli.resource_options import fingerprint_file
from annoseq.errors import OptionError, count_noun
from annoseq.evaluation.certificate import read_certificate
from annoseq.evaluation.coverage import CoverageTarget
from annoseq.evaluation.target_messages import (
    coverage_expectation,
    coverage_warnings,
    recall_expectation,
    recall_warnings,
)
from annoseq.inference.predictor import check_marginals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from annoseq.evaluation.recall_thresholds import CandidateCounter, RecallTarget
    from annoseq.evaluation.score_file import RecallTargetScores, ScoreFile
    from annoseq.inference.annotator import Annotator
    from annoseq.inference.predictor import Target


def check_open_fraction(_: object, share: float | None) -> None:
    """Raise `ValueError` unless this is a share, or None."""
    if share is not None and not 0 < share < 1:
        raise ValueError("Give a share between 0 and 1, such as 0.99.")


TargetRecall = Annotated[
    float | None,
    Parameter(
        help="Share of the spans to find, such as 0.98: a tagger then marks less likely ones too, "
        "which costs precision. For exact spans; to hide text, take --target-coverage.",
        validator=check_open_fraction,
    ),
]
TargetCoverage = Annotated[
    float | None,
    Parameter(
        help="Share of the identifiers to cover, such as 0.99: a tagger then marks every token "
        "that may lie in one, whatever its label and edges. To hide text.",
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


def add_default_coverage(targets: TargetOptions, annotator: Annotator) -> TargetOptions:
    """Return the targets of a redaction: the given ones, or else the default coverage.

    A note on standard error says why a model does not allow that, or what it costs.
    """
    from annoseq.deid.redaction_target import default_coverage

    if targets.given():
        return targets
    default = default_coverage(annotator)
    if default.coverage is None:
        print_note(f"warning: {default.remark}. Measure what it misses with --gold.")
    elif default.remark:
        print_note(
            f"warning: {default.remark}. --best-path replaces the likeliest spans alone, and a "
            "lower --target-coverage fewer tokens; more training pairs help most."
        )
    return TargetOptions(target_coverage=default.coverage)


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
            print_note(recall_expectation(target, annotator.calibrate_score(target.threshold)))
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

"""Target of a redaction: the coverage that it aims at by itself, and options that exclude one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from annoseq.errors import OptionError, count_noun

if TYPE_CHECKING:
    from collections.abc import Iterable

    from annoseq.inference.annotator import Annotator

DEFAULT_COVERAGE = 0.99
"""Coverage that redaction aims at by itself."""
_MUCH = 0.05
"""Share of other tokens from which on their loss is worth a warning."""


class DefaultCoverage(NamedTuple):
    """Coverage to aim at, or None.

    `remark` says why there is none, or that it costs much; it is empty where neither is so.
    """

    coverage: float | None
    remark: str = ""


def check_redaction_targets(targets: Iterable[str], *, best_path: bool, min_score: float) -> None:
    """Raise `OptionError` if redaction is both to find what is less likely and to leave it.

    `targets` are the options of targets that are given.
    """
    limits = {"--min-score": min_score, "--best-path": best_path}
    for option, value in limits.items():
        for name in targets:
            if value:
                raise OptionError(
                    f"{option} leaves alone what {name} asks to find. Leave one of them off."
                )


def default_coverage(annotator: Annotator) -> DefaultCoverage:
    """Return the coverage that a redaction aims at where nothing else is asked for."""
    if not annotator.predictor.gives_marginals:
        reason = "this model writes its output, and does not know what else may be an identifier"
    elif annotator.calibration is None:
        reason = "this model has no calibration: it was validated on too few spans"
    else:
        target = annotator.calibration.coverage.choose_threshold(DEFAULT_COVERAGE)
        if target.confidence:
            return DefaultCoverage(DEFAULT_COVERAGE, _cost(target.expected.other_share))
        reason = (
            f"of {count_noun(target.expected.identifiers, 'identifier')} that this model was "
            f"validated on, too few can be covered for a coverage of {DEFAULT_COVERAGE:g}"
        )
    return DefaultCoverage(None, f"replaces the likeliest spans only: {reason}")


def _cost(share: float) -> str:
    if share <= _MUCH:
        return ""
    return (
        f"a coverage of {DEFAULT_COVERAGE:g} is expected to replace {share:.1%} of the other "
        "tokens as well, because the model is unsure"
    )

"""`--target-recall` of the commands that find spans, and what is said about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from annoseq.cli.console import note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from annoseq.annotator.annotator import Annotator
    from annoseq.evaluation.evidence import Wanted


def check_share(_: object, share: float | None) -> None:
    """Raise `ValueError` unless this is a share, or nothing."""
    if share is not None and not 0 < share < 1:
        raise ValueError("Give a share between 0 and 1, such as 0.99.")


TargetRecall = Annotated[
    float | None,
    Parameter(
        help="Share of the spans to find, such as 0.98: a tagger then marks less likely ones too, "
        "which costs precision.",
        validator=check_share,
    ),
]


def wanted_of(annotator: Annotator, target_recall: float | None) -> Wanted | None:
    """Choose thresholds if it is asked for, and say on standard error what they cannot do.

    Raises:
        OptionError: the model knows nothing of the recall of its scores.
    """
    if target_recall is None:
        return None
    wanted = annotator.wanted(target_recall)
    for line in doubts(wanted):
        note(line)
    return wanted


def doubts(wanted: Wanted) -> Iterator[str]:
    """Say what thresholds do not promise."""
    target, expected = wanted.thresholds.target_recall, wanted.expected
    if wanted.is_out_of_reach:
        yield (
            f"a recall of {target:g} is out of reach: of the {expected.gold:,} spans that the "
            f"model was validated on, {expected.recall:.4f} can be found at all. It marks whatever "
            "may be such a span."
        )
    elif not wanted.is_promised:
        yield (
            f"a recall of {target:g} is expected and not promised: of the {expected.gold:,} spans "
            "that the model was validated on, too few can be found to leave room for chance."
        )


def recall_record(
    wanted: Wanted, annotator: Annotator, scores: dict[str, dict[str, float]]
) -> dict[str, Any]:
    """Return as plain values what was wanted, expected and measured."""
    return {
        "wanted": wanted.thresholds.target_recall,
        "probability": round(annotator.probability(wanted.thresholds.overall), 6),
        "confidence": wanted.confidence / 100,
        "out_of_reach": wanted.is_out_of_reach,
        "expected": {
            "recall": round(wanted.expected.recall, 6),
            "precision": round(wanted.expected.precision, 6),
        },
        "measured": {
            "recall": scores["span_recall"]["value"],
            "precision": scores["span_precision"]["value"],
        },
    }


def recall_lines(record: dict[str, Any], *, has_chosen: bool) -> Iterator[str]:
    """Write what `recall_record` returned; `has_chosen` says that these rows chose the thresholds.

    Expected is what came out on the rows that the model was validated on.
    """
    expected, measured = record["expected"], record["measured"]
    yield ""
    yield f"marked are spans of a probability of at least {record['probability']:.4f}:"
    yield (
        f"  recall     wanted {record['wanted']:.4f}, expected {expected['recall']:.4f}, "
        f"measured {measured['recall']:.4f}"
    )
    yield (
        f"  precision  expected {expected['precision']:.4f}, measured {measured['precision']:.4f}"
    )
    if has_chosen:
        yield "  these are the rows that the probability was chosen on: other rows may differ"

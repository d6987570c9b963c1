"""Options and output shared by the commands that score spans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from annoseq.atomic_io import check_writable
from annoseq.cli.output import print_note, print_result
from annoseq.data.tables import read_rows
from annoseq.errors import OptionError
from annoseq.evaluation.counts import group_by_document
from annoseq.evaluation.promise import make_promise, promise_lines
from annoseq.evaluation.scorer import score_lines
from annoseq.reporting.html_page import EmbeddedImage, import_jinja

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from annoseq.config import ColumnsConfig
    from annoseq.evaluation.counts import SpanComparison
    from annoseq.evaluation.recall_thresholds import RecallTarget
    from annoseq.evaluation.scorer import Scorer
    from annoseq.inference.annotator import Annotator


def check_open_fraction(_: object, share: float | None) -> None:
    """Raise `ValueError` unless this is a share, or nothing."""
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


def choose_thresholds(annotator: Annotator, target_recall: float | None) -> RecallTarget | None:
    """Choose thresholds if it is asked for, and say on standard error what they cannot do.

    Raises:
        OptionError: the model knows nothing of the recall of its scores.
    """
    if target_recall is None:
        return None
    wanted = annotator.wanted(target_recall)
    for line in doubts(wanted):
        print_note(line)
    return wanted


def doubts(wanted: RecallTarget) -> Iterator[str]:
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
    wanted: RecallTarget, annotator: Annotator, scores: dict[str, dict[str, float]]
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


JsonPath = Annotated[Path | None, Parameter(name="--json", help="Scores to write as JSON.")]
ReportPath = Annotated[
    Path | None, Parameter(help="Report to write: one HTML file, with every error in its context.")
]
Redact = Annotated[
    bool,
    Parameter(help="Write shapes instead of texts into the report (Aaa 00.0.00).", negative=""),
]
Pictures = Annotated[
    list[Path] | None,
    Parameter(
        help="Picture to show in the report (.png, .svg), such as the curves that `annoseq train "
        "--plot` drew. Give it several times for several.",
        negative="",
    ),
]
TextScores = Annotated[
    bool, Parameter(help="Score the outputs as text too: BLEU, chrF and TER.", negative="")
]
ScoreTargetRecall = Annotated[
    float | None,
    Parameter(
        help="Share of gold spans to find, such as 0.99: chooses from which score on spans are to "
        "be kept, and tells the precision to expect.",
        validator=check_open_fraction,
    ),
]
Seen = Annotated[
    Path | None,
    Parameter(help="Table of the training pairs: rows whose text it lacks are scored apart too."),
]


def rehearse_outputs(
    json: Path | None, report: Path | None, *others: Path | None, overwrite: bool
) -> None:
    """Raise now if something could not be written later, or jinja2 is lacking for a report."""
    for path in (json, report, *others):
        if path:
            check_writable(path, overwrite=overwrite)
    if report:
        import_jinja()


def read_pictures(paths: list[Path] | None) -> list[EmbeddedImage]:
    """Read pictures for the report."""
    return [EmbeddedImage.read(path) for path in paths or ()]


def texts_of(path: Path, columns: ColumnsConfig) -> Iterator[str]:
    """Read the sources of a table, one at a time."""
    for row in read_rows(path, columns=[columns.source]):
        yield row.values[columns.source]


def tell_scores(scorer: Scorer, *more: str) -> None:
    """Print all scores, those of the rows that were not trained on, if that is known, and more."""
    for line in score_lines(scorer.all):
        print_result(line)
    part = scorer.unseen
    if part.rows:
        print_result("")
        print_result(f"the {part.rows:,} of {scorer.all.rows:,} rows whose text was not trained on:")
        for line in score_lines(part, apart=True):
            print_result(line)
    for line in more:
        print_result(line)


def add_promise(
    record: dict[str, Any], rows: Iterable[SpanComparison], *, target_recall: float | None
) -> list[str]:
    """Choose thresholds if it is asked for, add them to what `--json` writes, and describe them.

    Raises:
        OptionError: no predicted span has a score.
    """
    if target_recall is None:
        return []
    if "calibration_error" not in record["scores"]:
        raise OptionError(
            "--target-recall needs predicted spans with scores, and none has one. Leave it off."
        )
    promise = make_promise(group_by_document(rows), target_recall=target_recall)
    record["thresholds"] = promise.to_dict()
    return list(promise_lines(promise))

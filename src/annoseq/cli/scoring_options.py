"""Options and output that the commands which score spans share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from annoseq.atomic_io import check_writable
from annoseq.cli.output import print_note, print_result
from annoseq.data.tables import read_rows
from annoseq.evaluation.scorer import score_lines
from annoseq.reporting.html_page import EmbeddedImage, import_jinja

if TYPE_CHECKING:
    from collections.abc import Iterator

    from annoseq.config import ColumnsConfig
    from annoseq.evaluation.recall_thresholds import RecallTarget
    from annoseq.evaluation.score_file import RecallTargetScores
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


def choose_recall_target(annotator: Annotator, target_recall: float | None) -> RecallTarget | None:
    """Choose a threshold if a recall is asked for, and note on standard error what is doubtful.

    Raises:
        OptionError: the model knows nothing of the recall of its scores.
    """
    if target_recall is None:
        return None
    target = annotator.recall_target(target_recall)
    for line in recall_warnings(target):
        print_note(line)
    return target


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
    if is_in_sample:
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


def check_outputs(
    json: Path | None, report: Path | None, *others: Path | None, overwrite: bool
) -> None:
    """Raise now if an output could not be written later, or if jinja2 is missing for a report."""
    for path in (json, report, *others):
        if path:
            check_writable(path, overwrite=overwrite)
    if report:
        import_jinja()


def read_images(paths: list[Path] | None) -> list[EmbeddedImage]:
    """Read pictures for the report."""
    return [EmbeddedImage.read(path) for path in paths or ()]


def read_sources(path: Path, columns: ColumnsConfig) -> Iterator[str]:
    """Read the sources of a table, one at a time."""
    for row in read_rows(path, columns=[columns.source]):
        yield row.values[columns.source]


def print_scores(scorer: Scorer, *more: str) -> None:
    """Print all scores, those of the rows that were not trained on, if known, and more lines."""
    for line in score_lines(scorer.all):
        print_result(line)
    unseen = scorer.unseen
    if unseen.rows:
        print_result("")
        print_result(
            f"the {unseen.rows:,} of {scorer.all.rows:,} rows whose text was not trained on:"
        )
        for line in score_lines(unseen, main_only=True):
            print_result(line)
    for line in more:
        print_result(line)

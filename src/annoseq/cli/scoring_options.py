"""Options and output that the commands which score spans share, `--target-recall` among them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from annoseq.atomic_io import check_writable
from annoseq.cli.options import Overwrite
from annoseq.cli.output import print_note, print_result
from annoseq.data.tables import read_rows
from annoseq.errors import OptionError
from annoseq.evaluation.references import SeenTexts
from annoseq.evaluation.score_file import write_score_file
from annoseq.evaluation.scorer import score_lines
from annoseq.reporting.html_page import EmbeddedImage, import_jinja
from annoseq.reporting.report import ReportData, write_report

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from annoseq.config import ColumnsConfig
    from annoseq.evaluation.counts import SpanComparison
    from annoseq.evaluation.recall_thresholds import CandidateCounter, RecallTarget
    from annoseq.evaluation.score_file import RecallTargetScores, ScoreFile
    from annoseq.evaluation.scorer import Scorer
    from annoseq.inference.annotator import Annotator


TextScores = Annotated[
    bool, Parameter(help="Score the outputs as text too: BLEU, chrF and TER.", negative="")
]
Seen = Annotated[
    Path | None,
    Parameter(help="Table of the training pairs: rows whose text it lacks are scored apart too."),
]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreOutputOptions:
    """Options of the scores and the report that are written."""

    json_path: Annotated[Path | None, Parameter(name="--json", help="Scores to write as JSON.")] = (
        None
    )
    report: Annotated[
        Path | None,
        Parameter(help="Report to write: one HTML file, with every error in its context."),
    ] = None
    redact: Annotated[
        bool,
        Parameter(help="Write shapes instead of texts into the report (Aaa 00.0.00).", negative=""),
    ] = False
    pictures: Annotated[
        list[Path] | None,
        Parameter(
            help="Picture to show in the report (.png, .svg), such as the curves that `annoseq "
            "train --plot` drew. Give it several times for several.",
            negative="",
        ),
    ] = None
    overwrite: Overwrite = False

    def check(self, *others: Path | None) -> list[EmbeddedImage]:
        """Return the pictures, after checking that these and other outputs can be written.

        Raises:
            OptionError: jinja2 is not installed, or a picture cannot be read.
            OutputError: an output exists already, or cannot be written.
        """
        for path in (self.json_path, self.report, *others):
            if path:
                check_writable(path, overwrite=self.overwrite)
        if self.report:
            import_jinja()
        return [EmbeddedImage.read(path) for path in self.pictures or ()]

    def write(self, scores: ScoreFile, rows: Sequence[SpanComparison], data: ReportData) -> None:
        """Write the scores and the report, if they are asked for."""
        if self.json_path:
            write_score_file(scores, self.json_path, overwrite=self.overwrite)
        if self.report:
            write_report(
                scores,
                rows,
                self.report,
                data=data,
                redact=self.redact,
                overwrite=self.overwrite,
            )


def read_seen_texts(path: Path, columns: ColumnsConfig) -> SeenTexts:
    """Read the sources of a table of training pairs, one at a time."""
    return SeenTexts(
        row.values[columns.source] for row in read_rows(path, columns=[columns.source])
    )


_LABELS_NAMED = 5
"""Labels of each side that a warning names."""


def print_label_warning(
    gold: Collection[str], predicted: Collection[str], *, predicted_by: str
) -> None:
    """Print a warning if the labels of the gold spans and those of a predictor are disjoint."""
    if gold and predicted and set(gold).isdisjoint(predicted):
        print_note(
            f"warning: the table and {predicted_by} have no label in common, so that all scores of "
            f"labels are 0: the table has {_first_labels(gold)}, and {predicted_by} "
            f"{_first_labels(predicted)}. Is it the right table? `annoseq import --map` renames "
            "labels."
        )


def _first_labels(labels: Collection[str]) -> str:
    """Return the first labels in alphabetical order, and the number of the others."""
    names = sorted(labels)
    count = len(names) - _LABELS_NAMED
    return ", ".join(names[:_LABELS_NAMED]) + (f" and {count:,} more" if count > 0 else "")


def print_scores(
    scorer: Scorer, *more: str, accuracies: Mapping[str, float | None] | None = None
) -> None:
    """Print all scores, those of the rows that were not trained on, if known, and more lines.

    `accuracies` are those of a model that writes; what is None is not printed.

    Spans that were there twice are counted on standard error.
    """
    for side in ("gold", "predicted"):
        if repeated := scorer.all.counts[f"repeated.{side}"]:
            print_note(f"repeated {side} spans, each counted once: {repeated:,}")
    known = {name: value for name, value in (accuracies or {}).items() if value is not None}
    for line in score_lines(scorer.all, accuracies=known):
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

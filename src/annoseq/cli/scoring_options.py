"""Options and output that the commands which score spans share, `--target-recall` among them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from annoseq.atomic_io import check_writable
from annoseq.cli.options import Overwrite
from annoseq.cli.output import print_note, print_result
from annoseq.data.tables import read_rows
from annoseq.errors import count_noun
from annoseq.evaluation.references import SeenTexts
from annoseq.evaluation.sample_size import read_learning_curve
from annoseq.evaluation.score_file import write_score_file
from annoseq.evaluation.scorer import score_lines
from annoseq.reporting.html_page import EmbeddedImage, import_jinja
from annoseq.reporting.report import ReportData, write_report

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from annoseq.config import ColumnsConfig
    from annoseq.evaluation.counts import SpanComparison
    from annoseq.evaluation.score_file import ScoreFile
    from annoseq.evaluation.scorer import Scorer


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
    learning_curve: Annotated[
        Path | None,
        Parameter(
            name="--learning-curve",
            help="Folder that `annoseq curve` wrote, for a section of the report.",
        ),
    ] = None
    overwrite: Overwrite = False

    def check(self, *others: Path | None) -> list[EmbeddedImage]:
        """Return the pictures, after checking that these and other outputs can be written.

        Raises:
            OptionError: jinja2 is not installed, or a picture cannot be read.
            TableError: the learning curve cannot be read.
            OutputError: an output exists already, or cannot be written.
        """
        for path in (self.json_path, self.report, *others):
            if path:
                check_writable(path, overwrite=self.overwrite)
        if self.report:
            import_jinja()
        if self.learning_curve:
            read_learning_curve(self.learning_curve)  # refused before the work
        return [EmbeddedImage.read(path) for path in self.pictures or ()]

    def write(self, scores: ScoreFile, rows: Sequence[SpanComparison], data: ReportData) -> None:
        """Write the scores and the report, if they are asked for."""
        if self.json_path:
            write_score_file(scores, self.json_path, overwrite=self.overwrite)
        if self.report:
            curve = read_learning_curve(self.learning_curve) if self.learning_curve else None
            write_report(
                scores,
                rows,
                self.report,
                data=replace(data, learning_curve=curve),
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
            f"the {unseen.rows:,} of {count_noun(scorer.all.rows, 'row')} whose text was not "
            "trained on:"
        )
        for line in score_lines(unseen, main_only=True):
            print_result(line)
    for line in more:
        print_result(line)

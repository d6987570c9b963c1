"""What `annoseq evaluate` and `annoseq score` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from annoseq.cli.console import say
from annoseq.cli.recall import check_share
from annoseq.errors import OptionError
from annoseq.evaluation.comparison import by_document
from annoseq.evaluation.promise import make_promise, promise_lines
from annoseq.evaluation.view import score_lines
from annoseq.files import rehearse
from annoseq.pairs.tables import read_rows
from annoseq.reporting.page import import_jinja
from annoseq.reporting.pictures import Picture

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from annoseq.config import ColumnsConfig
    from annoseq.evaluation.comparison import Comparison
    from annoseq.evaluation.scorer import Scorer


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
TargetRecall = Annotated[
    float | None,
    Parameter(
        help="Share of gold spans to find, such as 0.99: chooses from which score on spans are to "
        "be kept, and tells the precision to expect.",
        validator=check_share,
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
            rehearse(path, overwrite=overwrite)
    if report:
        import_jinja()


def read_pictures(paths: list[Path] | None) -> list[Picture]:
    """Read pictures for the report."""
    return [Picture.read(path) for path in paths or ()]


def texts_of(path: Path, columns: ColumnsConfig) -> Iterator[str]:
    """Read the sources of a table, one at a time."""
    for row in read_rows(path, columns=[columns.source]):
        yield row.values[columns.source]


def tell_scores(scorer: Scorer, *more: str) -> None:
    """Print all scores, those of the rows that were not trained on, if that is known, and more."""
    for line in score_lines(scorer.all):
        say(line)
    part = scorer.unseen
    if part.rows:
        say("")
        say(f"the {part.rows:,} of {scorer.all.rows:,} rows whose text was not trained on:")
        for line in score_lines(part, apart=True):
            say(line)
    for line in more:
        say(line)


def add_promise(
    record: dict[str, Any], rows: Iterable[Comparison], *, target_recall: float | None
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
    promise = make_promise(by_document(rows), target_recall=target_recall)
    record["thresholds"] = promise.to_dict()
    return list(promise_lines(promise))

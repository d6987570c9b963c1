"""Coverage scores of an evaluation: the trade-off curve, and the point of a target on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, ConfigDict

from annoseq.evaluation.coverage import CoveragePoint
from annoseq.evaluation.coverage_counter import MissedIdentifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from annoseq.evaluation.coverage import CoverageTarget

_SHARES = (0.98, 0.99, 0.995, 0.998)
"""Coverages whose points on the curve are printed."""

_WIDTHS = {
    "covered": 9,
    "characters": 12,
    "documents": 11,
    "patients": 10,
    "other tokens": 14,
    "precision": 11,
}
"""Columns of the table, and their widths."""
_COLUMNS = {name: name for name in _WIDTHS}


class LabelCoverage(BaseModel):
    """Numbers of identifiers of a label, and of those covered at the chosen point."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    identifiers: int
    covered: int


class CoverageTargetScores(BaseModel):
    """Target coverage, and its counts on the rows that chose its threshold and on these.

    `confidence` is a share, and `statement` that of a certificate: see `CoverageTarget`.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    wanted: float
    confidence: float
    out_of_reach: bool
    expected: CoveragePoint
    measured: CoveragePoint
    statement: str = ""

    @property
    def name(self) -> str:
        """Name of the threshold in a table."""
        return "certificate" if self.statement else f"target {self.wanted:g}"


class CoverageScores(BaseModel):
    """Coverage by the best path, at all thresholds, and at that of a target if there is one.

    `labels` is the coverage of each label at the target, or by the best path without one, and
    `missed` are the identifiers that are not covered there. If `is_propagated`, it is what
    redaction covers: values found once are covered everywhere.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    best_path: CoveragePoint
    curve: list[CoveragePoint]
    labels: dict[str, LabelCoverage]
    target: CoverageTargetScores | None = None
    is_propagated: bool = False
    missed: tuple[MissedIdentifier, ...] = ()


class CoverageMeasure(Protocol):
    """Coverage of some rows by threshold: of what a model marks, or of what is redacted."""

    def point(self, threshold: float) -> CoveragePoint:
        """Return the counts at a threshold."""
        ...

    def curve(self) -> list[CoveragePoint]:
        """Return points of the curve, highest threshold first."""
        ...

    def point_for(self, share: float) -> CoveragePoint | None:
        """Return the point of the highest threshold that covers a share, or None."""
        ...

    def coverage_by_label(self, threshold: float) -> dict[str, tuple[int, int]]:
        """Return the number of identifiers of each label, and of those covered at a threshold."""
        ...


def make_coverage_scores(
    counts: CoverageMeasure,
    target: CoverageTarget | None,
    *,
    missed: Iterable[MissedIdentifier] = (),
    is_propagated: bool = False,
) -> CoverageScores:
    """Return the scores of the rows that were counted; `missed` are those at the target."""
    best = counts.point(1.0)
    chosen = best if target is None else counts.point(target.threshold)
    return CoverageScores(
        best_path=best,
        curve=counts.curve(),
        labels={
            label: LabelCoverage(identifiers=identifiers, covered=covered)
            for label, (identifiers, covered) in counts.coverage_by_label(chosen.threshold).items()
        },
        target=None if target is None else _target_scores(target, chosen),
        is_propagated=is_propagated,
        missed=tuple(missed),
    )


def _target_scores(target: CoverageTarget, measured: CoveragePoint) -> CoverageTargetScores:
    return CoverageTargetScores(
        wanted=target.target_coverage,
        confidence=target.confidence / 100,
        out_of_reach=target.is_out_of_reach,
        expected=target.expected,
        measured=measured,
        statement=target.statement,
    )


def coverage_lines(counts: CoverageMeasure, scores: CoverageScores) -> Iterator[str]:
    """Render the best path, the target, and points of the curve as a table.

    The shares of documents and patients are those without a missed identifier; patients are left
    out where they are not known. What was expected at the target is what the model marks.
    """
    has_patients = scores.best_path.patients > 0
    yield ""
    title = "coverage of redaction" if scores.is_propagated else "coverage of identifiers"
    yield _row(title, _COLUMNS, has_patients=has_patients)
    yield _line("best path", scores.best_path, has_patients=has_patients)
    if scores.target:
        yield _line(scores.target.name, scores.target.measured, has_patients=has_patients)
        yield _line("  expected", scores.target.expected, has_patients=has_patients)
    for share in _SHARES:
        if scores.best_path.coverage >= share:
            continue
        name = f"{share:g}, chosen on these"
        point = counts.point_for(share)
        if point is None:
            yield f"{name:24}{'out of reach':>14}"
            return
        yield _line(name, point, has_patients=has_patients)


def _line(name: str, point: CoveragePoint, *, has_patients: bool) -> str:
    cells = {
        "covered": f"{point.coverage:.4f}",
        "characters": f"{point.character_coverage:.4f}",
        "documents": f"{point.clean_share:.4f}",
        "patients": f"{point.clean_patient_share:.4f}" if point.patients else "",
        "other tokens": f"{point.other_share:.4%}",
        "precision": f"{point.precision:.4f}",
    }
    return _row(name, cells, has_patients=has_patients)


def _row(name: str, cells: Mapping[str, str], *, has_patients: bool) -> str:
    shown = [
        f"{cells[column]:>{width}}"
        for column, width in _WIDTHS.items()
        if has_patients or column != "patients"
    ]
    return f"{name:24}{''.join(shown)}"

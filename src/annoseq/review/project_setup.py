"""Making of a review project from texts or pairs and a model, and the opening of one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from annoseq.config import ColumnsConfig
from annoseq.errors import OptionError, PairsError, ReviewError, option_name
from annoseq.review.prediction import predict_documents
from annoseq.review.project import ReviewProject
from annoseq.review.project_input import (
    InputRow,
    fingerprint_input,
    make_documents,
    read_suspected,
)
from annoseq.review.project_records import DocumentPrediction
from annoseq.review.project_store import ProjectStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from annoseq.config import ReviewConfig
    from annoseq.inference.annotator import Annotator


@dataclass(frozen=True)
class ProjectPlan:
    """Parts of a new project: rows, folder of the model, table of an audit, design."""

    title: str
    rows: Sequence[InputRow] = field(repr=False)
    design: ReviewConfig
    columns: ColumnsConfig = field(default_factory=ColumnsConfig)
    model: Path | None = None
    audit: Path | None = None

    @property
    def has_pairs(self) -> bool:
        """True if the rows have spans already."""
        return any(row.gold is not None for row in self.rows)

    def check(self) -> None:
        """Raise an error if no project can be made of this.

        Raises:
            OptionError: an audit is given for texts, or neither a model nor an audit.
            PairsError: there is no text.
        """
        if not any(row.text.strip() for row in self.rows):
            raise PairsError(f"{self.title}: there is no text to review. Give at least one.")
        if self.audit is not None and not self.has_pairs:
            raise OptionError(
                "--audit is the audit of pairs, and the input is texts. Give the table of pairs "
                "that was audited."
            )
        if self.model is None and self.audit is None:
            raise OptionError(
                "a review shows what a model found, and there is none. Name its folder with "
                "--model, or an audit of the pairs with --audit."
            )


def make_project(
    path: Path,
    plan: ProjectPlan,
    annotator: Annotator | None,
    *,
    advance: Callable[[int], None] = lambda _: None,
) -> ReviewProject:
    """Predict all texts and write the project; a file that has nothing in it yet is filled.

    Raises:
        OptionError: the model cannot be used for this.
        PairsError: there is no text, or the audit is of other pairs.
        ReviewError: the file is another project or database.
        OutputError: the file cannot be written.
    """
    plan.check()
    suspected = None if plan.audit is None else read_suspected(plan.audit, plan.rows)
    documents = make_documents(
        plan.rows,
        seed=plan.design.draw_seed,
        random_share=plan.design.random_share,
        suspected=suspected,
    )
    texts = [document.text for document in documents]
    if annotator is None:
        predictions = [DocumentPrediction((), 0.0)] * len(texts)
    else:
        predictions = predict_documents(annotator, texts, advance=advance)
    store = ProjectStore.create(path)
    if not store.is_empty:
        store.close()
        raise ReviewError(
            f"{path} holds something else than a review project. Choose another name with "
            "--project."
        )
    store.fill(
        {
            "title": plan.title,
            "input": fingerprint_input(plan.rows),
            "is_audit": plan.audit is not None,
            "labels": [] if annotator is None else list(annotator.predictor.labels),
            "design": plan.design.model_dump(),
            "columns": plan.columns.model_dump(),
        },
        documents,
        model="" if plan.model is None else str(plan.model.resolve()),
        predictions=predictions,
    )
    return ReviewProject(store)


def open_project(
    path: Path,
    *,
    rows: Sequence[InputRow] | None = None,
    model: Path | None = None,
    audit: Path | None = None,
    design: ReviewConfig | None = None,
) -> ReviewProject:
    """Open a project that was made before; what is given must be that which it was made of.

    Raises:
        ReviewError: it is no project, or one of other texts, another model, another audit or
            another design.
        TableError: the table of the audit cannot be read.
        PairsError: the audit is of other pairs.
    """
    store = ProjectStore.open(path)
    problem = None
    if rows is not None and store.meta("input") != fingerprint_input(rows):
        problem = "was made of other texts. Leave them off to go on with it"
    elif audit is not None and not _is_audit_of(store, audit):
        problem = "was made without this audit. Leave --audit off to go on with it"
    if model is not None and str(model.resolve()) not in {each.path for each in store.models()}:
        problem = "was made with another model. Leave --model off to go on with it"
    for name in sorted(design.model_fields_set if design else ()):
        if getattr(design, name) != store.meta("design")[name]:
            option = option_name(name)
            problem = f"was made with another {option}. Leave {option} off to go on with it"
    if problem is not None:
        store.close()
        raise ReviewError(f"{path} {problem}, or choose another name with --project.")
    return ReviewProject(store)


def project_columns(path: Path) -> ColumnsConfig:
    """Return the columns of the table that a project was made of.

    Raises:
        ReviewError: it is no project.
    """
    store = ProjectStore.open(path)
    try:
        return ColumnsConfig.model_validate(store.meta("columns") or {})
    finally:
        store.close()


def _is_audit_of(store: ProjectStore, audit: Path) -> bool:
    """Return True if the table of an audit is that of a project."""
    if not store.meta("is_audit"):
        return False
    documents = [*store.documents()]
    rows = [InputRow(each.row, each.doc_id, each.start, each.text, each.gold) for each in documents]
    known = {each.row: [*each.suspected] for each in documents if each.suspected}
    return read_suspected(audit, rows) == known


def has_project(path: Path) -> bool:
    """Return True if a project was made in a file; its making may have been interrupted."""
    if not path.is_file():
        return False
    store = ProjectStore.create(path)
    try:
        return not store.is_empty
    finally:
        store.close()

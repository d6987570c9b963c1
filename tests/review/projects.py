"""Small review projects, without a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.data.markup import Span
from annoseq.review.project import ReviewProject
from annoseq.review.project_input import InputRow, make_documents
from annoseq.review.project_records import DocumentPrediction
from annoseq.review.project_store import ProjectStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from annoseq.review.project_records import SuspectedSpan

TEXT = "Dr. Ames saw Bo Ames. Ames left."
AMES, BO, BO_AMES = Span(4, 8, "NAME", 0.9), Span(13, 15, "NAME", 0.6), Span(13, 20, "NAME", 0.4)


def prediction(
    *spans: Span, uncertainty: float = 0.5, leak: float | None = 0.1
) -> DocumentPrediction:
    return DocumentPrediction(spans, uncertainty, leak)


def rows_of(
    texts: Sequence[str], gold: Sequence[tuple[Span, ...] | None] | None = None
) -> list[InputRow]:
    gold = gold or [None] * len(texts)
    return [
        InputRow(number, f"doc-{number}", 0, text, spans)
        for number, (text, spans) in enumerate(zip(texts, gold, strict=True), start=1)
    ]


def make_store(
    path: Path,
    rows: Sequence[InputRow],
    predictions: Sequence[DocumentPrediction] | None = None,
    *,
    random_share: float = 0.0,
    suspected: dict[int, list[SuspectedSpan]] | None = None,
    model: Path | str = "/models/first",
) -> ProjectStore:
    """Make a project; without predictions, `AMES` is found in each text, as far as it is one."""
    store = ProjectStore.create(path)
    documents = make_documents(rows, seed=1, random_share=random_share, suspected=suspected)
    default = [prediction(*([AMES] if len(row.text) > AMES.end else ())) for row in rows]
    store.fill(
        {
            "title": "notes.csv",
            "is_audit": suspected is not None,
            "labels": ["NAME"],
            "input": "",
            "design": {"random_share": random_share, "draw_seed": 1},
        },
        documents,
        model=str(model),
        predictions=predictions or default,
    )
    return store


def make_project(
    path: Path,
    texts: Sequence[str] = (TEXT, TEXT),
    predictions: Sequence[DocumentPrediction] | None = None,
    *,
    gold: Sequence[tuple[Span, ...] | None] | None = None,
    random_share: float = 0.0,
) -> ReviewProject:
    return ReviewProject(
        make_store(path, rows_of(texts, gold), predictions, random_share=random_share)
    )


def reopened(project: ReviewProject) -> ReviewProject:
    """Open the project's file again, without closing it: as after a kill."""
    return ReviewProject(ProjectStore.open(project.store.path))

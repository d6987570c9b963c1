"""Export of a review: decided documents as pairs, and who decided on what and when.

Nothing undecided is exported: a document goes out if those who are done with it agree, or if it was
adjudicated. What is left out is counted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from annoseq.atomic_io import atomic_file
from annoseq.config import DOCUMENT_COLUMN, OFFSET_COLUMN, SOURCE_COLUMN, TARGET_COLUMN
from annoseq.data.markup import render
from annoseq.data.pairs import Pair
from annoseq.errors import count_noun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from annoseq.data.markup import Span
    from annoseq.review.project import ReviewProject, Settled
    from annoseq.review.project_records import ReviewDocument


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Numbers of documents that are not exported, by reason."""

    untouched: int = 0
    started: int = 0
    skipped: int = 0
    disputed: int = 0

    @property
    def total(self) -> int:
        """Number of all of them."""
        return self.untouched + self.started + self.skipped + self.disputed

    def __str__(self) -> str:
        reasons = {
            "untouched": self.untouched,
            "started and not done": self.started,
            "skipped": self.skipped,
            "disputed between reviewers (adjudicate them)": self.disputed,
        }
        return ", ".join(f"{count:,} {reason}" for reason, count in reasons.items() if count)


def decided_documents(
    project: ReviewProject, *, in_random_share: bool | None = None
) -> Iterator[tuple[ReviewDocument, Settled]]:
    """Yield the documents with final spans, in their order; all, or of one side of the share."""
    for document in project.documents.values():
        if in_random_share in {None, document.in_random_share}:
            settled = project.settled(document.id)
            if settled is not None:
                yield document, settled


def to_pair(document: ReviewDocument, spans: tuple[Span, ...]) -> Pair:
    """Return a document with its final spans as a pair of the table that it came from."""
    return Pair(
        document.text,
        render(document.text, spans),
        document.row,
        document.doc_id,
        document.start,
    )


def count_left_out(project: ReviewProject) -> LeftOut:
    """Count the documents that have no final spans, by reason."""
    counts = dict.fromkeys(("untouched", "started", "skipped", "disputed"), 0)
    for id_ in project.documents:
        if project.settled(id_) is None:
            counts[_reason(project, id_)] += 1
    return LeftOut(**counts)


def _reason(project: ReviewProject, id_: int) -> str:
    if len(project.finished(id_)) > 1:
        return "disputed"
    states = {project.document_state(reviewer, id_) for reviewer in project.reviewers}
    return next((state for state in ("started", "skipped") if state in states), "untouched")


def export_line(document: ReviewDocument, settled: Settled) -> str:
    """Return a decided document as a line of JSON: a pair, with who decided on it and when."""
    pair = to_pair(document, settled.spans)
    fields: dict[str, Any] = {
        DOCUMENT_COLUMN: pair.document,
        OFFSET_COLUMN: pair.start,
        SOURCE_COLUMN: pair.source,
        TARGET_COLUMN: pair.target,
        "reviewers": list(settled.reviewers),
        "reviewed_at": settled.at,
        "adjudicated": settled.is_adjudicated,
    }
    present = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(present, ensure_ascii=False)


def write_decisions(project: ReviewProject, path: Path, *, overwrite: bool) -> int:
    """Write who decided on what and when as JSON lines, one for each action; return their number.

    A line has no text but notes: offsets, labels and ids of spans are those of the document named.
    """
    entries = project.store.log()
    with (
        atomic_file(path, overwrite=overwrite, private=True) as new,
        new.open("w", encoding="utf-8") as out,
    ):
        for entry in entries:
            document = project.documents[entry.document]
            record = {
                "doc_id": document.doc_id,
                "row": document.row,
                "reviewer": entry.reviewer,
                "at": entry.at,
                "step": entry.step,
                **entry.action.model_dump(),
            }
            out.write(json.dumps(record, ensure_ascii=False) + "\n")
    return len(entries)


def left_out_note(left_out: LeftOut) -> str:
    """Return a sentence about what is not exported, empty if that is nothing."""
    if not left_out.total:
        return ""
    return f"{count_noun(left_out.total, 'document')} left out: {left_out}"

"""Views of a project as JSON, for the page: its head, its queue, a document, agreement."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from annoseq.evaluation.agreement import DoubleAnnotation, measure_agreement
from annoseq.review.quality_estimate import estimate_f1, random_sample
from annoseq.review.review_queue import ReviewQueue
from annoseq.tokenization.batch_pretokenizer import BatchPreTokenizer
from annoseq.tokenization.pretokenizer import core_start

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from annoseq.data.markup import Span
    from annoseq.evaluation.agreement import AgreementScores
    from annoseq.review.decisions import ReviewSpan
    from annoseq.review.project import ReviewProject
    from annoseq.review.project_records import ReviewDocument

_DIGITS = 6
_STATES = ("done", "started", "skipped", "untouched")
_PAIR = 2


class ProjectView:
    """A project as the page shows it, most of it kept until something changes."""

    def __init__(self, project: ReviewProject) -> None:
        self.project = project
        self.queue = ReviewQueue(project)
        self._tokenizer = BatchPreTokenizer(joins_digits=True)
        self._kept: dict[str, tuple[int, Any]] = {}

    def head(self, reviewer: str) -> dict[str, Any]:
        """Return title, labels, orders, progress and estimate; those of a reviewer."""
        key = f"head of {reviewer}"
        changes, head = self._kept.get(key, (-1, {}))
        if changes != self.project.changes:
            head = self._head(reviewer)
            self._kept[key] = self.project.changes, head
        return dict(head)

    def _head(self, reviewer: str) -> dict[str, Any]:
        project = self.project
        states: Counter[str] = Counter(
            project.document_state(reviewer, id_) for id_ in project.documents
        )
        counts = project.labels(reviewer)
        others = sorted(counts.keys() - set(project.first_labels))
        return {
            "title": project.title,
            "labels": [
                {"label": label, "count": counts[label]}
                for label in (*project.first_labels, *others)
            ],
            "orders": self.queue.orders,
            "documents": {
                "total": len(project.documents),
                **{state: states[state] for state in _STATES},
            },
            "estimate": self._estimate(),
            "reviewers": project.reviewers,
        }

    def _estimate(self) -> dict[str, Any] | None:
        sample = random_sample(self.project)
        score = estimate_f1(self.project, sample)
        if score is None:
            return None
        low, high = score.interval or (None, None)
        return {
            "f1": _rounded(score.value),
            "low": _rounded(low),
            "high": _rounded(high),
            "documents": len(sample.documents),
            "left_out": sample.left_out,
        }

    def queue_rows(
        self, documents: Sequence[ReviewDocument], *, reviewer: str
    ) -> list[dict[str, Any]]:
        """Return documents of the queue, with a reviewer's state of each."""
        rows = []
        for document in documents:
            review = self.project.state(reviewer, document.id)
            uncertainty = self.project.prediction(document.id).uncertainty
            rows.append(
                {
                    "id": document.id,
                    "name": document.name,
                    "state": review.state,
                    "uncertainty": _rounded(uncertainty),
                    "open": review.undecided,
                    "random_share": document.in_random_share,
                }
            )
        return rows

    def document(self, reviewer: str, id_: int) -> dict[str, Any]:
        """Return a document as the reviewer left it, without its text."""
        document = self.project.document(id_)
        history = self.project.history(reviewer, id_)
        state = history.state
        return {
            "id": id_,
            "name": document.name,
            "state": state.state,
            "note": state.note,
            "revision": history.revision,
            "can_undo": history.undoable is not None,
            "can_redo": history.redoable is not None,
            "spans": [_span_view(span) for span in state.ordered()],
        }

    def text(self, id_: int) -> dict[str, Any]:
        """Return the text of a document, and the edges of its tokens without the space before."""
        text = self.project.document(id_).text
        offsets = self._tokenizer.cut([text]).offsets.tolist()
        tokens = [[core_start(text, start, end), end] for start, end in offsets]
        return {"text": text, "tokens": tokens}

    def agreement(self) -> dict[str, Any] | None:
        """Return the agreement of the two reviewers who share most documents, None without two."""
        changes, agreement = self._kept.get("agreement", (-1, None))
        if changes != self.project.changes:
            agreement = self._agreement()
            self._kept["agreement"] = self.project.changes, agreement
        return agreement  # type: ignore[no-any-return]

    def _agreement(self) -> dict[str, Any] | None:
        finished = {id_: self.project.finished(id_) for id_ in self.project.documents}
        pairs: Counter[tuple[str, str]] = Counter()
        for histories in finished.values():
            names = sorted(histories)
            pairs.update((a, b) for a in names for b in names if a < b)
        if not pairs:
            return None
        first, second = max(sorted(pairs), key=lambda pair: pairs[pair])
        annotations = [
            DoubleAnnotation(
                self.project.documents[id_].text,
                histories[first].state.accepted,
                histories[second].state.accepted,
            )
            for id_, histories in finished.items()
            if first in histories and second in histories
        ]
        agreement = measure_agreement(annotations)
        labels = Counter(span.label for each in annotations for span in {*each.first, *each.second})
        return {
            "reviewers": [first, second],
            "documents": agreement.documents,
            "documents_with_differences": sum(
                set(each.first) != set(each.second) for each in annotations
            ),
            **_agreement_values(agreement.all, "span_f1"),
            "by_label": {
                label: {**_agreement_values(scores, "f1"), "n": labels[label]}
                for label, scores in agreement.by_label.items()
            },
        }

    def disagreements(self) -> list[dict[str, Any]]:
        """Return the documents that reviewers disagreed about, those settled too."""
        project = self.project
        settled = {*project.adjudications}
        return [
            {"id": id_, "name": document.name, "resolved": id_ in settled}
            for id_, document in project.documents.items()
            if id_ in settled or project.is_disputed(id_)
        ]

    def adjudication(self, id_: int) -> dict[str, Any]:
        """Return the text, each reviewer's spans and those of the adjudication, if there is one."""
        document = self.project.document(id_)
        finished = self.project.finished(id_)
        known = self.project.adjudications.get(id_)
        return {
            "id": id_,
            "name": document.name,
            "text": document.text,
            "spans_by_reviewer": {
                name: _span_list(history.state.accepted) for name, history in finished.items()
            },
            "resolved": None if known is None else _span_list(known.spans),
        }


def _agreement_values(scores: AgreementScores, f1: str) -> dict[str, float | None]:
    return {
        f1: _rounded(scores.span_f1),
        "kappa": _rounded(scores.kappa),
        "alpha": _rounded(scores.alpha),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)


def _span_view(span: ReviewSpan) -> dict[str, Any]:
    suggested = span.suggested
    return {
        "id": span.id,
        "start": span.start,
        "end": span.end,
        "label": span.label,
        "score": _rounded(span.score),
        "decision": span.decision,
        "origin": span.origin,
        "problem": span.problem,
        "suggested": None if suggested is None else _edges(suggested),
    }


def _edges(span: Span) -> dict[str, int | str]:
    return {"start": span.start, "end": span.end, "label": span.label}


def _span_list(spans: Sequence[Span]) -> list[Mapping[str, int | str]]:
    return [_edges(span) for span in spans]

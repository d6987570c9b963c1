"""Order of the documents of a review: which one comes next.

The random share was drawn when the project was made. `mixed` takes one of its documents after every
few of the least certain others, so that scores on it stay an honest estimate however the rest is
chosen.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from annoseq.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from annoseq.review.project import ReviewProject
    from annoseq.review.project_records import ReviewDocument

QueueOrder: TypeAlias = Literal[
    "mixed", "uncertain", "random", "label", "leak", "audit", "document"
]
"""mixed: the least certain, with the random share mixed in; uncertain: the least certain, without
the random share; random: the random share, then the others at random; label: the least certain
span, of one label if it is given; leak: the highest expected number of unmarked tokens that lie in
a span; audit: the most certain suspected error; document: as in the input."""


class ReviewQueue:
    """Queue of the documents of a project."""

    def __init__(self, project: ReviewProject) -> None:
        self._project = project

    @property
    def orders(self) -> list[QueueOrder]:
        """Orders that this project has, the one to begin with first."""
        predictions = self._project.predictions(1).values()
        missing: set[str] = set() if self._project.is_audit else {"audit"}
        if all(prediction.leak is None for prediction in predictions):
            missing.add("leak")
        orders = [order for order in get_args(QueueOrder) if order not in missing]
        return sorted(orders, key=lambda order: order != "audit")

    def documents(
        self, order: str, *, reviewer: str, label: str | None = None, search: str = ""
    ) -> list[ReviewDocument]:
        """Return the documents in an order: those with a label, those with `search` in their name.

        Raises:
            OptionError: the project does not have this order.
        """
        if order not in self.orders:
            raise OptionError(
                "the project has no such order of documents. Choose one of "
                f"{', '.join(self.orders)}."
            )
        documents = self._ordered(order, label)
        if search:
            wanted = search.casefold()
            documents = [each for each in documents if wanted in each.name.casefold()]
        if label:
            documents = [each for each in documents if self._has_label(each, reviewer, label)]
        return documents

    def next(
        self, order: str, *, reviewer: str, after: int | None, label: str | None = None
    ) -> ReviewDocument | None:
        """Return the next document that is neither done nor skipped, from the first on at the end.

        Raises:
            OptionError: the project does not have this order.
        """
        documents = self.documents(order, reviewer=reviewer, label=label)
        places = [place for place, document in enumerate(documents, 1) if document.id == after]
        first = places[0] if places else 0
        return next(
            (
                document
                for document in (*documents[first:], *documents[:first])
                if document.id != after
                and self._project.document_state(reviewer, document.id) in {"untouched", "started"}
            ),
            None,
        )

    def _has_label(self, document: ReviewDocument, reviewer: str, label: str) -> bool:
        spans = self._project.state(reviewer, document.id).spans.values()
        return any(span.label == label and span.decision != "rejected" for span in spans)

    def _ordered(self, order: str, label: str | None) -> list[ReviewDocument]:
        documents = [*self._project.documents.values()]
        if order == "mixed":
            drawn = [each for each in documents if each.in_random_share]
            drawn.sort(key=lambda each: each.rank)
            return list(_mix(drawn, self._least_certain(documents)))
        if order == "uncertain":
            return self._least_certain(documents)
        if order == "audit":
            documents = [each for each in documents if each.suspected]
        predictions = self._project.prediction
        keys: dict[str, Callable[[ReviewDocument], float]] = {
            "random": lambda each: each.rank,  # the random share has the first ranks
            "label": lambda each: self._least_score(each, label),
            "leak": lambda each: -(predictions(each.id).leak or 0.0),
            "audit": lambda each: -max(error.score for error in each.suspected),
            "document": lambda each: each.id,
        }
        return sorted(documents, key=keys[order])

    def _least_score(self, document: ReviewDocument, label: str | None) -> float:
        """Return the lowest score of a span with a label, or of any; 1 without one."""
        spans = self._project.prediction(document.id).spans
        scores = [span.score or 0.0 for span in spans if label in {None, span.label}]
        return min(scores, default=1.0)

    def _least_certain(self, documents: list[ReviewDocument]) -> list[ReviewDocument]:
        others = [each for each in documents if not each.in_random_share]
        return sorted(others, key=lambda each: -self._project.prediction(each.id).uncertainty)


def _mix(drawn: list[ReviewDocument], others: list[ReviewDocument]) -> Iterator[ReviewDocument]:
    """Yield the drawn documents and the others, evenly mixed, each in its order."""
    rest = iter(others)
    for number, document in enumerate(drawn):
        yield document
        share = (number + 1) * len(others) // len(drawn) - number * len(others) // len(drawn)
        yield from islice(rest, share)
    yield from rest

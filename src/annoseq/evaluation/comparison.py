"""A text with the spans that it has and the spans that were predicted."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from annoseq.pairs.markup import Span


@dataclass(frozen=True, slots=True)
class Comparison:
    """A row to be scored.

    `id` names it. `target` and `output` are the annotated texts where there are any; `is_unseen`
    says that the text was not trained on, None where that is not known. `document` and `start` are
    those of the row's pair.
    """

    id: str
    text: str
    gold: tuple[Span, ...]
    predicted: tuple[Span, ...]
    target: str | None = None
    output: str | None = None
    document: str | None = None
    start: int | None = None
    is_unseen: bool | None = None


def by_document(rows: Iterable[Comparison]) -> Iterator[list[Comparison]]:
    """Group the rows that follow one another in a document; without documents, each is its own."""
    numbered = enumerate(rows)
    for _, group in groupby(
        numbered, key=lambda one: one[0] if one[1].document is None else one[1].document
    ):
        yield [row for _, row in group]

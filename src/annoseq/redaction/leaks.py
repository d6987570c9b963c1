"""What people marked and the redaction missed, counted document by document."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from annoseq.pairs.markup import Span
    from annoseq.redaction.document import Find


@dataclass
class Leaks:
    """Counts over documents. An identifier is missed if any character of it still stands there.

    White space does not count, whether within an identifier or at its edge.
    """

    documents: int = 0
    whole: int = 0
    identifiers: int = 0
    missed: int = 0
    characters: int = 0
    covered: int = 0
    missed_by_label: Counter[str] = field(default_factory=Counter)
    leaking: list[str] = field(default_factory=list)

    def add(
        self, document: str, texts: Iterable[tuple[str, Iterable[Span], Iterable[Find]]]
    ) -> None:
        """Count a document: of each text, what people marked and what was replaced."""
        missed: Counter[str] = Counter()
        for text, gold, replaced in texts:
            hidden = _places(text, replaced)
            marked: set[int] = set()
            for span in gold:
                places = _places(text, [span])
                marked |= places
                self.identifiers += 1
                missed[span.label] += not places <= hidden
            self.characters += len(marked)
            self.covered += len(marked & hidden)
        count = missed.total()
        self.documents += 1
        self.missed += count
        self.missed_by_label += missed
        if count:
            self.leaking.append(document)
        else:
            self.whole += 1

    def to_dict(self) -> dict[str, Any]:
        """Return plain values. A share of nothing is None."""
        return {
            "documents": self.documents,
            "documents_without_a_miss": self.whole,
            "share_without_a_miss": _share(self.whole, self.documents),
            "identifiers": self.identifiers,
            "missed": self.missed,
            "recall": _share(self.identifiers - self.missed, self.identifiers),
            "characters": self.characters,
            "character_recall": _share(self.covered, self.characters),
            "missed_by_label": dict(self.missed_by_label.most_common()),
            "documents_with_a_miss": self.leaking,
        }


def _places(text: str, spans: Iterable[Span | Find]) -> set[int]:
    return {
        place
        for span in spans
        for place in range(span.start, span.end)
        if not text[place].isspace()
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None

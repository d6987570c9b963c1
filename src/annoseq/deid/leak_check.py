"""Leak check: gold identifiers that a redaction missed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from annoseq.data.alignment import align
from annoseq.data.markup import Span
from annoseq.data.pairs import read_pairs
from annoseq.data.text_inputs import read_texts
from annoseq.errors import AnnoseqError, PairsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from annoseq.data.pairs import Pair
    from annoseq.deid.redaction import Find, Part


@dataclass
class Gold:
    """What people marked, by the text it is in: annotated texts, or rows of pairs.

    A table of texts is compared with the same rows of a table of pairs; files are compared with
    annotated files of the same names, or with the rows of their documents, whose `doc_id` is the
    file's name, with or without `.txt`.
    """

    name: str
    text: str | None = None
    texts: dict[str, str] = field(default_factory=dict)
    rows: dict[str, Pair] = field(default_factory=dict)
    documents: dict[str, list[Pair]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Gold:
        """Read a folder of annotated .txt files, one such file, or a table of pairs."""
        gold = cls(str(path))
        if path.is_dir():
            gold.texts = {one.id: one.text for one in read_texts(path, column="")}
            return gold
        if path.suffix.lower() == ".txt":
            (one,) = read_texts(path, column="")
            gold.text = one.text
            return gold
        for pair in read_pairs(path):
            gold.rows[str(pair.row)] = pair
            if pair.document is not None:
                gold.documents.setdefault(pair.document, []).append(pair)
        return gold

    def spans(self, part: Part, *, is_row: bool) -> list[Span]:
        """Return what people marked in a text.

        Raises:
            PairsError: there is nothing for this text, or it is for another text.
        """
        try:
            if is_row:
                return self._row_spans(part)
            if self.texts or self.text is not None:
                return align(part.text, self._annotated(part.id)).spans
            return self._document_spans(part)
        except PairsError:
            raise
        except AnnoseqError as error:
            raise PairsError(f"{self.name}: the gold of {part.id}: {error}") from error

    def _row_spans(self, part: Part) -> list[Span]:
        pair = self.rows.get(part.id)
        if pair is None or pair.source != part.text:
            found = "is missing" if pair is None else "is of another text"
            raise PairsError(
                f"{self.name}: row {part.id} {found}. Give --gold the same rows as are redacted, "
                "as a table of pairs."
            )
        return align(pair.source, pair.target).spans

    def _annotated(self, name: str) -> str:
        if self.text is not None:
            return self.text
        if name in self.texts:
            return self.texts[name]
        raise PairsError(
            f"{self.name}: there is no gold for {name}. Give --gold an annotated file of the same "
            "name for every text."
        )

    def _document_spans(self, part: Part) -> list[Span]:
        stem = part.id.removesuffix(".txt")
        names = (part.id, stem, stem.rpartition("/")[2])
        pairs = next((self.documents[name] for name in names if name in self.documents), None)
        if pairs is None:
            raise PairsError(
                f"{self.name}: there is no gold for {part.id}. Give --gold a table of pairs whose "
                "doc_id is the file's name, with or without .txt."
            )
        return [
            span for pair in pairs for span in self._placed(pair, part, is_only=len(pairs) == 1)
        ]

    def _placed(self, pair: Pair, part: Part, *, is_only: bool) -> Sequence[Span]:
        start = pair.start if pair.start is not None else (0 if is_only else None)
        if start is None or not part.text.startswith(pair.source, start):
            raise PairsError(
                f"{self.name}: row {pair.row} is not what stands in {part.id} at its start. Give "
                "--gold the pairs of the texts that are redacted, with their column start."
            )
        spans = align(pair.source, pair.target).spans
        return [Span(start + one.start, start + one.end, one.label) for one in spans]


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

"""Leak check: gold identifiers that a redaction missed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from annoseq.config import ColumnsConfig
from annoseq.data.examples import parse_pair
from annoseq.data.markup import Span
from annoseq.data.pairs import Pair, stream_pairs
from annoseq.data.text_inputs import read_texts
from annoseq.deid.redaction import DocumentLeaks
from annoseq.errors import AnnoseqError, PairsError
from annoseq.evaluation.deid_metrics import covered_characters, identifying_characters
from annoseq.evaluation.over_redaction import OverRedactionCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from annoseq.deid.redaction import DetectedSpan, DocumentPart
    from annoseq.errors import TableError


@dataclass
class GoldIdentifiers:
    """Gold spans of texts, from annotated text files or from a table of pairs.

    The rows of a table of texts are compared with the same rows of a table of pairs. A text file
    is compared with the annotated file of the same name, or with the pairs of its document, whose
    `doc_id` is the file's name, with or without `.txt`.
    """

    name: str
    text: str | None = None
    texts: dict[str, str] = field(default_factory=dict)
    rows: dict[str, Pair] = field(default_factory=dict)
    documents: dict[str, list[Pair]] = field(default_factory=dict)

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        columns: ColumnsConfig | None = None,
        on_bad: Callable[[TableError], None] | None = None,
    ) -> GoldIdentifiers:
        """Read a folder of annotated .txt files, one such file, or a table of pairs.

        `columns` are those of the table; those of document and offset may be absent. With `on_bad`,
        it is called with the error of a row that cannot be read.
        """
        gold = cls(str(path))
        if path.is_dir():
            gold.texts = {text.id: text.text for text in read_texts(path, column="")}
            return gold
        if path.suffix.lower() == ".txt":
            (text,) = read_texts(path, column="")
            gold.text = text.text
            return gold
        columns = columns or ColumnsConfig()
        for pair in stream_pairs(path, columns, on_bad=on_bad, requires_keys=False):
            gold.rows[str(pair.row)] = pair
            if pair.document is not None:
                gold.documents.setdefault(pair.document, []).append(pair)
        return gold

    def spans(self, part: DocumentPart, *, is_row: bool) -> list[Span]:
        """Return the gold spans of a text.

        Raises:
            PairsError: there is no gold for the text, or it has another text.
        """
        try:
            return [
                Span(start + span.start, start + span.end, span.label)
                for start, pair in self._placed_pairs(part, is_row=is_row)
                for span in parse_pair(pair).spans or ()
            ]
        except PairsError:
            raise
        except AnnoseqError as error:
            raise PairsError(f"{self.name}: the gold of {part.id}: {error}") from error

    def _placed_pairs(self, part: DocumentPart, *, is_row: bool) -> list[tuple[int, Pair]]:
        """Return the gold pairs of a text, each with its offset there."""
        if is_row:
            return [(0, self._row(part))]
        if self.texts or self.text is not None:
            return [(0, Pair(part.text, self._annotated_text(part.id), 1))]
        pairs = self._document_pairs(part)
        return [(self._start(pair, part, is_only=len(pairs) == 1), pair) for pair in pairs]

    def _row(self, part: DocumentPart) -> Pair:
        pair = self.rows.get(part.id)
        if pair is None or pair.source != part.text:
            problem = "is missing" if pair is None else "is of another text"
            raise PairsError(
                f"{self.name}: row {part.id} {problem}. Give --gold the same rows as are redacted, "
                "as a table of pairs."
            )
        return pair

    def _annotated_text(self, name: str) -> str:
        if self.text is not None:
            return self.text
        if name in self.texts:
            return self.texts[name]
        raise PairsError(
            f"{self.name}: there is no gold for {name}. Give --gold an annotated file of the same "
            "name for every text."
        )

    def _document_pairs(self, part: DocumentPart) -> list[Pair]:
        stem = part.id.removesuffix(".txt")
        names = (part.id, stem, stem.rpartition("/")[2])
        pairs = next((self.documents[name] for name in names if name in self.documents), None)
        if pairs is None:
            raise PairsError(
                f"{self.name}: there is no gold for {part.id}. Give --gold a table of pairs whose "
                "doc_id is the file's name, with or without .txt."
            )
        return pairs

    def _start(self, pair: Pair, part: DocumentPart, *, is_only: bool) -> int:
        """Return the offset of a pair in the text of its document."""
        start = 0 if pair.start is None and is_only else pair.start
        if start is None or not part.text.startswith(pair.source, start):
            raise PairsError(
                f"{self.name}: row {pair.row} is not what stands in {part.id} at its start. Give "
                "--gold the pairs of the texts that are redacted, with their column start."
            )
        return start


def count_leaks(
    texts: Iterable[tuple[str, Sequence[Span], Sequence[DetectedSpan]]],
    *,
    counts_words: bool = False,
) -> DocumentLeaks:
    """Count the leaks of a document: its texts, each with its gold and its replaced spans.

    An identifier is missed if any of its letters, digits and symbols is not replaced. With
    `counts_words`, the words in no identifier are counted too: they are text of the document.
    """
    missed: Counter[str] = Counter()
    others = OverRedactionCounts(counts_words)
    identifiers = characters = replaced_characters = 0
    for text, gold, replaced_spans in texts:
        replaced = covered_characters(text, replaced_spans)
        identifying: set[int] = set()
        for span in gold:
            covered = identifying_characters(text, [span])
            identifying |= covered
            identifiers += 1
            if not covered <= replaced:
                missed[span.label] += 1
        characters += len(identifying)
        replaced_characters += len(identifying & replaced)
        others.add(text, gold, replaced_spans)
    return DocumentLeaks(
        identifiers,
        characters,
        replaced_characters,
        dict(missed),
        other_tokens=others.other_tokens,
        lost_tokens=others.lost_tokens,
        lost_words=dict(others.lost_words),
        kept_words=dict(others.kept_words),
    )


@dataclass
class LeakCounts:
    """Counts of missed identifiers, and of other text that was replaced, over documents.

    `listed_words` is the number of lost words that are listed.
    """

    listed_words: int = 0
    documents: int = 0
    documents_without_miss: int = 0
    identifiers: int = 0
    missed: int = 0
    characters: int = 0
    replaced_characters: int = 0
    missed_by_label: Counter[str] = field(default_factory=Counter)
    leaking_documents: list[str] = field(default_factory=list)
    others: OverRedactionCounts = field(default_factory=OverRedactionCounts)

    def add(self, document: str, leaks: DocumentLeaks) -> None:
        """Add the counts of a document."""
        self.documents += 1
        self.identifiers += leaks.identifiers
        self.characters += leaks.characters
        self.replaced_characters += leaks.replaced_characters
        self.missed += sum(leaks.missed.values())
        self.missed_by_label.update(leaks.missed)
        self.others.other_tokens += leaks.other_tokens
        self.others.lost_tokens += leaks.lost_tokens
        self.others.lost_words.update(leaks.lost_words)
        self.others.kept_words.update(leaks.kept_words)
        if leaks.missed:
            self.leaking_documents.append(document)
        else:
            self.documents_without_miss += 1

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain values. The share of nothing is None."""
        values: dict[str, Any] = {
            "documents": self.documents,
            "documents_without_a_miss": self.documents_without_miss,
            "share_without_a_miss": _share(self.documents_without_miss, self.documents),
            "identifiers": self.identifiers,
            "missed": self.missed,
            "recall": _share(self.identifiers - self.missed, self.identifiers),
            "characters": self.characters,
            "character_recall": _share(self.replaced_characters, self.characters),
            "missed_by_label": dict(self.missed_by_label.most_common()),
            "documents_with_a_miss": self.leaking_documents,
            "other_tokens": self.others.other_tokens,
            "lost_tokens": self.others.lost_tokens,
            "over_redaction": _share(self.others.lost_tokens, self.others.other_tokens),
        }
        if self.listed_words:
            words = self.others.worst_words(self.listed_words)
            values["lost_words"] = [word.model_dump() for word in words]
        return values


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None

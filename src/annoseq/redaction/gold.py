"""The identifiers that people marked, to count those that were missed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from annoseq.annotator.inputs import read_texts
from annoseq.errors import AnnoseqError, PairsError
from annoseq.pairs.alignment import align
from annoseq.pairs.markup import Span
from annoseq.pairs.pairs import read_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from annoseq.pairs.pair import Pair
    from annoseq.redaction.document import Part


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

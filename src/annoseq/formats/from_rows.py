"""The rows of a document put together again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from annoseq.errors import FormatError
from annoseq.formats.documents import Document, shifted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from annoseq.formats.capabilities import Losses
    from annoseq.formats.documents import Mention

_LARGEST_GAP = 10_000_000
"""Characters: what is larger is no gap between rows, but a column of something else."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A row: the document it is from, where it begins in it, its text and its mentions.

    A row without a document is one, whose id is `id`. `place` names the row in messages.
    """

    place: str
    id: str
    text: str = field(repr=False)  # private
    mentions: tuple[Mention, ...]
    document: str | None = None
    start: int | None = None


def rejoin(pieces: Iterable[Piece], *, notes: Losses) -> Iterator[Document]:
    """Yield rows that are documents, then documents of several rows, in the order of their `start`.

    What stood between rows is not in a table, so that line ends are put there, which `notes`
    counts. Documents of rows are held in memory, for their rows may stand anywhere.

    Raises:
        FormatError: rows of a document overlap.
    """
    documents: dict[str, list[Piece]] = {}
    for piece in pieces:
        if piece.document:
            documents.setdefault(_named(piece.document), []).append(piece)
        else:
            yield Document(_named(piece.id), piece.text, piece.mentions)
    for name, some in documents.items():
        yield _joined(name, some, notes)


def _named(name: str) -> str:
    return name.removesuffix(".txt")


def _joined(name: str, pieces: list[Piece], notes: Losses) -> Document:
    texts: list[str] = []
    mentions: list[Mention] = []
    end = 0
    for piece in sorted(pieces, key=lambda one: one.start or 0):
        start = (end + 1 if texts else 0) if piece.start is None else piece.start
        if start < end:
            raise FormatError(
                f"{piece.place}: it begins before the end of another row of its document. "
                "Give each row its own place in the column of offsets."
            )
        if start - end > _LARGEST_GAP:
            raise FormatError(
                f"{piece.place}: it begins {start - end:,} characters after the row before it. "
                "Check the column of offsets: it says where a row begins in its document."
            )
        if start > end:
            notes.add(
                "gaps between rows filled with line ends, for the table does not hold what stood "
                "there (`annoseq import --unit document` keeps whole texts)",
                where=piece.place,
            )
        texts += ["\n" * (start - end), piece.text]
        mentions += [shifted(one, start) for one in piece.mentions]
        end = start + len(piece.text)
    return Document(name, "".join(texts), tuple(mentions))

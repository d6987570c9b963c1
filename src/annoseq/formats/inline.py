"""Text files with inline tags and no originals beside them, such as `annoseq annotate` writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.errors import FormatError, MarkupError
from annoseq.formats.document import Document, from_span
from annoseq.formats.holding import Holds, holdable, without_nul
from annoseq.formats.texts import file_for, files_of, read_text, write_text
from annoseq.pairs.markup import Span, is_label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from annoseq.formats.losses import Losses
    from annoseq.formats.markups import Write

HOLDS = Holds(nested=True, labels=is_label, texts=without_nul)

_SUFFIX = ".txt"


def read(source: Path, *, parse: Callable[[str], tuple[str, list[Span]]]) -> Iterator[Document]:
    """Read a folder of texts and those below it, or one file.

    `parse` parts an annotated text into the original and its spans.

    Raises:
        FormatError: the tags of a file are not well nested.
    """
    for name, path in files_of(source, _SUFFIX).items():
        try:
            text, spans = parse(read_text(path, keep_mark=True))
        except MarkupError as error:
            raise FormatError(f"{path}: {error}") from error
        yield Document(name, text, tuple(map(from_span, spans)))


def annotated_texts(
    documents: Iterable[Document], *, write_tags: Write, losses: Losses
) -> Iterator[tuple[Document, str]]:
    """Yield every document with its annotated text, as far as the markup can hold it."""
    for document in holdable(documents, HOLDS, losses):
        spans = [Span(one.start, one.end, one.label) for one in document.mentions]
        written = write_tags(document.text, spans)
        if written is None:
            losses.add(
                "documents that the markup cannot tell from tags, left out", where=document.id
            )
        else:
            yield document, written


def write(
    documents: Iterable[Document], folder: Path, *, write_tags: Write, losses: Losses
) -> None:
    """Write a file for each document into a folder."""
    texts = annotated_texts(documents, write_tags=write_tags, losses=losses)
    for document, written in texts:
        write_text(file_for(folder, document.id, _SUFFIX), written)

"""Text files with inline tags: alone, or beside a folder of their originals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.data.markup import Span, is_label
from annoseq.data.streams import file_for, files_of, read_text, write_text
from annoseq.errors import FormatError, MarkupError, MismatchError
from annoseq.formats.capabilities import Holds, holdable, without_nul
from annoseq.formats.documents import Document, from_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from annoseq.data.foreign_markup import Write
    from annoseq.formats.capabilities import Losses


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


ORIGINAL, ANNOTATED = "orig", "annotated"

_PARALLEL_SUFFIX = ".txt"


def read_parallel(folder: Path, *, align: Callable[[str, str], list[Span]]) -> Iterator[Document]:
    """Read the texts of `folder/orig` with the tags of `folder/annotated`.

    `align` finds the spans of an original text that its annotated text marks.

    Raises:
        FormatError: a file is there without the other, or is not the other plus tags.
    """
    for name in (ORIGINAL, ANNOTATED):
        if not (folder / name).is_dir():
            raise FormatError(
                f"{folder}: there is no folder {name!r} in it. Name a folder that holds "
                f"{ORIGINAL!r} and {ANNOTATED!r}."
            )
    originals = files_of(folder / ORIGINAL, _PARALLEL_SUFFIX)
    annotated = files_of(folder / ANNOTATED, _PARALLEL_SUFFIX)
    for name in sorted(originals.keys() ^ annotated.keys()):
        path = (originals | annotated)[name]
        other = ANNOTATED if name in originals else ORIGINAL
        raise FormatError(f"{path}: there is no such file in {other!r}. Add it, or remove this.")
    for name, path in originals.items():
        text = read_text(path, keep_mark=True)
        try:
            spans = align(text, read_text(annotated[name], keep_mark=True))
        except (MarkupError, MismatchError) as error:
            raise FormatError(f"{annotated[name]}: {error}") from error
        yield Document(name, text, tuple(map(from_span, spans)))


def write_parallel(
    documents: Iterable[Document], folder: Path, *, write_tags: Write, losses: Losses
) -> None:
    """Write two files for each document, in two folders within `folder`."""
    texts = annotated_texts(documents, write_tags=write_tags, losses=losses)
    for document, written in texts:
        write_text(file_for(folder / ORIGINAL, document.id, _PARALLEL_SUFFIX), document.text)
        write_text(file_for(folder / ANNOTATED, document.id, _PARALLEL_SUFFIX), written)

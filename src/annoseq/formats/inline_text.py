"""Text files with inline tags, alone or in parallel folders with their originals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.data.foreign_markup import (
    markup_aligner,
    markup_parser,
    markup_writer,
    note_attributes,
)
from annoseq.data.markup import Span, is_label
from annoseq.data.streams import document_path, find_files, read_text, write_text
from annoseq.errors import FormatError, MarkupError, MismatchError
from annoseq.formats.capabilities import FormatCapabilities, drop_unsupported, has_no_nul
from annoseq.formats.documents import Document, Mention

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.conversion_options import ExportOptions, ImportOptions


CAPABILITIES = FormatCapabilities(nested=True, supports_label=is_label, supports_text=has_no_nul)

_SUFFIX = ".txt"
ORIGINAL, ANNOTATED = "orig", "annotated"
"""Names of the parallel folders."""


def read(source: Path, options: ImportOptions, losses: ConversionLosses) -> Iterator[Document]:
    """Read a folder of texts and those below it, or one file.

    Raises:
        FormatError: the tags of a file are not well nested.
    """
    parse = markup_parser(options.markup)
    for name, path in find_files(source, _SUFFIX).items():
        annotated = read_text(path, keep_bom=True)
        try:
            text, spans = parse(annotated)
        except MarkupError as error:
            raise FormatError(f"{path}: {error}") from error
        note_attributes(text, annotated, losses.note, where=str(path))
        yield Document(name, text, tuple(map(Mention.from_span, spans)), str(path))


def write(
    documents: Iterable[Document], folder: Path, options: ExportOptions, losses: ConversionLosses
) -> None:
    """Write a file for each document into a folder."""
    for document, annotated in _annotated_texts(documents, options, losses):
        write_text(document_path(folder, document.id, _SUFFIX), annotated)


def read_parallel(
    folder: Path, options: ImportOptions, losses: ConversionLosses
) -> Iterator[Document]:
    """Read the texts of `folder/orig` with the tags of `folder/annotated`.

    Raises:
        FormatError: a file is missing in one folder, or is not the other plus tags.
    """
    align = markup_aligner(options.markup)
    for name in (ORIGINAL, ANNOTATED):
        if not (folder / name).is_dir():
            raise FormatError(
                f"{folder}: there is no folder {name!r} in it. Name a folder that holds "
                f"{ORIGINAL!r} and {ANNOTATED!r}."
            )
    originals = find_files(folder / ORIGINAL, _SUFFIX)
    annotated_files = find_files(folder / ANNOTATED, _SUFFIX)
    for name in sorted(originals.keys() ^ annotated_files.keys()):
        path = (originals | annotated_files)[name]
        other = ANNOTATED if name in originals else ORIGINAL
        raise FormatError(f"{path}: there is no such file in {other!r}. Add it, or remove this.")
    for name, path in originals.items():
        text = read_text(path, keep_bom=True)
        annotated = read_text(annotated_files[name], keep_bom=True)
        try:
            spans = align(text, annotated)
        except (MarkupError, MismatchError) as error:
            raise FormatError(f"{annotated_files[name]}: {error}") from error
        note_attributes(text, annotated, losses.note, where=str(annotated_files[name]))
        yield Document(name, text, tuple(map(Mention.from_span, spans)), str(path))


def write_parallel(
    documents: Iterable[Document], folder: Path, options: ExportOptions, losses: ConversionLosses
) -> None:
    """Write two files for each document, in two folders within `folder`."""
    for document, annotated in _annotated_texts(documents, options, losses):
        write_text(document_path(folder / ORIGINAL, document.id, _SUFFIX), document.text)
        write_text(document_path(folder / ANNOTATED, document.id, _SUFFIX), annotated)


def _annotated_texts(
    documents: Iterable[Document], options: ExportOptions, losses: ConversionLosses
) -> Iterator[tuple[Document, str]]:
    """Yield every document with its annotated text; what the markup cannot hold is a loss."""
    write_markup = markup_writer(options.markup)
    for document in drop_unsupported(documents, CAPABILITIES, losses):
        spans = [Span(m.start, m.end, m.label) for m in document.mentions]
        annotated = write_markup(document.text, spans)
        if annotated is None:
            losses.add(
                "document", "that the markup cannot tell from tags, left out", where=document.name
            )
        else:
            yield document, annotated

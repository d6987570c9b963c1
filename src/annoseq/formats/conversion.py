"""Conversion of a corpus to a table of pairs, and of documents to a corpus."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from annoseq._version import __version__
from annoseq.atomic_io import atomic_file, atomic_folder, check_folder_writable, check_writable
from annoseq.data.foreign_markup import convert_pairs
from annoseq.data.pairs import write_pairs
from annoseq.errors import FormatError
from annoseq.formats.registry import FORMATS
from annoseq.formats.to_rows import to_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.documents import Document
    from annoseq.formats.registry import CorpusFormat, FormatName, ImportOptions
    from annoseq.formats.sentence_splitter import RowUnit

_CONFIG_FILE = "config.json"


def import_corpus(
    name: FormatName,
    source: Path,
    out: Path,
    *,
    unit: RowUnit,
    options: ImportOptions,
    losses: ConversionLosses,
    overwrite: bool,
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """Read a corpus and write it as a table of pairs, whole or not at all.

    A table keeps its rows; documents are cut into units.

    Raises:
        FormatError: the corpus cannot be read.
        OutputError: the table cannot be written.
    """
    check_writable(out, overwrite=overwrite)
    if name == "table":
        pairs = convert_pairs(
            source, source=options.source, target=options.target, markup=options.markup
        )
    else:
        documents = _unique(read_corpus(name, source, options, losses), advance)
        pairs = to_pairs(documents, unit=unit, losses=losses)
    write_pairs(pairs, out, overwrite=overwrite)


def read_corpus(
    name: CorpusFormat, source: Path, options: ImportOptions, losses: ConversionLosses
) -> Iterator[Document]:
    """Read a corpus, one document after the other.

    Raises:
        FormatError: a file is not well-formed; it and the place in it are named.
        TableError: a file of lines or rows cannot be read.
    """
    return FORMATS[name].load().read(source, options, losses)


def export_corpus(
    name: CorpusFormat,
    documents: Iterable[Document],
    target: Path,
    *,
    markup: str | None,
    losses: ConversionLosses,
    overwrite: bool,
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """Write documents in a format, whole or not at all.

    Raises:
        FormatError: the format cannot hold something.
        OutputError: the target cannot be written.
    """
    check_export_target(name, target, overwrite=overwrite)
    entry = FORMATS[name]
    documents = _unique(documents, advance)
    replace_target = atomic_folder if entry.is_folder else atomic_file
    with replace_target(target, overwrite=overwrite) as new:
        entry.load().write(documents, new, markup, losses)
        if entry.is_folder:
            # Marks the folder as written by annoseq, so that --overwrite may replace it.
            settings = json.dumps({"annoseq": __version__, "format": name})
            (new / _CONFIG_FILE).write_text(settings + "\n", encoding="utf-8")


def check_export_target(name: CorpusFormat, target: Path, *, overwrite: bool) -> None:
    """Raise if a format cannot be written to its target, before hours of work.

    Raises:
        OptionError: the format needs a library that is not installed.
        OutputError: the target exists and may not be replaced, or its folder cannot be written to.
        TableError: the target's suffix is of no kind of table, and the format is a table.
    """
    entry = FORMATS[name]
    entry.check_target(target)
    check = check_folder_writable if entry.is_folder else check_writable
    check(target, overwrite=overwrite)


def _unique(documents: Iterable[Document], advance: Callable[[int], None]) -> Iterator[Document]:
    """Pass documents on, count them, and refuse a repeated id."""
    seen: set[str] = set()
    for document in documents:
        if document.id in seen:
            raise FormatError(f"two documents have the id {document.id!r}. Give each its own.")
        seen.add(document.id)
        yield document
        advance(1)
    if not seen:
        raise FormatError("there is no document. Name a source with at least one.")

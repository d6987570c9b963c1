"""Conversion of a corpus to a table of pairs, and of documents to a corpus."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from annoseq._version import __version__
from annoseq.atomic_io import atomic_file, atomic_folder, check_folder_writable, check_writable
from annoseq.data.foreign_markup import align_pairs
from annoseq.data.pairs import write_pairs
from annoseq.data.tables import describe_folder
from annoseq.errors import FormatError, OptionError, count_noun, quote_name
from annoseq.formats.documents import Document, Mention, remove_duplicates
from annoseq.formats.registry import FORMATS
from annoseq.formats.rows import render_document, to_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from annoseq.data.pairs import Pair
    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.conversion_options import ExportOptions, ImportOptions
    from annoseq.formats.registry import CorpusFormat, FormatName
    from annoseq.formats.sentence_splitter import RowUnit

_CONFIG_FILE = "config.json"


@dataclass
class ConversionSummary:
    """Numbers of what was converted; `rows` is 0 for a corpus without rows."""

    documents: int = 0
    rows: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    """Number of annotations by label."""

    def add(self, document: Document) -> None:
        """Count a document and its annotations."""
        self.documents += 1
        self.labels.update(mention.label for mention in document.mentions)

    def __str__(self) -> str:
        counts = [(self.documents, "document"), (self.rows, "row")]
        counts += [(self.labels.total(), "span"), (len(self.labels), "label")]
        return ", ".join(
            count_noun(count, noun) for count, noun in counts if noun != "row" or count
        )


def import_corpus(
    name: FormatName,
    source: Path,
    out: Path,
    *,
    unit: RowUnit,
    options: ImportOptions,
    losses: ConversionLosses,
    overwrite: bool,
    bom: bool = False,
    advance: Callable[[int], None] = lambda _: None,
) -> ConversionSummary:
    """Read a corpus and write it as a table of pairs, whole or not at all.

    A table keeps its rows; documents are cut into units. With `bom`, CSV begins with a byte order
    mark, for Excel.

    Raises:
        OptionError: the table has no byte order mark.
        FormatError: the corpus cannot be read.
        OutputError: the table cannot be written.
    """
    check_writable(out, overwrite=overwrite)
    summary = ConversionSummary()
    if name == "table":
        pairs = _table_pairs(source, options, losses, summary)
    else:
        documents = read_corpus(name, source, options, losses)
        counted = _checked(documents, losses, summary, advance, source=str(source))
        pairs = to_pairs(counted, unit=unit, losses=losses)
    write_pairs(_counted_rows(pairs, summary), out, overwrite=overwrite, bom=bom)
    if options.label_map:
        options.label_map.note_unseen(losses)
    return summary


def read_corpus(
    name: CorpusFormat, source: Path, options: ImportOptions, losses: ConversionLosses
) -> Iterator[Document]:
    """Read a corpus, one document after the other, each annotation once.

    Raises:
        FormatError: a file is not well-formed; it and the place in it are named.
        TableError: a file of lines or rows cannot be read.
    """
    check_source(name, source)
    for document in FORMATS[name].load().read(source, options, losses):
        yield _normalized(document, options, losses)


def check_source(name: CorpusFormat, source: Path) -> None:
    """Raise if a corpus is of another kind than its format, with the command to type.

    Raises:
        FormatError: it is a folder where a file is expected, or one file of a brat corpus, or the
            folder of a brat corpus where another format is expected.
    """
    if name == "brat" and source.suffix == ".ann" and source.is_file():
        raise FormatError(
            f"{source}: this is one file of a brat corpus. Name its folder: "
            f"annoseq import brat {source.parent} PAIRS."
        )
    if not source.is_dir() or name == "brat":
        return
    if _has(source, "*.ann") and not (name in _XML and _has(source, "*.xml")):
        raise FormatError(f"{source}: {describe_folder(source)}")
    if not FORMATS[name].is_folder:
        raise FormatError(
            f"{source}: this is a folder, and the format {name} is one file. Name one file in it."
        )


_XML = ("i2b2", "meddocan", "inline-xml")


def _has(folder: Path, pattern: str) -> bool:
    return next(folder.rglob(pattern), None) is not None


def export_corpus(
    name: CorpusFormat,
    documents: Iterable[Document],
    target: Path,
    *,
    options: ExportOptions,
    losses: ConversionLosses,
    overwrite: bool,
    advance: Callable[[int], None] = lambda _: None,
) -> ConversionSummary:
    """Write documents in a format, whole or not at all.

    Raises:
        FormatError: the format cannot hold something.
        OutputError: the target cannot be written.
    """
    check_export_target(name, target, overwrite=overwrite)
    entry = FORMATS[name]
    summary = ConversionSummary()
    named = (_check_folder_of(document, name) for document in documents)
    counted = _checked(named, losses, summary, advance)
    replace_target = atomic_folder if entry.is_folder else atomic_file
    with replace_target(target, overwrite=overwrite) as new:
        entry.load().write(counted, new, options, losses)
        if entry.is_folder:
            # Marks the folder as written by annoseq, so that --overwrite may replace it.
            settings = json.dumps({"annoseq": __version__, "format": name})
            (new / _CONFIG_FILE).write_text(settings + "\n", encoding="utf-8")
    if entry.labelling_config:
        with atomic_file(config_path(target), overwrite=overwrite) as new:
            new.write_text(entry.labelling_config(sorted(summary.labels)), encoding="utf-8")
    return summary


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
    if entry.labelling_config:
        check_writable(config_path(target), overwrite=overwrite)


def check_folders_of_texts(name: CorpusFormat, texts: Path) -> None:
    """Raise `OptionError` if texts are in a folder that a format has a file for."""
    for reserved in _file_names(name):
        if (texts / reserved).is_dir():
            raise OptionError(
                f"{texts / reserved}: the output has a file of this folder's name. Rename it."
            )


def _check_folder_of(document: Document, name: CorpusFormat) -> Document:
    """Return a document, after checking that its id puts it into no folder of a file's name."""
    folder, slash, _ = document.id.partition("/")
    if slash and folder in _file_names(name):
        place = f"{document.place}: " if document.place else ""
        raise FormatError(
            f"{place}the id of a document puts it into a folder named {folder}, and the output has "
            "a file of this name. Give it another id."
        )
    return document


def _file_names(name: CorpusFormat) -> tuple[str, ...]:
    """Return the files that a format has beside folders of documents."""
    if not FORMATS[name].is_folder or name == "folders":
        return ()
    return (_CONFIG_FILE, "annotation.conf") if name == "brat" else (_CONFIG_FILE,)


def config_path(target: Path) -> Path:
    """Return the path of the labelling config beside an exported file."""
    beside = target.with_suffix(".xml")
    return target.with_name(f"{target.name}.config.xml") if beside == target else beside


def _normalized(document: Document, options: ImportOptions, losses: ConversionLosses) -> Document:
    """Return a document with the labels of the map, each annotation once."""
    if options.label_map:
        document = options.label_map.apply(document, losses)
    document, duplicates = remove_duplicates(document)
    if duplicates:
        losses.note(*_DUPLICATE, where=document.name, count=duplicates)
    return document


_DUPLICATE = "annotation", "of a range that has the same label already, left out"


def _table_pairs(
    path: Path, options: ImportOptions, losses: ConversionLosses, summary: ConversionSummary
) -> Iterator[Pair]:
    """Yield the rows of a table in annoseq's markup."""
    documents: set[str | int] = set()
    rows = align_pairs(
        path,
        source=options.source,
        target=options.target,
        markup=options.markup,
        dialect=options.dialect,
        note=losses.note,
    )
    for place, pair, spans in rows:
        row = Document(
            pair.document or str(pair.row), pair.source, tuple(map(Mention.from_span, spans)), place
        )
        row = _normalized(row, options, losses)
        summary.add(row)
        documents.add(pair.document or pair.row)
        summary.documents = len(documents)
        yield replace(pair, target=render_document(row, losses))


def _counted_rows(pairs: Iterable[Pair], summary: ConversionSummary) -> Iterator[Pair]:
    for pair in pairs:
        summary.rows += 1
        yield pair


def _checked(
    documents: Iterable[Document],
    losses: ConversionLosses,
    summary: ConversionSummary,
    advance: Callable[[int], None],
    *,
    source: str = "",
) -> Iterator[Document]:
    """Pass documents on with each annotation once, count them, and refuse a repeated id."""
    places: dict[str, str] = {}
    for document in documents:
        if document.id in places:
            raise FormatError(_same_id(document, places[document.id]))
        places[document.id] = document.place
        unique, duplicates = remove_duplicates(document)
        if duplicates:
            losses.note(*_DUPLICATE, where=document.name, count=duplicates)
        summary.add(unique)
        yield unique
        advance(1)
    if not places:
        where = f"{source}: " if source else ""
        reasons = "; ".join(losses.lines())
        raise FormatError(
            f"{where}there is no document"
            + (f" left: {reasons}. " if reasons else ". ")
            + "Name a source with at least one."
        )


def _same_id(document: Document, first: str) -> str:
    name = quote_name(document.id, kind="text")
    place = f"{document.place}: " if document.place else ""
    other = f", which is that of {first}" if first else ""
    return f"{place}two documents have the id {name}{other}. Give each its own."

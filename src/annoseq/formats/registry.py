"""Registry of corpus formats: import to pairs and export from annotations.

Each format has a module with `read` or `write` or both, loaded when it is used.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from annoseq._version import __version__
from annoseq.atomic_io import rehearse, rehearse_folder, replacing, replacing_folder
from annoseq.data.foreign_markup import aligner, parser, retagged, writer
from annoseq.data.pairs import write_pairs
from annoseq.data.tables import table_format
from annoseq.errors import FormatError
from annoseq.formats.to_rows import to_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from annoseq.formats.capabilities import Losses
    from annoseq.formats.documents import Document
    from annoseq.formats.offsets import Offsets
    from annoseq.formats.sentence_splitter import UnitName


CorpusFormat = Literal[
    "brat",
    "i2b2",
    "meddocan",
    "folders",
    "inline",
    "inline-xml",
    "conll",
    "pubtator",
    "doccano",
    "label-studio",
    "spacy-jsonl",
    "spacy",
    "spans",
]
FormatName = Literal[CorpusFormat, "table"]
"""What can be imported: corpora, and tables of pairs in another markup."""

FOLDERS = frozenset({"brat", "i2b2", "meddocan", "folders", "inline", "inline-xml"})
"""The formats that are written as a folder."""
WITH_SCORES = frozenset({"label-studio", "spacy-jsonl", "spans"})
"""The formats that have a place for scores."""


_CONFIG_FILE = "config.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a corpus is read, where its format leaves it open."""

    offsets: Offsets = "auto"
    markup: str | None = None
    token_column: int = 0
    tag_column: int = -1
    texts: Path | None = None
    source: str
    target: str


def import_corpus(
    name: FormatName,
    source: Path,
    out: Path,
    *,
    unit: UnitName,
    reading: Reading,
    losses: Losses,
    overwrite: bool,
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """Read a corpus and write it as a table of pairs, whole or not at all.

    The rows of a table stay as they are; documents are cut into units.

    Raises:
        FormatError: the corpus cannot be read.
        OutputError: the table cannot be written.
    """
    rehearse(out, overwrite=overwrite)
    if name == "table":
        pairs = retagged(
            source, source=reading.source, target=reading.target, markup=reading.markup
        )
    else:
        documents = _counted(_distinct(read(name, source, reading, losses)), advance)
        pairs = to_pairs(documents, unit=unit, losses=losses)
    write_pairs(pairs, out, overwrite=overwrite)


def export_corpus(
    name: CorpusFormat,
    documents: Iterable[Document],
    target: Path,
    *,
    markup: str | None,
    losses: Losses,
    overwrite: bool,
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """Write documents in a format, whole or not at all.

    Raises:
        FormatError: the format cannot hold something.
        OutputError: the target cannot be written.
    """
    rehearse_export(name, target, overwrite=overwrite)
    documents = _counted(_distinct(documents), advance)
    if name in FOLDERS:
        with replacing_folder(target, overwrite=overwrite) as new:
            _write_folder(name, documents, new, markup, losses)
            # It says that the folder is ours, so that --overwrite may replace it.
            settings = json.dumps({"annoseq": __version__, "format": name})
            (new / _CONFIG_FILE).write_text(settings + "\n", encoding="utf-8")
    else:
        with replacing(target, overwrite=overwrite) as new:
            _write_file(name, documents, new, losses)


def rehearse_export(name: CorpusFormat, target: Path, *, overwrite: bool) -> None:
    """Raise now if a format cannot be written to its target, instead of after hours of work.

    Raises:
        OptionError: the format needs a library that is not installed.
        OutputError: the target exists and may not be replaced, or its folder cannot be written to.
        TableError: the target's suffix stands for no kind of table, and the format is one.
    """
    if name in FOLDERS:
        rehearse_folder(target, overwrite=overwrite)
        return
    if name == "spacy":
        from annoseq.formats.spacy_docbin import load_spacy

        load_spacy()
    elif name == "spans":
        table_format(target)
    rehearse(target, overwrite=overwrite)


def read(name: CorpusFormat, source: Path, reading: Reading, losses: Losses) -> Iterator[Document]:
    """Read a corpus, one document after the other.

    Raises:
        FormatError: a file is not well-formed; it and the place in it are named.
    """
    match name:
        case "doccano" | "label-studio" | "spacy-jsonl":
            return _read_json(name, source, reading.offsets, losses)
        case "conll" | "pubtator" | "spacy" | "spans":
            return _read_file(name, source, reading, losses)
        case _:
            return _read_folder(name, source, reading, losses)


def _read_json(
    name: Literal["doccano", "label-studio", "spacy-jsonl"],
    source: Path,
    offsets: Offsets,
    losses: Losses,
) -> Iterator[Document]:
    from annoseq.formats import doccano, label_studio
    from annoseq.formats import prodigy_jsonl as spacy_jsonl

    match name:
        case "doccano":
            return doccano.read(source, offsets=offsets, losses=losses)
        case "label-studio":
            return label_studio.read(source, offsets=offsets, losses=losses)
        case "spacy-jsonl":
            return spacy_jsonl.read(source, offsets=offsets, losses=losses)


def _read_file(
    name: Literal["conll", "pubtator", "spacy", "spans"],
    source: Path,
    reading: Reading,
    losses: Losses,
) -> Iterator[Document]:
    from annoseq.formats import conll, pubtator, spans_table
    from annoseq.formats import spacy_docbin as docbin

    match name:
        case "conll":
            token, tag = reading.token_column, reading.tag_column
            return conll.read(source, token_column=token, tag_column=tag)
        case "pubtator":
            return pubtator.read(source, offsets=reading.offsets, losses=losses)
        case "spacy":
            return docbin.read(source, losses=losses)
        case "spans":
            return spans_table.read(source, texts=reading.texts, offsets=reading.offsets)


def _read_folder(
    name: Literal["brat", "i2b2", "meddocan", "folders", "inline", "inline-xml"],
    source: Path,
    reading: Reading,
    losses: Losses,
) -> Iterator[Document]:
    from annoseq.formats import brat, inline_xml
    from annoseq.formats import i2b2_xml as standoff_xml
    from annoseq.formats import inline_text as folders
    from annoseq.formats import inline_text as inline

    match name:
        case "brat":
            return brat.read(source, offsets=reading.offsets, losses=losses)
        case "i2b2" | "meddocan":
            return standoff_xml.read(source, offsets=reading.offsets, losses=losses)
        case "inline-xml":
            return inline_xml.read(source, losses=losses)
        case "folders":
            return folders.read_parallel(source, align=aligner(reading.markup))
        case "inline":
            return inline.read(source, parse=parser(reading.markup))


def _write_folder(
    name: CorpusFormat,
    documents: Iterable[Document],
    folder: Path,
    markup: str | None,
    losses: Losses,
) -> None:
    from annoseq.formats import brat, inline_xml
    from annoseq.formats import i2b2_xml as standoff_xml
    from annoseq.formats import inline_text as folders
    from annoseq.formats import inline_text as inline

    match name:
        case "brat":
            brat.write(documents, folder, losses=losses)
        case "i2b2":
            standoff_xml.write(documents, folder, root="deIdi2b2", losses=losses)
        case "meddocan":
            standoff_xml.write(documents, folder, root="MEDDOCAN", losses=losses)
        case "inline-xml":
            inline_xml.write(documents, folder, losses=losses)
        case "folders":
            folders.write_parallel(documents, folder, write_tags=writer(markup), losses=losses)
        case _:
            inline.write(documents, folder, write_tags=writer(markup), losses=losses)


def _write_file(
    name: CorpusFormat, documents: Iterable[Document], path: Path, losses: Losses
) -> None:
    from annoseq.formats import conll, doccano, label_studio, pubtator, spans_table
    from annoseq.formats import prodigy_jsonl as spacy_jsonl
    from annoseq.formats import spacy_docbin as docbin

    match name:
        case "conll":
            conll.write(documents, path, losses=losses)
        case "pubtator":
            pubtator.write(documents, path, losses=losses)
        case "doccano":
            doccano.write(documents, path, losses=losses)
        case "label-studio":
            label_studio.write(documents, path, losses=losses)
        case "spacy-jsonl":
            spacy_jsonl.write(documents, path, losses=losses)
        case "spacy":
            docbin.write(documents, path, losses=losses)
        case _:
            spans_table.write(documents, path, losses=losses)


def _distinct(documents: Iterable[Document]) -> Iterator[Document]:
    seen: set[str] = set()
    for one in documents:
        if one.id in seen:
            raise FormatError(f"two documents have the id {one.id!r}. Give each its own.")
        seen.add(one.id)
        yield one
    if not seen:
        raise FormatError("there is no document. Name a source with at least one.")


def _counted(documents: Iterable[Document], advance: Callable[[int], None]) -> Iterator[Document]:
    for one in documents:
        yield one
        advance(1)

"""Registry of corpus formats: the name, the options, and the reader and writer of each.

Importing this module imports no format: readers and writers are loaded when they are used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.documents import Document
    from annoseq.formats.offsets import OffsetUnitOption


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
"""All that can be imported: corpora, and tables of pairs in a foreign markup."""

ImportOption = Literal[
    "unit",
    "offsets",
    "markup",
    "texts",
    "token-column",
    "tag-column",
    "source-column",
    "target-column",
]
"""An option of `annoseq import`; some have a meaning for some formats only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """Values of the options of an import."""

    offset_unit: OffsetUnitOption = "auto"
    markup: str | None = None
    token_column: int = 0
    tag_column: int = -1
    texts: Path | None = None
    source: str
    target: str


class FormatIO(NamedTuple):
    """Reader and writer of a format.

    `read` takes a file or folder; `write` takes the file or the folder to fill and, of inline
    formats, the example of a markup.
    """

    read: Callable[[Path, ImportOptions, ConversionLosses], Iterator[Document]]
    write: Callable[[Iterable[Document], Path, str | None, ConversionLosses], None]


def _brat() -> FormatIO:
    from annoseq.formats import brat

    return FormatIO(
        lambda source, options, losses: brat.read(
            source, offset_unit=options.offset_unit, losses=losses
        ),
        lambda documents, folder, _, losses: brat.write(documents, folder, losses=losses),
    )


def _i2b2() -> FormatIO:
    return _i2b2_xml("deIdi2b2")


def _meddocan() -> FormatIO:
    return _i2b2_xml("MEDDOCAN")


def _i2b2_xml(root: str) -> FormatIO:
    from annoseq.formats import i2b2_xml

    return FormatIO(
        lambda source, options, losses: i2b2_xml.read(
            source, offset_unit=options.offset_unit, losses=losses
        ),
        lambda documents, folder, _, losses: i2b2_xml.write(
            documents, folder, root=root, losses=losses
        ),
    )


def _folders() -> FormatIO:
    from annoseq.data.foreign_markup import markup_aligner, markup_writer
    from annoseq.formats import inline_text

    return FormatIO(
        lambda source, options, _: inline_text.read_parallel(
            source, align=markup_aligner(options.markup)
        ),
        lambda documents, folder, markup, losses: inline_text.write_parallel(
            documents, folder, write_markup=markup_writer(markup), losses=losses
        ),
    )


def _inline() -> FormatIO:
    from annoseq.data.foreign_markup import markup_parser, markup_writer
    from annoseq.formats import inline_text

    return FormatIO(
        lambda source, options, _: inline_text.read(source, parse=markup_parser(options.markup)),
        lambda documents, folder, markup, losses: inline_text.write(
            documents, folder, write_markup=markup_writer(markup), losses=losses
        ),
    )


def _inline_xml() -> FormatIO:
    from annoseq.formats import inline_xml

    return FormatIO(
        lambda source, _, losses: inline_xml.read(source, losses=losses),
        lambda documents, folder, _, losses: inline_xml.write(documents, folder, losses=losses),
    )


def _conll() -> FormatIO:
    from annoseq.formats import conll

    return FormatIO(
        lambda source, options, _: conll.read(
            source, token_column=options.token_column, tag_column=options.tag_column
        ),
        lambda documents, path, _, losses: conll.write(documents, path, losses=losses),
    )


def _pubtator() -> FormatIO:
    from annoseq.formats import pubtator

    return FormatIO(
        lambda source, options, losses: pubtator.read(
            source, offset_unit=options.offset_unit, losses=losses
        ),
        lambda documents, path, _, losses: pubtator.write(documents, path, losses=losses),
    )


def _doccano() -> FormatIO:
    from annoseq.formats import doccano

    return FormatIO(
        lambda source, options, losses: doccano.read(
            source, offset_unit=options.offset_unit, losses=losses
        ),
        lambda documents, path, _, losses: doccano.write(documents, path, losses=losses),
    )


def _label_studio() -> FormatIO:
    from annoseq.formats import label_studio

    return FormatIO(
        lambda source, options, losses: label_studio.read(
            source, offset_unit=options.offset_unit, losses=losses
        ),
        lambda documents, path, _, losses: label_studio.write(documents, path, losses=losses),
    )


def _prodigy_jsonl() -> FormatIO:
    from annoseq.formats import prodigy_jsonl

    return FormatIO(
        lambda source, options, losses: prodigy_jsonl.read(
            source, offset_unit=options.offset_unit, losses=losses
        ),
        lambda documents, path, _, losses: prodigy_jsonl.write(documents, path, losses=losses),
    )


def _spacy_docbin() -> FormatIO:
    from annoseq.formats import spacy_docbin

    return FormatIO(
        lambda source, _, losses: spacy_docbin.read(source, losses=losses),
        lambda documents, path, _, losses: spacy_docbin.write(documents, path, losses=losses),
    )


def _spans_table() -> FormatIO:
    from annoseq.formats import spans_table

    return FormatIO(
        lambda source, options, _: spans_table.read(
            source, texts=options.texts, offset_unit=options.offset_unit
        ),
        lambda documents, path, _, losses: spans_table.write(documents, path, losses=losses),
    )


def _require_spacy(_: Path) -> None:
    from annoseq.formats.spacy_docbin import load_spacy

    load_spacy()


def _require_table_suffix(target: Path) -> None:
    from annoseq.data.tables import table_format

    table_format(target)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatEntry:
    """A format: the loader of its reader and writer, and the properties that options depend on.

    `check_target` raises if a target cannot be written in this format, before hours of work.
    """

    load: Callable[[], FormatIO]
    is_folder: bool = False
    holds_scores: bool = False
    options: frozenset[ImportOption] = field(default=frozenset())
    check_target: Callable[[Path], None] = lambda _: None


_OFFSETS: frozenset[ImportOption] = frozenset({"offsets"})
_MARKUP: frozenset[ImportOption] = frozenset({"markup"})

FORMATS: dict[CorpusFormat, FormatEntry] = {
    "brat": FormatEntry(load=_brat, is_folder=True, options=_OFFSETS),
    "i2b2": FormatEntry(load=_i2b2, is_folder=True, options=_OFFSETS),
    "meddocan": FormatEntry(load=_meddocan, is_folder=True, options=_OFFSETS),
    "folders": FormatEntry(load=_folders, is_folder=True, options=_MARKUP),
    "inline": FormatEntry(load=_inline, is_folder=True, options=_MARKUP),
    "inline-xml": FormatEntry(load=_inline_xml, is_folder=True),
    "conll": FormatEntry(load=_conll, options=frozenset({"token-column", "tag-column"})),
    "pubtator": FormatEntry(load=_pubtator, options=_OFFSETS),
    "doccano": FormatEntry(load=_doccano, options=_OFFSETS),
    "label-studio": FormatEntry(load=_label_studio, holds_scores=True, options=_OFFSETS),
    "spacy-jsonl": FormatEntry(load=_prodigy_jsonl, holds_scores=True, options=_OFFSETS),
    "spacy": FormatEntry(load=_spacy_docbin, check_target=_require_spacy),
    "spans": FormatEntry(
        load=_spans_table,
        holds_scores=True,
        options=_OFFSETS | {"texts"},
        check_target=_require_table_suffix,
    ),
}
"""Every corpus format by its name."""

FORMATS_WITH_SCORES = sorted(name for name, entry in FORMATS.items() if entry.holds_scores)


def import_options(name: FormatName) -> frozenset[ImportOption]:
    """Return the options that have a meaning for a format."""
    if name == "table":
        return frozenset({"markup", "source-column", "target-column"})
    return FORMATS[name].options | {"unit"}

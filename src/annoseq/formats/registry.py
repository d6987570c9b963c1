"""Registry of corpus formats: the name, the options, and the reader and writer of each.

Importing this module imports no format: readers and writers are loaded when they are used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.conversion_options import ExportOptions, ImportOption, ImportOptions
    from annoseq.formats.documents import Document

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


class FormatIO(NamedTuple):
    """Reader and writer of a format.

    `read` takes a file or folder; `write` takes the file or the folder to fill.
    """

    read: Callable[[Path, ImportOptions, ConversionLosses], Iterator[Document]]
    write: Callable[[Iterable[Document], Path, ExportOptions, ConversionLosses], None]


def _brat() -> FormatIO:
    from annoseq.formats import brat

    return FormatIO(
        lambda source, options, losses: brat.read(
            source, offset_unit=options.offset_unit, losses=losses
        ),
        lambda documents, folder, _, losses: brat.write(documents, folder, losses=losses),
    )


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
        lambda source, options, losses: inline_text.read_parallel(
            source, align=markup_aligner(options.markup), losses=losses
        ),
        lambda documents, folder, options, losses: inline_text.write_parallel(
            documents, folder, write_markup=markup_writer(options.markup), losses=losses
        ),
    )


def _inline() -> FormatIO:
    from annoseq.data.foreign_markup import markup_parser, markup_writer
    from annoseq.formats import inline_text

    return FormatIO(
        lambda source, options, losses: inline_text.read(
            source, parse=markup_parser(options.markup), losses=losses
        ),
        lambda documents, folder, options, losses: inline_text.write(
            documents, folder, write_markup=markup_writer(options.markup), losses=losses
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
        lambda source, options, losses: conll.read(
            source,
            token_column=options.token_column,
            tag_column=options.tag_column,
            losses=losses,
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
            source,
            offset_unit=options.offset_unit,
            annotator=options.annotator,
            named_labels=options.label_map.labels if options.label_map else (),
            losses=losses,
        ),
        lambda documents, path, _, losses: doccano.write(documents, path, losses=losses),
    )


def _label_studio() -> FormatIO:
    from annoseq.formats import label_studio

    return FormatIO(
        lambda source, options, losses: label_studio.read(
            source,
            offset_unit=options.offset_unit,
            annotator=options.annotator,
            field=options.field,
            predictions=options.predictions,
            losses=losses,
        ),
        lambda documents, path, _, losses: label_studio.write(documents, path, losses=losses),
    )


def _prodigy_jsonl() -> FormatIO:
    from annoseq.formats import prodigy_jsonl

    return FormatIO(
        lambda source, options, losses: prodigy_jsonl.read(
            source,
            offset_unit=options.offset_unit,
            annotator=options.annotator,
            losses=losses,
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
            source,
            texts=options.texts,
            offset_unit=options.offset_unit,
            dialect=options.dialect,
        ),
        lambda documents, path, options, losses: spans_table.write(
            documents, path, bom=options.bom, span_text=options.span_text, losses=losses
        ),
    )


def _label_studio_config(labels: list[str]) -> str:
    from annoseq.formats import label_studio

    return label_studio.labelling_config(labels)


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
    `labelling_config` returns the content of the `.xml` file that tells the program the labels.
    `next_step` tells what to do with `TARGET`, the exported file or folder.
    """

    load: Callable[[], FormatIO]
    is_folder: bool = False
    holds_scores: bool = False
    options: frozenset[ImportOption] = field(default=frozenset())
    check_target: Callable[[Path], None] = lambda _: None
    labelling_config: Callable[[list[str]], str] | None = None
    next_step: str


_OFFSETS: frozenset[ImportOption] = frozenset({"offsets"})
_MARKUP: frozenset[ImportOption] = frozenset({"markup"})
_DIALECT: frozenset[ImportOption] = frozenset({"delimiter", "encoding"})

FORMATS: dict[CorpusFormat, FormatEntry] = {
    "brat": FormatEntry(
        load=_brat,
        is_folder=True,
        options=_OFFSETS,
        next_step="Copy TARGET into brat's data folder.",
    ),
    "i2b2": FormatEntry(
        load=partial(_i2b2_xml, "deIdi2b2"),
        is_folder=True,
        options=_OFFSETS,
        next_step="Score TARGET with i2b2's script.",
    ),
    "meddocan": FormatEntry(
        load=partial(_i2b2_xml, "MEDDOCAN"),
        is_folder=True,
        options=_OFFSETS,
        next_step="Score TARGET with MEDDOCAN's script.",
    ),
    "folders": FormatEntry(
        load=_folders, is_folder=True, options=_MARKUP, next_step="Compare TARGET/orig with it."
    ),
    "inline": FormatEntry(
        load=_inline, is_folder=True, options=_MARKUP, next_step="Read the texts in TARGET."
    ),
    "inline-xml": FormatEntry(
        load=_inline_xml, is_folder=True, next_step="Read TARGET with any XML library."
    ),
    "conll": FormatEntry(
        load=_conll,
        options=frozenset({"token-column", "tag-column"}),
        next_step="Read the first column of TARGET as tokens, the last as tags.",
    ),
    "pubtator": FormatEntry(
        load=_pubtator, options=_OFFSETS, next_step="Read TARGET with PubTator's tools."
    ),
    "doccano": FormatEntry(
        load=_doccano,
        options=_OFFSETS | {"annotator"},
        next_step="Import TARGET as JSONL into a project for sequence labelling.",
    ),
    "label-studio": FormatEntry(
        load=_label_studio,
        holds_scores=True,
        options=_OFFSETS | {"predictions", "annotator", "field"},
        labelling_config=_label_studio_config,
        next_step="Paste CONFIG as the labelling interface of a project, then import TARGET.",
    ),
    "spacy-jsonl": FormatEntry(
        load=_prodigy_jsonl,
        holds_scores=True,
        options=_OFFSETS | {"annotator"},
        next_step="Load it with: prodigy db-in DATASET TARGET.",
    ),
    "spacy": FormatEntry(
        load=_spacy_docbin,
        check_target=_require_spacy,
        next_step="Train on it with: python -m spacy train --paths.train TARGET.",
    ),
    "spans": FormatEntry(
        load=_spans_table,
        holds_scores=True,
        options=_OFFSETS | _DIALECT | {"texts"},
        check_target=_require_table_suffix,
        next_step="Read TARGET with any program for tables.",
    ),
}
"""Every corpus format by its name."""


def import_options(name: FormatName) -> frozenset[ImportOption]:
    """Return the options that have a meaning for a format."""
    if name == "table":
        return _DIALECT | {"markup", "source-column", "target-column", "map"}
    return FORMATS[name].options | {"unit", "map"}

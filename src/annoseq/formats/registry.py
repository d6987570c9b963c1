"""Registry of corpus formats: the name, the options, and the reader and writer of each.

Importing this module imports no format: readers and writers are loaded when they are used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
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


def _loader(module: str, *, read: str = "read", write: str = "write") -> Callable[[], FormatIO]:
    """Return a function that imports a module of this package, and takes its reader and writer."""

    def load() -> FormatIO:
        loaded = import_module(f"annoseq.formats.{module}")
        return FormatIO(getattr(loaded, read), getattr(loaded, write))

    return load


def _label_studio_config(labels: list[str]) -> str:
    from annoseq.formats.label_studio import labelling_config

    return labelling_config(labels)


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
        load=_loader("brat"),
        is_folder=True,
        options=_OFFSETS,
        next_step="Copy TARGET into brat's data folder.",
    ),
    "i2b2": FormatEntry(
        load=_loader("i2b2_xml"),
        is_folder=True,
        options=_OFFSETS,
        next_step="Score TARGET with i2b2's script.",
    ),
    "meddocan": FormatEntry(
        load=_loader("i2b2_xml", write="write_meddocan"),
        is_folder=True,
        options=_OFFSETS,
        next_step="Score TARGET with MEDDOCAN's script.",
    ),
    "folders": FormatEntry(
        load=_loader("inline_text", read="read_parallel", write="write_parallel"),
        is_folder=True,
        options=_MARKUP,
        next_step="Compare TARGET/orig with it.",
    ),
    "inline": FormatEntry(
        load=_loader("inline_text"),
        is_folder=True,
        options=_MARKUP,
        next_step="Read the texts in TARGET.",
    ),
    "inline-xml": FormatEntry(
        load=_loader("inline_xml"), is_folder=True, next_step="Read TARGET with any XML library."
    ),
    "conll": FormatEntry(
        load=_loader("conll"),
        options=frozenset({"token-column", "tag-column"}),
        next_step="Read the first column of TARGET as tokens, the last as tags.",
    ),
    "pubtator": FormatEntry(
        load=_loader("pubtator"), options=_OFFSETS, next_step="Read TARGET with PubTator's tools."
    ),
    "doccano": FormatEntry(
        load=_loader("doccano"),
        options=_OFFSETS | {"annotator"},
        next_step="Import TARGET as JSONL into a project for sequence labelling.",
    ),
    "label-studio": FormatEntry(
        load=_loader("label_studio"),
        holds_scores=True,
        options=_OFFSETS | {"predictions", "annotator", "field"},
        labelling_config=_label_studio_config,
        next_step="Paste CONFIG as the labelling interface of a project, then import TARGET.",
    ),
    "spacy-jsonl": FormatEntry(
        load=_loader("prodigy_jsonl"),
        holds_scores=True,
        options=_OFFSETS | {"annotator"},
        next_step="Load it with: prodigy db-in DATASET TARGET.",
    ),
    "spacy": FormatEntry(
        load=_loader("spacy_docbin"),
        check_target=_require_spacy,
        next_step="Train on it with: python -m spacy train --paths.train TARGET.",
    ),
    "spans": FormatEntry(
        load=_loader("spans_table"),
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

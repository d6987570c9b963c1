"""Options of the readers and writers of corpora; each has a meaning for some formats only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from annoseq.data.table_rows import DEFAULT_DIALECT

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.data.table_rows import TextDialect
    from annoseq.formats.label_map import LabelMap
    from annoseq.formats.offsets import OffsetUnitOption

ImportOption = Literal[
    "unit",
    "offsets",
    "markup",
    "texts",
    "token-column",
    "tag-column",
    "source-column",
    "target-column",
    "delimiter",
    "encoding",
    "predictions",
    "annotator",
    "field",
    "map",
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
    dialect: TextDialect = DEFAULT_DIALECT
    predictions: bool = False
    annotator: str | None = None
    field: str | None = None
    label_map: LabelMap | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """Values of the options of an export.

    `markup` is an example of the tags of an inline format. `bom` and `span_text` are for tables of
    spans: a byte order mark, by which Excel knows UTF-8, and a column of the spans' own texts.
    """

    markup: str | None = None
    bom: bool = False
    span_text: bool = False

"""`annoseq import` and `annoseq export`."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from annoseq.cli.annotate_output import write_corpus
from annoseq.cli.options import (
    ByteOrderMark,
    Lossy,
    Overwrite,
    TextDelimiter,
    TextEncoding,
    at_least,
)
from annoseq.cli.output import print_note
from annoseq.config import SOURCE_COLUMN, TARGET_COLUMN
from annoseq.data.table_rows import TextDialect
from annoseq.errors import OptionError, display_name, option_name
from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.conversion import import_corpus
from annoseq.formats.conversion_options import ExportOptions, ImportOptions
from annoseq.formats.label_map import LabelMap, find_case_twins
from annoseq.formats.offsets import OffsetUnitOption
from annoseq.formats.registry import (
    FORMATS,
    CorpusFormat,
    FormatName,
    import_options,
)
from annoseq.formats.rows import read_documents
from annoseq.formats.sentence_splitter import RowUnit
from annoseq.progress import progress_bar


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class PairsTableOptions:
    """Options of reading annotations from a table."""

    source_column: Annotated[
        str, Parameter(help="Column of the originals of a table of pairs.")
    ] = SOURCE_COLUMN
    target_column: Annotated[
        str, Parameter(help="Column of the annotated texts of a table of pairs.")
    ] = TARGET_COLUMN
    delimiter: TextDelimiter = None
    encoding: TextEncoding = None


def export(
    format_: Annotated[CorpusFormat, Parameter(name="format", help="What to write.")],
    annotations: Annotated[
        Path,
        Parameter(help="What `annoseq annotate` wrote (.jsonl, .csv), or a table of pairs."),
    ],
    target: Annotated[Path, Parameter(help="File to write, or folder, as the format has it.")],
    /,
    *,
    lossy: Lossy = False,
    markup: Annotated[
        str | None,
        Parameter(
            help="Inline tags by an example with LABEL and text, such as `<LABEL>text</LABEL>` "
            "(formats folders, inline)."
        ),
    ] = None,
    table: PairsTableOptions = PairsTableOptions(),
    bom: ByteOrderMark = False,
    span_text: Annotated[
        bool,
        Parameter(
            help="Add a column `covered` with the text of each span (format spans).", negative=""
        ),
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Write annotations in another format."""
    allows_markup, is_table = "markup" in FORMATS[format_].options, format_ == "spans"
    for option, is_allowed in {
        "--markup": allows_markup or markup is None,
        "--bom": is_table or not bom,
        "--span-text": is_table or not span_text,
    }.items():
        if not is_allowed:
            raise OptionError(f"{option} has no meaning for the format {format_}. Leave it off.")
    losses = ConversionLosses(format_name=None if lossy else format_)
    notes = ConversionLosses()
    documents = read_documents(
        annotations,
        losses=losses,
        notes=notes,
        source=table.source_column,
        target=table.target_column,
        dialect=TextDialect(table.delimiter, table.encoding),
    )
    write_corpus(
        format_,
        documents,
        target,
        options=ExportOptions(markup=markup, bom=bom, span_text=span_text),
        losses=losses,
        notes=notes,
        overwrite=overwrite,
    )


export_app = App(
    name="export",
    help="Write annotations, or pairs, in another program's format, or a model as an ONNX file.",
)
export_app.default(export)
export_app.command(
    "annoseq.cli.export_onnx:export_onnx",
    name="onnx",
    help="Write a tagger as an ONNX file, which is run without torch.",
)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusOptions:
    """Options of reading a corpus; each has a meaning for some formats."""

    unit: Annotated[
        RowUnit | None,
        Parameter(
            help="What becomes a row: a document, a line or a sentence of one; by default "
            "a line, and of a table its rows."
        ),
    ] = None
    offsets: Annotated[
        OffsetUnitOption,
        Parameter(help="What the offsets count; auto: whatever fits the texts that they cover."),
    ] = "auto"
    markup: Annotated[
        str | None,
        Parameter(
            help="Inline tags by an example with LABEL and text, such as `<LABEL>text</LABEL>`, "
            "`[text](LABEL)` or your own; by default `{{LABEL}}text{{/LABEL}}`, or what fits the "
            "originals (formats folders, inline, table)."
        ),
    ] = None
    texts: Annotated[
        Path | None, Parameter(help="Folder of the texts of a table of spans (format spans).")
    ] = None
    token_column: Annotated[
        int, Parameter(help="Column of the tokens, from 0 (format conll).", validator=at_least(0))
    ] = 0
    tag_column: Annotated[
        int,
        Parameter(
            help="Column of the tags, from 0, or from the end: -1 (format conll).",
            allow_leading_hyphen=True,
        ),
    ] = -1
    source_column: Annotated[str, Parameter(help="Column of the originals (format table).")] = (
        SOURCE_COLUMN
    )
    target_column: Annotated[str, Parameter(help="Column of the annotated (format table).")] = (
        TARGET_COLUMN
    )
    delimiter: TextDelimiter = None
    encoding: TextEncoding = None
    predictions: Annotated[
        bool,
        Parameter(
            help="Read a model's predictions instead of annotations (format label-studio).",
            negative="",
        ),
    ] = False
    annotator: Annotated[
        str | None,
        Parameter(
            help="Annotator whose annotations are read, by name or id; by default the first of "
            "each text (formats label-studio, doccano, spacy-jsonl)."
        ),
    ] = None
    field: Annotated[
        str | None,
        Parameter(
            help="Field of the data that holds the texts; by default the one that is annotated "
            "(format label-studio)."
        ),
    ] = None
    map: Annotated[
        Path | None,
        Parameter(
            help='Labels to rename, merge or drop (TOML): drop = ["AGE"], and a table [rename] '
            'with "OLD" = "NEW".'
        ),
    ] = None

    def check(self, format_: FormatName) -> None:
        """Check that only options that have a meaning for a format were given.

        Raises:
            OptionError: another option was given.
        """
        known = import_options(format_)
        for field in fields(self):
            option = option_name(field.name)
            if (
                option.removeprefix("--") not in known
                and getattr(self, field.name) != field.default
            ):
                raise OptionError(
                    f"{option} has no meaning for the format {format_}. Leave it off."
                )

    def import_options(self) -> ImportOptions:
        """Return the options of the readers.

        Raises:
            OptionError: the file of the label map cannot be read.
        """
        return ImportOptions(
            offset_unit=self.offsets,
            markup=self.markup,
            texts=self.texts,
            token_column=self.token_column,
            tag_column=self.tag_column,
            source=self.source_column,
            target=self.target_column,
            dialect=TextDialect(self.delimiter, self.encoding),
            predictions=self.predictions,
            annotator=self.annotator,
            field=self.field,
            label_map=LabelMap.load(self.map) if self.map else None,
        )


def import_(
    format_: Annotated[FormatName, Parameter(name="format", help="What the corpus is.")],
    source: Annotated[Path, Parameter(help="File or folder of the corpus.")],
    pairs: Annotated[Path, Parameter(help="Table to write (.csv, .tsv, .jsonl, .parquet).")],
    /,
    *,
    corpus: CorpusOptions = CorpusOptions(),
    bom: ByteOrderMark = False,
    overwrite: Overwrite = False,
) -> None:
    """Turn a corpus into a table of pairs."""
    corpus.check(format_)
    losses = ConversionLosses()
    options = corpus.import_options()
    with progress_bar("importing", total=None) as advance:
        summary = import_corpus(
            format_,
            source,
            pairs,
            unit=corpus.unit or "line",
            options=options,
            losses=losses,
            overwrite=overwrite,
            bom=bom,
            advance=advance,
        )
    for line in losses.lines():
        print_note(line)
    for labels in find_case_twins(summary.labels):
        counts = (f"{display_name(label)} ({summary.labels[label]:,})" for label in labels)
        print_note(f"labels that differ in case only: {', '.join(counts)}; --map merges them")
    print_note(f"Wrote {pairs}: {summary}. Next: annoseq check {shlex.quote(str(pairs))}")

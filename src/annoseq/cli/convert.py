"""`annoseq import` and `annoseq export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from annoseq.cli.annotate_output import write_corpus
from annoseq.cli.options import Lossy, Overwrite, at_least
from annoseq.cli.output import print_note
from annoseq.config import SOURCE_COLUMN, TARGET_COLUMN
from annoseq.errors import OptionError
from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.conversion import import_corpus
from annoseq.formats.from_rows import read_documents
from annoseq.formats.offsets import OffsetUnitOption
from annoseq.formats.registry import (
    FORMATS,
    CorpusFormat,
    FormatName,
    ImportOption,
    ImportOptions,
    import_options,
)
from annoseq.formats.sentence_splitter import RowUnit
from annoseq.progress import progress_bar


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
    source_column: Annotated[
        str, Parameter(help="Column of the originals of a table of pairs.")
    ] = SOURCE_COLUMN,
    target_column: Annotated[
        str, Parameter(help="Column of the annotated texts of a table of pairs.")
    ] = TARGET_COLUMN,
    overwrite: Overwrite = False,
) -> None:
    """Write annotations in another format."""
    if markup is not None and "markup" not in FORMATS[format_].options:
        raise OptionError(f"--markup has no meaning for the format {format_}. Leave it off.")
    losses = ConversionLosses(format_name=None if lossy else format_)
    notes = ConversionLosses()
    documents = read_documents(
        annotations, losses=losses, notes=notes, source=source_column, target=target_column
    )
    write_corpus(
        format_,
        documents,
        target,
        markup=markup,
        losses=losses,
        notes=notes,
        overwrite=overwrite,
    )


Markup = Annotated[
    str | None,
    Parameter(
        help="Inline tags by an example with LABEL and text, such as `<LABEL>text</LABEL>`, "
        "`[text](LABEL)` or your own; by default `{{LABEL}}text{{/LABEL}}`, or what fits the "
        "originals (formats folders, inline, table)."
    ),
]


def import_(
    format_: Annotated[FormatName, Parameter(name="format", help="What the corpus is.")],
    source: Annotated[Path, Parameter(help="File or folder of the corpus.")],
    pairs: Annotated[Path, Parameter(help="Table to write (.csv, .tsv, .jsonl, .parquet).")],
    /,
    *,
    unit: Annotated[
        RowUnit | None,
        Parameter(
            help="What becomes a row: a document, a line or a sentence of one; by default "
            "a line, and of a table its rows."
        ),
    ] = None,
    offsets: Annotated[
        OffsetUnitOption,
        Parameter(help="What the offsets count; auto: whatever fits the texts that they cover."),
    ] = "auto",
    markup: Markup = None,
    texts: Annotated[
        Path | None, Parameter(help="Folder of the texts of a table of spans (format spans).")
    ] = None,
    token_column: Annotated[
        int, Parameter(help="Column of the tokens, from 0 (format conll).", validator=at_least(0))
    ] = 0,
    tag_column: Annotated[
        int,
        Parameter(
            help="Column of the tags, from 0, or from the end: -1 (format conll).",
            allow_leading_hyphen=True,
        ),
    ] = -1,
    source_column: Annotated[str, Parameter(help="Column of the originals (format table).")] = (
        SOURCE_COLUMN
    ),
    target_column: Annotated[str, Parameter(help="Column of the annotated (format table).")] = (
        TARGET_COLUMN
    ),
    overwrite: Overwrite = False,
) -> None:
    """Turn a corpus into a table of pairs."""
    given: dict[ImportOption, bool] = {
        "unit": unit is not None,
        "offsets": offsets != "auto",
        "markup": markup is not None,
        "texts": texts is not None,
        "token-column": token_column != 0,
        "tag-column": tag_column != -1,
        "source-column": source_column != SOURCE_COLUMN,
        "target-column": target_column != TARGET_COLUMN,
    }
    for option, is_given in given.items():
        if is_given and option not in import_options(format_):
            raise OptionError(f"--{option} has no meaning for the format {format_}. Leave it off.")
    losses = ConversionLosses()
    options = ImportOptions(
        offset_unit=offsets,
        markup=markup,
        texts=texts,
        token_column=token_column,
        tag_column=tag_column,
        source=source_column,
        target=target_column,
    )
    with progress_bar("importing", total=None) as advance:
        import_corpus(
            format_,
            source,
            pairs,
            unit=unit or "line",
            options=options,
            losses=losses,
            overwrite=overwrite,
            advance=advance,
        )
    for line in losses.lines():
        print_note(line)

"""`annoseq import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

from cyclopts import Parameter

from annoseq.cli.console import note
from annoseq.cli.options import Overwrite, at_least
from annoseq.config import SOURCE_COLUMN, TARGET_COLUMN
from annoseq.errors import OptionError
from annoseq.formats.conversion import Reading, import_corpus
from annoseq.formats.losses import Losses
from annoseq.formats.names import CorpusFormat, FormatName
from annoseq.formats.offsets import Offsets
from annoseq.formats.units import UnitName
from annoseq.progress import progress

_WITH_OFFSETS = {"brat", "i2b2", "meddocan", "pubtator", "doccano", "label-studio", "spacy-jsonl"}
_WITH_OFFSETS |= {"spans"}

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
        UnitName | None,
        Parameter(
            help="What becomes a row: a document, a line or a sentence of one; by default "
            "a line, and of a table its rows."
        ),
    ] = None,
    offsets: Annotated[
        Offsets,
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
    for option, (is_given, formats) in {
        "--unit": (unit is not None, set(get_args(CorpusFormat))),
        "--offsets": (offsets != "auto", _WITH_OFFSETS),
        "--markup": (markup is not None, {"folders", "inline", "table"}),
        "--texts": (texts is not None, {"spans"}),
        "--token-column": (token_column != 0, {"conll"}),
        "--tag-column": (tag_column != -1, {"conll"}),
        "--source-column": (source_column != SOURCE_COLUMN, {"table"}),
        "--target-column": (target_column != TARGET_COLUMN, {"table"}),
    }.items():
        if is_given and format_ not in formats:
            raise OptionError(f"{option} has no meaning for the format {format_}. Leave it off.")
    losses = Losses()
    reading = Reading(
        offsets=offsets,
        markup=markup,
        texts=texts,
        token_column=token_column,
        tag_column=tag_column,
        source=source_column,
        target=target_column,
    )
    with progress("importing", total=None) as advance:
        import_corpus(
            format_,
            source,
            pairs,
            unit=unit or "line",
            reading=reading,
            losses=losses,
            overwrite=overwrite,
            advance=advance,
        )
    for line in losses.lines():
        note(line)

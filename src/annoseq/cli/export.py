"""`annoseq export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from annoseq.cli.corpus import write
from annoseq.cli.options import Lossy, Overwrite
from annoseq.config import SOURCE_COLUMN, TARGET_COLUMN
from annoseq.errors import OptionError
from annoseq.formats.annotations import read_documents
from annoseq.formats.losses import Losses
from annoseq.formats.names import CorpusFormat


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
    if markup is not None and format_ not in {"folders", "inline"}:
        raise OptionError(f"--markup has no meaning for the format {format_}. Leave it off.")
    losses = Losses(format_name=None if lossy else format_)
    notes = Losses()
    documents = read_documents(
        annotations, losses=losses, notes=notes, source=source_column, target=target_column
    )
    write(
        format_,
        documents,
        target,
        markup=markup,
        losses=losses,
        notes=notes,
        overwrite=overwrite,
    )

"""`annoseq annotate`."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from annoseq.annotator import Annotation, Annotator
from annoseq.cli.console import note
from annoseq.cli.options import Batching, Device, InputFormat, ModelPath, Overwrite
from annoseq.config import BatchConfig, ColumnsConfig, DeviceConfig
from annoseq.files import refuse_existing, replacing
from annoseq.pairs.tables import read_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO


def annotate(
    model: ModelPath,
    table: Annotated[Path, Parameter(help="Table of texts, or - for input.")],
    /,
    *,
    column: Annotated[str, Parameter(help="Column of the texts.")] = ColumnsConfig().source,
    out: Annotated[Path | None, Parameter(help="JSONL file to write; by default output.")] = None,
    overwrite: Overwrite = False,
    input_format: InputFormat = None,
    batching: Batching = BatchConfig(),
    device: Device = DeviceConfig(),
) -> None:
    """Annotate every text of a table, one JSON line each, in the table's order."""
    if out:
        refuse_existing(out, overwrite=overwrite)
    annotator = Annotator.load(model, device=device)
    rows = list(read_rows(table, columns=[column], format=input_format))
    annotations = annotator.annotate([row.values[column] for row in rows], batching=batching)
    with ExitStack() as stack:
        file: TextIO = sys.stdout
        if out:
            new = stack.enter_context(replacing(out, overwrite=overwrite))
            file = stack.enter_context(new.open("w", encoding="utf-8", newline="\n"))
        for row, annotation in zip(rows, annotations, strict=True):
            file.write(json.dumps(_line(row.number, annotation), ensure_ascii=False) + "\n")
    _count(annotations)


def _line(number: int, annotation: Annotation) -> dict[str, object]:
    spans = annotation.spans
    line: dict[str, object] = {
        "id": number,
        "text": annotation.text,
        "annotated": annotation.annotated,
        "spans": spans
        and [
            {
                "start": span.start,
                "end": span.end,
                "label": span.label,
                "text": annotation.text[span.start : span.end],
            }
            for span in spans
        ],
    }
    if annotation.problem:
        line["problem"] = annotation.problem
    return line


def _count(annotations: Sequence[Annotation]) -> None:
    problems = sum(annotation.problem is not None for annotation in annotations)
    if problems:
        note(
            f"{problems:,} of {len(annotations):,} outputs are not their text plus tags; "
            "their lines say so under `problem`"
        )

"""`annoseq show-batch`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from annoseq.cli.console import say
from annoseq.cli.data import open_dataset
from annoseq.cli.options import Columns, Data, DataPath, InputFormat, SkipBad, ValidPath, at_least
from annoseq.config import ColumnsConfig, DataConfig


def show_batch(
    pairs: DataPath,
    /,
    *,
    rows: Annotated[int, Parameter(help="Rows to show.", validator=at_least(1))] = 5,
    valid: ValidPath = None,
    skip_bad: SkipBad = False,
    input_format: InputFormat = None,
    columns: Columns = ColumnsConfig(),
    data: Data = DataConfig(),
) -> None:
    """Show rows in tokens, and the shape of a batch."""
    dataset = open_dataset(
        pairs,
        columns=columns,
        config=data,
        valid=valid,
        input_format=input_format,
        skip_bad=skip_bad,
    )
    dataset.show_batch(rows)
    batch = dataset.one_batch()
    assert batch.target is not None
    say(
        f"the largest batch: source {tuple(batch.source.shape)}, target {tuple(batch.target.shape)}"
        " (rows, tokens)"
    )

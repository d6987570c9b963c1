"""`annoseq show-batch`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from annoseq.cli.console import say
from annoseq.cli.data import describe, open_dataset
from annoseq.cli.options import DataPath, Preparing, at_least


def show_batch(
    pairs: DataPath,
    /,
    *,
    rows: Annotated[int, Parameter(help="Rows to show.", validator=at_least(1))] = 5,
    preparing: Preparing = Preparing(),
) -> None:
    """Show rows in tokens, and the shape of a batch."""
    dataset = open_dataset(pairs, preparing)
    describe(dataset, dataset.codec)
    dataset.show_batch(rows)
    batch = dataset.one_batch()
    assert batch.target is not None
    say(
        f"the largest batch: source {tuple(batch.source.shape)}, target {tuple(batch.target.shape)}"
        " (rows, tokens)"
    )

"""`annoseq check`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from annoseq.check.check_report import visible
from annoseq.check.checks import check_pairs
from annoseq.cli.loading import read_table
from annoseq.cli.options import (
    Columns,
    Normalize,
    PairsPath,
    TableFormatOption,
    ValidPath,
    at_least,
)
from annoseq.cli.output import make_console, print_data
from annoseq.config import ColumnsConfig, DataConfig

if TYPE_CHECKING:
    from annoseq.data.pairs import Pairs


def check(
    pairs: PairsPath,
    /,
    *,
    valid: ValidPath = None,
    task: Annotated[
        Literal["auto", "annotate", "translate"], Parameter(help="What the pairs are for.")
    ] = "auto",
    rows: Annotated[
        int, Parameter(help="Rows to show of each kind of finding.", validator=at_least(0))
    ] = 5,
    head: Annotated[int, Parameter(help="First rows to show.", validator=at_least(0))] = 0,
    tail: Annotated[int, Parameter(help="Last rows to show.", validator=at_least(0))] = 0,
    json_output: Annotated[
        bool, Parameter(name="--json", help="Print the findings as JSON.", negative="")
    ] = False,
    normalize: Normalize = False,
    input_format: TableFormatOption = None,
    columns: Columns = ColumnsConfig(),
) -> None:
    """Examine every row; exit with 2 if there is one that cannot be used."""
    table = read_table(pairs, columns, input_format=input_format)
    diagnosis = check_pairs(
        table,
        task=None if task == "auto" else task,
        valid=None if valid is None else read_table(valid, columns),
        split=None if valid is not None else DataConfig(),
        normalize=normalize,
    )
    if json_output:
        print_data(diagnosis.to_json())
    else:
        console = make_console()
        for rows_shown in (table[:head], table[len(table) - tail :]):
            if rows_shown:
                console.print(_side_by_side(rows_shown))
        diagnosis.show(console, rows=rows)
    if not diagnosis.is_healthy:
        sys.exit(2)


def _side_by_side(pairs: Pairs) -> Table:
    """Return a table of pairs with control characters and spaces made visible."""
    table = Table(show_lines=True)
    table.add_column("row", justify="right")
    for name in ("source", "target"):
        table.add_column(name, ratio=1, overflow="fold")
    for pair in pairs:
        table.add_row(str(pair.row), Text(visible(pair.source)), Text(visible(pair.target)))
    return table

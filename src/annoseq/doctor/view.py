"""A diagnosis on the terminal, or in a file: the numbers first, then each kind of finding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from annoseq.doctor.excerpts import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from annoseq.doctor.diagnosis import Diagnosis, Finding, LabelCount, Lengths, Severity

_STYLES: dict[Severity, str] = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}


def show(diagnosis: Diagnosis, console: Console, *, rows: int = 5) -> None:
    """Print a diagnosis; of each kind of finding, the first `rows` rows are shown in full.

    Everything from the pairs goes through `Text`, so that nothing in it is taken for rich's
    own markup.
    """
    console.print(_heading(diagnosis))
    console.print()
    console.print(_lengths_table({"source": diagnosis.source, "target": diagnosis.target}))
    if diagnosis.labels:
        console.print()
        console.print(_labels_table(diagnosis.labels, depth=diagnosis.depth))
    for finding in diagnosis.findings:
        console.print()
        _show_finding(finding, console, rows=rows)
    console.print()
    console.print(_verdict(diagnosis))


def _heading(diagnosis: Diagnosis) -> Text:
    facts = [_count(diagnosis.rows, "row")]
    if diagnosis.documents is not None:
        facts.append(_count(diagnosis.documents, "document"))
    facts.append(f"task {diagnosis.task}" + (" (inferred)" if diagnosis.is_task_inferred else ""))
    facts.append(f"tags {diagnosis.markup}" if diagnosis.markup else "no tags")
    return Text.assemble((visible(diagnosis.name), "bold"), ": ", ", ".join(facts))


def _lengths_table(sides: dict[str, Lengths | None]) -> Table:
    table = _table("characters", "shortest", "median", "mean", "longest", "in row")
    for side, lengths in sides.items():
        if lengths is not None:
            table.add_row(
                Text(side),
                f"{lengths.shortest:,}",
                f"{lengths.median:,.1f}".removesuffix(".0"),
                f"{lengths.mean:,.1f}",
                f"{lengths.longest:,}",
                str(lengths.longest_row),
            )
    return table


def _labels_table(labels: Sequence[LabelCount], *, depth: int) -> Table:
    table = _table("label", "spans", "nested")
    for label in labels:
        table.add_row(Text(visible(label.label)), f"{label.spans:,}", f"{label.nested:,}")
    table.add_section()
    total, nested = sum(label.spans for label in labels), sum(label.nested for label in labels)
    levels = f"all {len(labels)}, {depth} deep" if depth > 1 else f"all {len(labels)}"
    table.add_row(Text(levels), f"{total:,}", f"{nested:,}", style="bold")
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right", overflow="fold")
    return table


def _show_finding(finding: Finding, console: Console, *, rows: int) -> None:
    severity = (finding.severity, _STYLES[finding.severity])
    console.print(Text.assemble(severity, f": {finding.title}: {_count(len(finding.rows), 'row')}"))
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    shown = finding.examples[:rows]
    for example in shown:
        grid.add_row(f"row {example.row}", Text(example.message))
    if shown:
        console.print(Padding(grid, (0, 0, 0, 2), expand=False))
    if rest := finding.rows[len(shown) :]:
        console.print(Padding(Text(_more(rest, named=rows)), (0, 0, 0, 2), expand=False))
    console.print(Padding(Text(finding.advice, style="italic"), (0, 0, 0, 2), expand=False))


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def _more(rest: Sequence[int], *, named: int) -> str:
    numbers = [*map(str, rest[:named]), *(["..."] if len(rest) > named else [])]
    return f"and {len(rest):,} more: {', '.join(numbers)}"


def _verdict(diagnosis: Diagnosis) -> Text:
    if diagnosis.is_healthy:
        return Text("Healthy: every row can be used.", style="bold green")
    bad = len(diagnosis.bad_rows)
    return Text(
        f"Not healthy: {bad:,} of {diagnosis.rows:,} rows cannot be used as they are.",
        style="bold red",
    )

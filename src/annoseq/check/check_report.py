"""Report of a table check: findings and statistics, as JSON, text and HTML, with escaped excerpts.

Examples quote the user's text: only who asks for a check may see its report. Do not log it.
"""

from __future__ import annotations

import io
import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from annoseq.data.alignment import describe_only_difference
from annoseq.errors import count_noun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from annoseq.config import Task


_BEFORE = 15
_AFTER = 25


def visible(text: str) -> str:
    r"""Escape the characters that a terminal would not show, or would act upon.

    >>> print(visible("a\u00a0b\n"))
    a\xa0b\n
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def first_difference(first: str, second: str) -> int:
    """Return the first character at which two texts differ.

    >>> first_difference("Dr. Ames", "Dr. Aims")
    5
    """
    return len(os.path.commonprefix([first, second]))  # noqa: RUF071 - characters are meant


def quote_around(text: str, at: int) -> str:
    """Quote the text around character `at`.

    >>> quote_around("To: Dr. Ames, St. Mary Hospital", 18)
    "'... Dr. Ames, St. Mary Hospital'"
    """
    start, end = max(0, at - _BEFORE), at + _AFTER
    lead, trail = "..." if start else "", "..." if end < len(text) else ""
    return f"'{lead}{visible(text[start:end])}{trail}'"


def quote_piece(text: str, start: int, end: int) -> str:
    """Quote the text around a piece of it, and the piece in brackets.

    >>> quote_piece("Mr. Ames was seen", 4, 6)
    "'Mr. [Am]es was seen'"
    """
    piece = text[start:end]
    if len(piece) > _BEFORE + _AFTER:  # its edges are what matters
        piece = f"{piece[:_BEFORE]}...{piece[-_BEFORE:]}"
    before = "..." * (start > _BEFORE) + text[max(0, start - _BEFORE) : start]
    after = text[end : end + _BEFORE] + "..." * (end + _BEFORE < len(text))
    return f"'{visible(before)}[{visible(piece)}]{visible(after)}'"


def describe_difference(original: str, annotated: str, *, at: int, at_annotated: int) -> str:
    """Describe the first difference of two texts; `annotated` is without its tags.

    >>> describe_difference("Dr. Ames", "Dr. Aims", at=5, at_annotated=5)
    "at character 5: after 'Dr. A' the original has 'mes', the annotated text has 'ims'"
    """
    start = max(0, at - _BEFORE)
    lead = "'..." if start else "'"
    where = f"after {lead}{visible(original[start:at])}'" if at else "at the start"
    reason = describe_only_difference(original, annotated)
    return (
        f"at character {at}: {where} the original {_continuation(original, at)}, "
        f"the annotated text {_continuation(annotated, at_annotated)}"
    ) + (f"; {reason}" if reason else "")


def _continuation(text: str, at: int) -> str:
    if at >= len(text):
        return "ends"
    excerpt = visible(text[at : at + _AFTER]) + ("..." if at + _AFTER < len(text) else "")
    # Letters of two scripts can look the same.
    code = "" if text[at].isascii() else f" (U+{ord(text[at]):04X})"
    return f"has '{excerpt}'{code}"


Severity = Literal["error", "warning", "note"]
"""error: the row cannot be used. warning: scores will suffer. note: good to know."""


@dataclass(frozen=True, slots=True)
class LengthSummary:
    """Lengths in characters, and the row of the longest text."""

    shortest: int
    median: float
    mean: float
    longest: int
    longest_row: int


@dataclass(frozen=True, slots=True)
class LabelSummary:
    """Number of spans of a label, and of those that lie inside another span."""

    label: str
    spans: int
    nested: int


@dataclass(frozen=True, slots=True, repr=False)
class FindingExample:
    """A finding in one row, with everything invisible in its message escaped."""

    row: int
    message: str

    def __repr__(self) -> str:  # without the message, which quotes the text
        return f"<FindingExample: row {self.row}>"


@dataclass(frozen=True, slots=True)
class Finding:
    """All findings of one kind: the numbers of the rows, and examples of the first ones."""

    kind: str
    severity: Severity
    title: str
    advice: str
    rows: tuple[int, ...]
    examples: tuple[FindingExample, ...]


@dataclass(frozen=True, slots=True, repr=False)
class CheckReport:
    """Statistics of a table of pairs, and its findings, the worst first.

    `markup` is an example of the tag syntax, None without tags; `documents` is None where the
    table has no documents; `depth` is 1 where no span lies inside another, 0 without spans.
    """

    name: str
    rows: int
    documents: int | None
    task: Task
    is_task_inferred: bool
    markup: str | None
    source: LengthSummary | None
    target: LengthSummary | None
    labels: tuple[LabelSummary, ...]
    depth: int
    findings: tuple[Finding, ...]

    @property
    def bad_rows(self) -> frozenset[int]:
        """The rows with an error."""
        errors = (finding.rows for finding in self.findings if finding.severity == "error")
        return frozenset().union(*errors)

    @property
    def is_healthy(self) -> bool:
        """True if there is no error; there may be warnings and notes."""
        return not any(finding.severity == "error" for finding in self.findings)

    def show(self, console: Console | None = None, *, rows: int = 5) -> None:
        """Print the report, with the first `rows` rows of each kind of finding."""
        from rich.console import Console

        _print_report(self, console or Console(), rows=rows)

    def to_json(self) -> str:
        """Return the report as one JSON object."""
        fields = asdict(self) | {"is_healthy": self.is_healthy}
        return json.dumps(fields, ensure_ascii=False, indent=2)

    def __repr__(self) -> str:  # without the examples, which quote the texts
        health = "healthy" if self.is_healthy else "not healthy"
        findings = count_noun(len(self.findings), "finding")
        return f"<CheckReport: {self.task}, {count_noun(self.rows, 'row')}, {findings}, {health}>"

    def _repr_html_(self) -> str:
        """Render the report for a notebook, as it is printed."""
        from rich.console import Console

        console = Console(file=io.StringIO(), record=True, width=_HTML_WIDTH)
        self.show(console)
        code = '<pre style="line-height:1.3;overflow-x:auto">{code}</pre>'
        return console.export_html(inline_styles=True, code_format=code)


_HTML_WIDTH = 120
_DOUBTS = ("unlike", "no-tags", "no-validation", "too-many-labels")
"""Kinds of warnings after which no table is called healthy."""
_STYLES: dict[Severity, str] = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}


def _print_report(report: CheckReport, console: Console, *, rows: int) -> None:
    """Print a report; of each kind of finding, the first `rows` rows are shown in full.

    Everything from the pairs goes through `Text`, so that nothing in it is taken for rich's
    own markup.
    """
    console.print(_heading(report))
    console.print()
    console.print(_lengths_table({"source": report.source, "target": report.target}))
    if report.labels:
        console.print()
        console.print(_labels_table(report.labels, depth=report.depth))
    for finding in report.findings:
        console.print()
        _show_finding(finding, console, rows=rows)
    console.print()
    console.print(_verdict(report))


def _heading(report: CheckReport) -> Text:
    facts = [count_noun(report.rows, "row")]
    if report.documents is not None:
        facts.append(count_noun(report.documents, "document"))
    facts.append(f"task {report.task}" + (" (inferred)" if report.is_task_inferred else ""))
    facts.append(f"tags {report.markup}" if report.markup else "no tags")
    return Text.assemble((visible(report.name), "bold"), ": ", ", ".join(facts))


def _lengths_table(sides: dict[str, LengthSummary | None]) -> Table:
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


def _labels_table(labels: Sequence[LabelSummary], *, depth: int) -> Table:
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
    rows_of_it = f": {count_noun(len(finding.rows), 'row')}" if finding.rows else ""
    console.print(Text.assemble(severity, f": {finding.title}{rows_of_it}"))
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    shown = finding.examples[:rows]
    for example in shown:
        grid.add_row(f"row {example.row}", Text(example.message))
    if shown:
        console.print(Padding(grid, (0, 0, 0, 2), expand=False))
    if unlisted := finding.rows[len(shown) :]:
        console.print(Padding(Text(_list_more(unlisted, named=rows)), (0, 0, 0, 2), expand=False))
    console.print(Padding(Text(finding.advice, style="italic"), (0, 0, 0, 2), expand=False))


def _list_more(rows: Sequence[int], *, named: int) -> str:
    numbers = [*map(str, rows[:named]), *(["..."] if len(rows) > named else [])]
    return f"and {len(rows):,} more: {', '.join(numbers)}"


def _verdict(report: CheckReport) -> Text:
    if report.is_healthy:
        doubts = [finding for finding in report.findings if finding.kind in _DOUBTS]
        if doubts:
            return Text(f"Every row can be used, but: {doubts[0].title}.", style="bold yellow")
        return Text("Healthy: every row can be used.", style="bold green")
    bad = len(report.bad_rows)
    verdict = Text(
        f"Not healthy: {bad:,} of {count_noun(report.rows, 'row')} cannot be used as they are.",
        style="bold red",
    )
    is_doubtful = report.is_task_inferred and 2 * bad >= report.rows
    if report.task != "annotate" or not is_doubtful:
        return verdict
    hint = "If the targets are not meant to be the sources plus tags, say so: --task translate.\n"
    return Text.assemble((hint, "italic"), verdict)

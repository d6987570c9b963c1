"""Report of a table check: the data, its JSON, its terminal rendering, escaped excerpts.

Examples hold pieces of the user's text. Whoever runs the doctor asks to see their data; nothing
else may print or log a diagnosis.
"""

from __future__ import annotations

import json
import os
import unicodedata
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from annoseq.config import Task


_BEFORE = 15
_AFTER = 25


def visible(text: str) -> str:
    r"""Escape what a terminal would not show, or would act upon.

    >>> print(visible("a\u00a0b\n"))
    a\xa0b\n
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def first_difference(one: str, other: str) -> int:
    """Return the first character at which two texts differ.

    >>> first_difference("Dr. Ames", "Dr. Aims")
    5
    """
    return len(os.path.commonprefix([one, other]))  # noqa: RUF071 - characters are meant


def around(text: str, at: int) -> str:
    """Quote the text around character `at`.

    >>> around("To: Dr. Ames, St. Mary Hospital", 18)
    "'... Dr. Ames, St. Mary Hospital'"
    """
    start, end = max(0, at - _BEFORE), at + _AFTER
    lead, trail = "..." if start else "", "..." if end < len(text) else ""
    return f"'{lead}{visible(text[start:end])}{trail}'"


def marked(text: str, start: int, end: int) -> str:
    """Quote the text around a piece of it, and the piece in brackets.

    >>> marked("Mr. Ames was seen", 4, 6)
    "'Mr. [Am]es was seen'"
    """
    piece = text[start:end]
    if len(piece) > _BEFORE + _AFTER:  # its edges are what matters
        piece = f"{piece[:_BEFORE]}...{piece[-_BEFORE:]}"
    before = "..." * (start > _BEFORE) + text[max(0, start - _BEFORE) : start]
    after = text[end : end + _BEFORE] + "..." * (end + _BEFORE < len(text))
    return f"'{visible(before)}[{visible(piece)}]{visible(after)}'"


def parting(original: str, annotated: str, *, at: int, at_annotated: int) -> str:
    """Say what two texts have where they part; `annotated` is without its tags.

    >>> parting("Dr. Ames", "Dr. Aims", at=5, at_annotated=5)
    "at character 5: after 'Dr. A' the original has 'mes', the annotated text has 'ims'"
    """
    start = max(0, at - _BEFORE)
    lead = "'..." if start else "'"
    where = f"after {lead}{visible(original[start:at])}'" if at else "at the start"
    reason = _only_difference(original, annotated)
    return (
        f"at character {at}: {where} the original {_continuation(original, at)}, "
        f"the annotated text {_continuation(annotated, at_annotated)}"
    ) + (f"; {reason}" if reason else "")


def _continuation(text: str, at: int) -> str:
    if at >= len(text):
        return "ends"
    rest = visible(text[at : at + _AFTER]) + ("..." if at + _AFTER < len(text) else "")
    # Letters of two scripts can look the same.
    code = "" if text[at].isascii() else f" (U+{ord(text[at]):04X})"
    return f"has '{rest}'{code}"


def _only_difference(one: str, other: str) -> str | None:
    """Name what would make both texts the same."""
    if one.splitlines() == other.splitlines():
        return "only line ends differ"
    if "".join(one.split()) == "".join(other.split()):
        return "only white space differs"
    if unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other):
        return "only the Unicode normalisation (NFC, NFD) differs"
    if unicodedata.normalize("NFKC", one) == unicodedata.normalize("NFKC", other):
        return "only look-alike characters (Unicode NFKC) differ"
    if one.casefold() == other.casefold():
        return "only upper and lower case differ"
    return None


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
class LabelCount:
    """How many spans a label has, and how many of them lie inside another span."""

    label: str
    spans: int
    nested: int


@dataclass(frozen=True, slots=True)
class FindingExample:
    """What was found in one row, with everything invisible in it escaped."""

    row: int
    message: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of thing that was found: all rows by their number, the first with examples."""

    kind: str
    severity: Severity
    title: str
    advice: str
    rows: tuple[int, ...]
    examples: tuple[FindingExample, ...]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a table of pairs holds, and what was found in it, the worst first.

    `markup` is how the tags are written, None without tags; `documents` is None where the
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
    labels: tuple[LabelCount, ...]
    depth: int
    findings: tuple[Finding, ...]

    @property
    def bad_rows(self) -> frozenset[int]:
        """The rows with an error."""
        errors = (finding.rows for finding in self.findings if finding.severity == "error")
        return frozenset().union(*errors)

    @property
    def is_healthy(self) -> bool:
        """Whether there is no error; warnings and notes may be there."""
        return not any(finding.severity == "error" for finding in self.findings)

    def show(self, console: Console | None = None, *, rows: int = 5) -> None:
        """Print it, with the first `rows` rows of each kind of finding."""
        from rich.console import Console

        show(self, console or Console(), rows=rows)

    def to_json(self) -> str:
        """Write everything as one JSON object."""
        fields = asdict(self) | {"is_healthy": self.is_healthy}
        return json.dumps(fields, ensure_ascii=False, indent=2)


_STYLES: dict[Severity, str] = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}


def show(diagnosis: CheckReport, console: Console, *, rows: int = 5) -> None:
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


def _heading(diagnosis: CheckReport) -> Text:
    facts = [_count(diagnosis.rows, "row")]
    if diagnosis.documents is not None:
        facts.append(_count(diagnosis.documents, "document"))
    facts.append(f"task {diagnosis.task}" + (" (inferred)" if diagnosis.is_task_inferred else ""))
    facts.append(f"tags {diagnosis.markup}" if diagnosis.markup else "no tags")
    return Text.assemble((visible(diagnosis.name), "bold"), ": ", ", ".join(facts))


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


def _verdict(diagnosis: CheckReport) -> Text:
    if diagnosis.is_healthy:
        return Text("Healthy: every row can be used.", style="bold green")
    bad = len(diagnosis.bad_rows)
    return Text(
        f"Not healthy: {bad:,} of {diagnosis.rows:,} rows cannot be used as they are.",
        style="bold red",
    )

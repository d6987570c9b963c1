"""What the doctor found, as plain data: for the terminal, for JSON, for an exit status.

Examples hold pieces of the user's text. Whoever runs the doctor asks to see their data; nothing
else may print or log a diagnosis.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.console import Console

    from annoseq.pairs.tasks import Task

Severity = Literal["error", "warning", "note"]
"""error: the row cannot be used. warning: scores will suffer. note: good to know."""


@dataclass(frozen=True, slots=True)
class Lengths:
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
class Example:
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
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Diagnosis:
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
    source: Lengths | None
    target: Lengths | None
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

        from annoseq.doctor.view import show

        show(self, console or Console(), rows=rows)

    def to_json(self) -> str:
        """Write everything as one JSON object."""
        fields = asdict(self) | {"is_healthy": self.is_healthy}
        return json.dumps(fields, ensure_ascii=False, indent=2)

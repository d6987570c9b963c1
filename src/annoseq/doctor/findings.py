"""The kinds of findings, and a collector that keeps every row but only the first examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from annoseq.doctor.diagnosis import Example, Finding

if TYPE_CHECKING:
    from annoseq.doctor.diagnosis import Severity


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of finding: its name in JSON, how bad it is, and what to do about it."""

    name: str
    severity: Severity
    title: str
    advice: str


MISMATCH = Kind(
    "mismatch",
    "error",
    "the annotated text without its tags is not the original",
    "Make both the same, character for character, but for the tags.",
)
MARKUP = Kind(
    "markup",
    "error",
    "tags that are not well nested",
    "Close every tag, the last opened first, around at least one character.",
)
EMPTY = Kind("empty", "error", "one side of the pair is empty", "Fill it in, or remove the row.")
REVERSED = Kind(
    "reversed",
    "error",
    "the source holds the tags, and the target is the original",
    "Swap the columns: --source annotated_text --target orig_text.",
)
MAYBE_REVERSED = Kind(
    "reversed",
    "warning",
    REVERSED.title,
    "To learn to annotate, swap the columns: --source annotated_text --target orig_text. "
    "If removing tags is what you want to learn, say so: --task translate.",
)
MAYBE_ANNOTATED = Kind(
    "unlike",
    "warning",
    "the target holds tags, but is not its source plus tags",
    "Fewer than half of the rows are, so that the task is taken to be translate. "
    "To learn to annotate, say so and see what to mend: --task annotate.",
)
CUT = Kind(
    "cut",
    "warning",
    "spans that begin or end within a word",
    "Tags can stand only between words, digits and punctuation marks. "
    "Move the tags there, or expect these spans not to be learnt.",
)
CONFLICT = Kind(
    "conflict",
    "warning",
    "the same source with different annotations",
    "Annotate the same text in the same way, unless what surrounds it decides.",
)
ALTERNATIVE = Kind(
    "alternative",
    "note",
    "the same source with different targets",
    "A model learns one target for a source; keep the best if they are not all good.",
)
ACROSS = Kind(
    "across",
    "warning",
    "validation rows whose source is also in training",
    "Scores on them flatter the model: remove the repeated rows, or score them apart.",
)
DUPLICATE = Kind("duplicate", "note", "identical pairs", "They count as often as they occur.")
BLANK = Kind(
    "blank", "note", "both sides are empty or white space", "There is nothing to learn from them."
)
PADDED = Kind(
    "padded",
    "note",
    "the markup added white space beside tags",
    "This is accepted: the spans are made tight around their text.",
)
TAG_LIKE = Kind(
    "tag-like",
    "note",
    "originals that hold text like a tag",
    r"In annotated text such text is escaped: {{X}} is written {{\X}}.",
)

_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


class Findings:
    """Collects findings by kind; `examples` is how many rows of a kind keep their message."""

    def __init__(self, *, examples: int) -> None:
        self._examples = examples
        self._found: dict[Kind, tuple[list[int], list[Example]]] = {}

    def add(self, kind: Kind, row: int, message: str) -> None:
        """Name a row; a row is named once for each kind, with what was said first."""
        rows, examples = self._found.setdefault(kind, ([], []))
        if rows and rows[-1] == row:
            return
        rows.append(row)
        if len(examples) < self._examples:
            examples.append(Example(row, message))

    def sorted(self) -> tuple[Finding, ...]:
        """Return the findings, the worst first, then those of most rows."""
        kinds = sorted(
            self._found,
            key=lambda kind: (_SEVERITIES.index(kind.severity), -len(self._found[kind][0])),
        )
        return tuple(
            Finding(kind.name, kind.severity, kind.title, kind.advice, tuple(rows), tuple(examples))
            for kind in kinds
            for rows, examples in [self._found[kind]]
        )

"""Kinds of findings, their collector, and descriptive statistics of a table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING

from annoseq.check.check_report import Finding, FindingExample, LabelSummary, LengthSummary
from annoseq.config.networks import MAX_LABELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from annoseq.check.check_report import Severity
    from annoseq.data.markup import Span
    from annoseq.data.pairs import Pair
    from annoseq.data.row_faults import RowFault


MIN_VALID_ROWS = 10
"""Number of validation rows below which a warning is given."""
LONG_TEXT = 100_000
"""Number of characters of a row above which a warning is given."""
_FEW_LABELS = 3
"""Number of labels that no table is too small for."""


@dataclass(frozen=True, slots=True)
class FindingKind:
    """A kind of finding: its name in JSON, severity, title and advice."""

    name: str
    severity: Severity
    title: str
    advice: str


MISMATCH = FindingKind(
    "mismatch",
    "error",
    "the annotated text without its tags is not the original",
    "Make both the same, character for character, but for the tags.",
)
MARKUP = FindingKind(
    "markup",
    "error",
    "tags that are not well nested",
    "Close every tag, the last opened first, around at least one character.",
)
MAYBE_ANNOTATED = FindingKind(
    "unlike",
    "warning",
    "the target holds tags, but is not its source plus tags",
    "Fewer than half of the rows are alike without their tags, so that the task is taken to be "
    "translate. To learn to annotate, say so and see what to mend: --task annotate.",
)
MISALIGNED = FindingKind(
    "cut",
    "warning",
    "spans that begin or end within a word",
    "Tags can stand only between words, digits and punctuation marks. "
    "Move the tags there, or expect these spans not to be learnt.",
)
DROPPED = FindingKind(
    "dropped",
    "warning",
    "spans in a word of which another span has a part",
    "A word can be in one of two spans beside each other: the first has it, and the other is not "
    "learnt. Put a space between them in both columns, or mark the word as one span.",
)
BLANK_SPAN = FindingKind(
    "blank-span",
    "warning",
    "spans of white space alone",
    "Tags can stand only around words, digits and punctuation marks: these spans are not learnt. "
    "Remove their tags, or move them to the text that they mean.",
)
CONFLICT = FindingKind(
    "conflict",
    "warning",
    "the same source with different annotations",
    "Annotate the same text in the same way, unless what surrounds it decides.",
)
ALTERNATIVE = FindingKind(
    "alternative",
    "note",
    "the same source with different targets",
    "A model learns one target for a source; keep the best if they are not all good.",
)
ACROSS = FindingKind(
    "across",
    "warning",
    "validation rows whose source is also in training",
    "Scores on them flatter the model: remove the repeated rows, or score them apart.",
)
DUPLICATE = FindingKind(
    "duplicate", "note", "identical pairs", "They count as often as they occur."
)
BLANK = FindingKind("blank", "note", "both sides are empty or white space", "They are left out.")
PADDED = FindingKind(
    "padded",
    "note",
    "the markup added white space beside tags",
    "This is accepted: the spans are made tight around their text.",
)
TAG_LIKE = FindingKind(
    "tag-like",
    "note",
    "originals that hold text like a tag",
    r"In annotated text such text is escaped: {{X}} is written {{\X}}.",
)

NO_TAGS = FindingKind(
    "no-tags",
    "warning",
    "no target holds a tag",
    "A model of these pairs learns to mark nothing. Give pairs whose target has tags, and name "
    "its column with --target.",
)
MANY_LABELS = FindingKind(
    "many-labels",
    "warning",
    "more labels than a tenth of the rows",
    "Labels are kinds of spans, such as NAME; texts, ids or values do not belong in a tag.",
)
CASE_TWINS = FindingKind(
    "case-twins",
    "warning",
    "labels that differ by upper and lower case only",
    "They are learned as different labels; write each in one way.",
)
TOO_MANY_LABELS = FindingKind(
    "too-many-labels",
    "warning",
    f"there are more than {MAX_LABELS:,} labels, so that `annoseq train` refuses to train a tagger",
    "Labels are kinds of spans, such as NAME; merge them, or check that the tags hold labels.",
)
LONG = FindingKind(
    "long",
    "warning",
    f"rows of more than {LONG_TEXT:,} characters",
    "Memory and time grow with the longest row: split long documents into paragraphs, with "
    "doc_id and start.",
)
NO_VALIDATION = FindingKind(
    "no-validation",
    "warning",
    "there are too few rows for training and validation, so that `annoseq train` refuses them",
    "Add rows, or give validation pairs with --valid.",
)
FEW_VALIDATION_ROWS = FindingKind(
    "few-validation-rows",
    "warning",
    f"fewer than {MIN_VALID_ROWS} validation rows",
    "Scores on so few say little: add rows, or give validation pairs with --valid.",
)


def row_fault(fault: RowFault) -> FindingKind:
    """Return the kind of finding for a cause for which rows cannot be used."""
    return FindingKind(fault.kind, "error", fault.description, fault.remedy)


def check_labels(labels: Iterable[str], *, rows: int) -> Iterator[FindingKind]:
    """Yield the findings about the set of labels of so many rows."""
    labels = set(labels)
    if len(labels) > MAX_LABELS:
        yield TOO_MANY_LABELS
    elif len(labels) > _FEW_LABELS and len(labels) * 10 > rows:
        yield MANY_LABELS
    if len({label.casefold() for label in labels}) < len(labels):
        yield CASE_TWINS


_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


class FindingCollector:
    """Collector of findings by kind; `examples` is the number of rows of a kind with a message."""

    def __init__(self, *, examples: int) -> None:
        self._examples = examples
        self._rows_by_kind: dict[FindingKind, tuple[list[int], list[FindingExample]]] = {}

    def add(self, kind: FindingKind, row: int, message: str) -> None:
        """Add a row; a row counts once for each kind, with its first message."""
        rows, examples = self._rows_by_kind.setdefault(kind, ([], []))
        if rows and rows[-1] == row:
            return
        rows.append(row)
        if len(examples) < self._examples:
            examples.append(FindingExample(row, message))

    def add_to_table(self, kind: FindingKind) -> None:
        """Add a finding about the whole table."""
        self._rows_by_kind.setdefault(kind, ([], []))

    def sorted(self) -> tuple[Finding, ...]:
        """Return the findings, the most severe first, then those of most rows."""
        kinds = sorted(
            self._rows_by_kind,
            key=lambda kind: (_SEVERITIES.index(kind.severity), -len(self._rows_by_kind[kind][0])),
        )
        return tuple(
            Finding(kind.name, kind.severity, kind.title, kind.advice, tuple(rows), tuple(examples))
            for kind in kinds
            for rows, examples in [self._rows_by_kind[kind]]
        )


def source_lengths(pairs: Sequence[Pair]) -> LengthSummary | None:
    """Summarize the lengths of the sources; None without pairs."""
    return _summarize([len(pair.source) for pair in pairs], pairs)


def target_lengths(pairs: Sequence[Pair]) -> LengthSummary | None:
    """Summarize the lengths of the targets; None without pairs."""
    return _summarize([len(pair.target) for pair in pairs], pairs)


def _summarize(lengths: list[int], pairs: Sequence[Pair]) -> LengthSummary | None:
    if not lengths:
        return None
    longest = max(lengths)
    return LengthSummary(
        shortest=min(lengths),
        median=median(lengths),
        mean=round(fmean(lengths), 1),
        longest=longest,
        longest_row=pairs[lengths.index(longest)].row,
    )


class LabelCounter:
    """Counter of spans by label, and of the depth of their nesting."""

    def __init__(self) -> None:
        self.depth = 0
        self._spans: Counter[str] = Counter()
        self._nested: Counter[str] = Counter()

    def add(self, spans: Sequence[Span]) -> None:
        """Add the spans of a row, given in opening order."""
        opened: list[int] = []  # the ends of the spans around the next one
        for span in spans:
            while opened and opened[-1] <= span.start:
                opened.pop()
            self._spans[span.label] += 1
            self._nested[span.label] += bool(opened)
            opened.append(span.end)
            self.depth = max(self.depth, len(opened))

    def counts(self) -> tuple[LabelSummary, ...]:
        """Return the counts by label, the most frequent first."""
        ranked = sorted(self._spans.items(), key=lambda item: (-item[1], item[0]))
        return tuple(LabelSummary(label, spans, self._nested[label]) for label, spans in ranked)

"""Examples: parsed pairs, with the spans that the target marks in the source.

Tables are parsed here, once; tokenizers, training and evaluation take examples.
annotate: the target is the source plus tags. translate: the target is anything else.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from annoseq.data.alignment import align, align_normalized
from annoseq.data.markup import Span, render, tighten
from annoseq.data.row_faults import (
    RowFault,
    diagnose,
    has_tags_of_its_own,
    looks_annotated,
)
from annoseq.errors import MarkupError, MismatchError, PairsError, count_noun

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from annoseq.config import Task
    from annoseq.data.pairs import Pair

_LISTED_ERRORS, _LISTED_FAULTS = 5, 3
"""Number of unusable rows, and of their causes, that an error message names; rows are counted."""


@dataclass(frozen=True, slots=True, repr=False)
class Example:
    """A parsed pair.

    `spans` are those of `source`, in opening order; None in the translate task. `target` is the
    text of the table. `row`, `document`, `start` and `patient` are those of the `Pair`.
    """

    source: str
    target: str
    spans: tuple[Span, ...] | None
    row: int
    document: str | None = None
    start: int | None = None
    patient: str | None = None

    def __repr__(self) -> str:  # without the texts, which are private
        spans = "" if self.spans is None else f", {count_noun(len(self.spans), 'span')}"
        return f"<Example: row {self.row}, {count_noun(len(self.source), 'character')}{spans}>"

    @property
    def tight_spans(self) -> tuple[Span, ...]:
        """The spans without white space at their edges; none in the translate task."""
        return tuple(tighten(self.source, span) for span in self.spans or ())

    @property
    def reference(self) -> str:
        """The text that a perfect model writes: the target, with tight tags if annotated."""
        return self.target if self.spans is None else render(self.source, self.tight_spans)


class RowError(NamedTuple):
    """A row that cannot be used: its number in the table, the error, and its cause if known."""

    row: int
    error: MarkupError | MismatchError
    fault: RowFault | None = None

    @property
    def description(self) -> str:
        """The cause, or else the error."""
        if self.fault is None:
            return str(self.error)
        is_at_a_place = self.fault.kind in {"markup", "mismatch"}
        place = f", at character {self.error.at}" if is_at_a_place else ""
        return f"{self.fault.description}{place}."


@dataclass(frozen=True)
class ParsedPairs:
    """Examples of a table in its order, without the rows that cannot be used and the blank ones.

    `errors` are those of the rows that cannot be used, and `blank_rows` the numbers of the rows
    without text on both sides, by their index in the table.
    """

    task: Task
    examples: tuple[Example, ...]
    errors: Mapping[int, RowError]
    blank_rows: Mapping[int, int]

    @property
    def skipped_rows(self) -> tuple[int, ...]:
        """Numbers of the rows that cannot be used."""
        return tuple(error.row for error in self.errors.values())


def parse_pair(pair: Pair, *, normalize: bool = False) -> Example:
    """Parse a pair of the annotate task.

    With `normalize`, white space, Unicode form, quotes and dashes of the target may differ from
    those of the source; the example then has the target that the source's own characters make.

    >>> from annoseq.data.pairs import Pair
    >>> parse_pair(Pair("Dr. Ames", "Dr. {{NAME}}Ames{{/NAME}}", row=1)).spans
    (Span(start=4, end=8, label='NAME'),)

    Raises:
        MarkupError: the tags are not well nested.
        MismatchError: the target without its tags is another text than the source.
    """
    if pair.source == pair.target and "{{" not in pair.target:  # most rows of most corpora
        return _example(pair, ())
    if not normalize:
        return _example(pair, tuple(align(pair.source, pair.target).spans))
    spans = tuple(align_normalized(pair.source, pair.target))
    return replace(_example(pair, spans), target=render(pair.source, spans))


def parse_pairs(
    pairs: Iterable[Pair],
    *,
    task: Task | Literal["auto"] = "auto",
    name: str = "",
    skip_bad: bool = False,
    normalize: bool = False,
) -> ParsedPairs:
    """Parse a table of pairs, each once; `name` is the table's, for the message.

    The task "auto" becomes "annotate" if a target holds anything like a tag (or, with swapped
    columns, a source) and the texts of at least half of the rows are alike without it, whether
    or not they fit exactly; it is "translate" otherwise. Rows without text on both sides are left
    out. `normalize` is that of `parse_pair`.

    >>> from annoseq.data.pairs import Pair
    >>> parse_pairs([Pair("Dr. Ames", "Dr. {{NAME}}Ames{{/NAME}}", row=1)]).task
    'annotate'

    Raises:
        PairsError: names the first rows that cannot be used, unless `skip_bad`, which leaves them
            out: rows with one side empty, and in the annotate task those whose target is not their
            source plus tags.
    """
    pairs = list(pairs)
    blank = {index: pair.row for index, pair in enumerate(pairs) if is_blank(pair)}
    examples: list[Example] = []
    errors: dict[int, RowError] = {}
    for index, pair in enumerate(pairs):
        if index in blank:
            continue
        try:
            examples.append(_parse(pair, task=task, normalize=normalize))
        except (MarkupError, MismatchError) as error:
            errors[index] = RowError(pair.row, error)
    is_inferred = task == "auto"
    if task == "auto":
        task = _infer_task(pairs, examples, errors)
        if task == "translate":
            return parse_pairs(pairs, task=task, name=name, skip_bad=skip_bad)
    errors = {
        index: error._replace(fault=diagnose(pairs[index].source, pairs[index].target))
        for index, error in errors.items()
    }
    if errors and not skip_bad:
        rows = len(pairs) - len(blank)
        raise _pairs_error([*errors.values()], rows=rows, name=name, is_inferred=is_inferred)
    return ParsedPairs(task, tuple(examples), errors, blank)


def is_blank(pair: Pair) -> bool:
    """Return True if both sides of a pair are empty or white space."""
    return not pair.source.strip() and not pair.target.strip()


def _example(pair: Pair, spans: tuple[Span, ...] | None) -> Example:
    return Example(
        pair.source, pair.target, spans, pair.row, pair.document, pair.start, pair.patient
    )


def _parse(pair: Pair, *, task: Task | Literal["auto"], normalize: bool) -> Example:
    if not pair.source.strip() or not pair.target.strip():
        raise MismatchError(at=0, at_annotated=0)
    if task == "translate":
        return _example(pair, None)
    return parse_pair(pair, normalize=normalize)


def _infer_task(pairs: list[Pair], examples: list[Example], errors: Mapping[int, RowError]) -> Task:
    bad_pairs = [pairs[index] for index in errors]
    is_tagged = any(example.spans for example in examples)
    if not is_tagged and not any(map(has_tags_of_its_own, bad_pairs)):
        return "translate"
    rows = len(examples) + len(errors)
    is_annotation = looks_annotated(bad_pairs, fitting=len(examples), rows=rows)
    return "annotate" if is_annotation else "translate"


def _pairs_error(errors: list[RowError], *, rows: int, name: str, is_inferred: bool) -> PairsError:
    place = f"{name}: " if name else ""
    lines = [f"{place}{len(errors):,} of {count_noun(rows, 'row')} cannot be used:"]
    lines += [f"  row {error.row}: {error.description}" for error in errors[:_LISTED_ERRORS]]
    if len(errors) > _LISTED_ERRORS:
        lines.append(f"  and {len(errors) - _LISTED_ERRORS} more")
    faults = Counter(error.fault for error in errors if error.fault)
    for fault, count in faults.most_common(_LISTED_FAULTS):
        lines.append(f"In {count} of them, {fault.description}. {fault.remedy}")
    lines.append("Mend them (`annoseq check` shows each), or leave them out with --skip-bad.")
    if is_inferred and 2 * len(errors) >= rows:
        lines.append("If the targets are not meant to be the sources plus tags: --task translate.")
    return PairsError("\n".join(lines))

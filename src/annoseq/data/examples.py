"""Examples: parsed pairs, with the spans that the target marks in the source.

Tables are parsed here, once; tokenizers, training and evaluation take examples.
annotate: the target is the source plus tags. translate: the target is anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from annoseq.data.alignment import align
from annoseq.data.markup import Span, has_tag, render, tighten
from annoseq.errors import MarkupError, MismatchError, PairsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from annoseq.config import Task
    from annoseq.data.pairs import Pair

_LISTED_ERRORS = 5
"""Number of unusable rows that an error message names; all are counted."""


@dataclass(frozen=True, slots=True)
class Example:
    """A parsed pair.

    `spans` are those of `source`, in opening order; None in the translate task. `target` is the
    text of the table. `row`, `document` and `start` are those of the `Pair`.
    """

    source: str
    target: str
    spans: tuple[Span, ...] | None
    row: int
    document: str | None = None
    start: int | None = None

    @property
    def tight_spans(self) -> tuple[Span, ...]:
        """The spans without white space at their edges; none in the translate task."""
        return tuple(tighten(self.source, span) for span in self.spans or ())

    @property
    def reference(self) -> str:
        """The text that a perfect model writes: the target, with tight tags if annotated."""
        return self.target if self.spans is None else render(self.source, self.tight_spans)


class RowError(NamedTuple):
    """The error of a row, by the row's number in its table."""

    row: int
    error: MarkupError | MismatchError


@dataclass(frozen=True)
class ParsedPairs:
    """Examples of a table in its order, without the rows that are not their source plus tags.

    `errors` are those of the other rows, by their index in the table. In the translate task every
    row is an example; `errors` then has the rows that were seen not to be annotations while the
    task was inferred.
    """

    task: Task
    examples: tuple[Example, ...]
    errors: Mapping[int, RowError]

    @property
    def skipped_rows(self) -> tuple[int, ...]:
        """Numbers of the rows that are not among the examples."""
        if self.task == "translate":
            return ()
        return tuple(error.row for error in self.errors.values())


def parse_pair(pair: Pair) -> Example:
    """Parse a pair of the annotate task.

    >>> from annoseq.data.pairs import Pair
    >>> parse_pair(Pair("Dr. Ames", "Dr. {{NAME}}Ames{{/NAME}}", row=1)).spans
    (Span(start=4, end=8, label='NAME'),)

    Raises:
        MarkupError: the tags are not well nested.
        MismatchError: the target without its tags is another text than the source.
    """
    spans: tuple[Span, ...] = ()
    if pair.source != pair.target or "{{" in pair.target:  # most rows of most corpora have no span
        spans = tuple(align(pair.source, pair.target).spans)
    return _example(pair, spans)


def parse_pairs(
    pairs: Iterable[Pair],
    *,
    task: Task | Literal["auto"] = "auto",
    name: str = "",
    skip_bad: bool = False,
) -> ParsedPairs:
    """Parse a table of pairs, each once; `name` is the table's, for the message.

    The task "auto" becomes "annotate" if a target holds a tag and at least half of the targets
    are their source plus well-nested tags, and otherwise "translate".

    >>> from annoseq.data.pairs import Pair
    >>> parse_pairs([Pair("Dr. Ames", "Dr. {{NAME}}Ames{{/NAME}}", row=1)]).task
    'annotate'

    Raises:
        PairsError: names the first rows whose target is not their source plus tags, in the
            annotate task unless `skip_bad`, which leaves them out.
    """
    pairs = list(pairs)
    if task == "translate":
        return ParsedPairs(task, _translations(pairs), {})
    examples: list[Example] = []
    errors: dict[int, RowError] = {}
    for index, pair in enumerate(pairs):
        try:
            examples.append(parse_pair(pair))
        except (MarkupError, MismatchError) as error:
            errors[index] = RowError(pair.row, error)
    if task == "auto" and not _is_annotation(pairs, examples, errors):
        return ParsedPairs("translate", _translations(pairs), errors)
    if errors and not skip_bad:
        raise _pairs_error([*errors.values()], rows=len(pairs), name=name)
    return ParsedPairs("annotate", tuple(examples), errors)


def _example(pair: Pair, spans: tuple[Span, ...] | None) -> Example:
    return Example(pair.source, pair.target, spans, pair.row, pair.document, pair.start)


def _translations(pairs: Iterable[Pair]) -> tuple[Example, ...]:
    return tuple(_example(pair, None) for pair in pairs)


def _is_annotation(
    pairs: list[Pair], examples: list[Example], errors: Mapping[int, RowError]
) -> bool:
    is_tagged = any(example.spans for example in examples) or any(
        has_tag(pairs[index].target) for index in errors
    )
    return is_tagged and 2 * len(examples) >= len(pairs)


def _pairs_error(errors: list[RowError], *, rows: int, name: str) -> PairsError:
    place = f"{name}: " if name else ""
    lines = [f"{place}{len(errors)} of {rows} rows cannot be used:"]
    lines += [f"  row {row}: {error}" for row, error in errors[:_LISTED_ERRORS]]
    if len(errors) > _LISTED_ERRORS:
        lines.append(f"  and {len(errors) - _LISTED_ERRORS} more")
    lines.append("Mend them (`annoseq check` shows each), or leave them out with --skip-bad.")
    return PairsError("\n".join(lines))

"""Checks of a table of pairs: markup, alignment, duplicates and conflicts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from annoseq.check.check_report import (
    CheckReport,
    describe_difference,
    first_difference,
    quote_around,
    quote_piece,
    visible,
)
from annoseq.check.findings import (
    ACROSS,
    ALTERNATIVE,
    BLANK,
    CONFLICT,
    DUPLICATE,
    EMPTY,
    MARKUP,
    MAYBE_ANNOTATED,
    MAYBE_REVERSED,
    MISALIGNED,
    MISMATCH,
    PADDED,
    REVERSED,
    TAG_LIKE,
    FindingCollector,
    FindingKind,
    LabelCounter,
    source_lengths,
    target_lengths,
)
from annoseq.data.alignment import align
from annoseq.data.examples import RowError, parse_pairs
from annoseq.data.foreign_markup import detect_tag_syntax
from annoseq.data.markup import escape, has_tag, has_tag_like, strip_tags
from annoseq.errors import MarkupError, MismatchError, OptionError
from annoseq.tokenization.pretokenizer import find_misaligned_spans

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    from annoseq.config import Task
    from annoseq.data.examples import Example, ParsedPairs
    from annoseq.data.markup import Span
    from annoseq.data.markup_templates import TagSyntax
    from annoseq.data.pairs import Pair, Pairs


_OWN_SYNTAX = "{{LABEL}}text{{/LABEL}}"


def check_pairs(
    pairs: Pairs,
    *,
    task: Task | None = None,
    valid: Pairs | None = None,
    split: tuple[list[int], list[int]] | None = None,
    examples: int = 100,
) -> CheckReport:
    """Examine every row of a table.

    Without a `task`, it is inferred; in "translate" the checks of annotations do not apply.
    Sources that are in training and in validation are named if there is a table of `valid`
    pairs or a `split` (the indices of both parts in `pairs`). Every row with a finding is named;
    the first `examples` of each kind with a message.

    Raises:
        OptionError: both `valid` and `split` are given.
    """
    if valid is not None and split is not None:
        raise OptionError("there are validation pairs and a split. Give one of the two.")
    parsed = parse_pairs(pairs, task=task or "auto", skip_bad=True)
    findings, labels = FindingCollector(examples=examples), LabelCounter()
    duplicates = DuplicateDetector(is_annotation=parsed.task == "annotate")
    for pair, row in zip(pairs, _row_results(parsed, rows=len(pairs)), strict=True):
        duplicates.check(pair, _check_row(pair, row, findings, labels), findings)
    if parsed.task == "translate":
        _suspect_annotation(pairs, parsed, findings, is_inferred=task is None)
    if valid is not None:
        check_across(pairs, valid, findings)
    elif split is not None:
        train, held_out = split
        check_across((pairs[i] for i in train), (pairs[i] for i in held_out), findings)
    documents = {pair.document for pair in pairs} - {None}
    return CheckReport(
        name=pairs.name,
        rows=len(pairs),
        documents=len(documents) or None,
        task=parsed.task,
        is_task_inferred=task is None,
        markup=_tag_syntax(pairs),
        source=source_lengths(pairs),
        target=target_lengths(pairs),
        labels=labels.counts(),
        depth=labels.depth,
        findings=findings.sorted(),
    )


def check_annotation(example: Example, findings: FindingCollector) -> None:
    """Add the findings of a row whose target is its source plus tags."""
    spans = example.spans or ()
    if spans and strip_tags(example.target) != example.source:
        findings.add(PADDED, example.row, f"spans made tight: {len(spans)}")
    if has_tag_like(example.source):
        message = f"escaped as it should be: {_first_escape(example.source)}"
        findings.add(TAG_LIKE, example.row, message)
    if spans and (misaligned := find_misaligned_spans(example.source, spans)):
        findings.add(MISALIGNED, example.row, _describe_misaligned(example.source, misaligned))


def is_reversed(pair: Pair) -> bool:
    """Return True if the source is the target plus tags."""
    if not has_tag(pair.source) or has_tag(pair.target):
        return False
    try:
        align(pair.target, pair.source)
    except (MarkupError, MismatchError):
        return False
    return True


def quote_first_tag(annotated: str, text: str) -> str:
    """Quote an annotated text around its first tag."""
    return f"it has {quote_around(annotated, first_difference(annotated, text))}"


def foreign_markup(syntax: TagSyntax) -> FindingKind:
    """Return the kind of finding for tags in a foreign syntax."""
    return FindingKind(
        "other-markup",
        "error",
        f"tags written as {syntax.example}",
        "Convert them to {{LABEL}}text{{/LABEL}}: "
        f"annoseq import table PAIRS NEW --markup '{syntax.example}'.",
    )


def _explain(pair: Pair, error: MarkupError | MismatchError, findings: FindingCollector) -> None:
    if is_reversed(pair):
        findings.add(REVERSED, pair.row, quote_first_tag(pair.source, pair.target))
        return
    if syntax := detect_tag_syntax(pair.source, pair.target):
        findings.add(foreign_markup(syntax), pair.row, quote_first_tag(pair.target, pair.source))
        return
    if has_tag_like(pair.source):
        advice = f"check that it is escaped: {_first_escape(pair.source)}"
        findings.add(TAG_LIKE, pair.row, advice)
    if isinstance(error, MarkupError):
        where = quote_around(pair.target, error.at)
        findings.add(MARKUP, pair.row, f"{visible(str(error))} It stands in {where}")
    else:
        places = {"at": error.at, "at_annotated": error.at_annotated}
        findings.add(
            MISMATCH, pair.row, describe_difference(pair.source, strip_tags(pair.target), **places)
        )


def _first_escape(text: str) -> str:
    escaped = escape(text)
    return quote_around(escaped, first_difference(text, escaped))


def _describe_misaligned(text: str, spans: list[Span]) -> str:
    span = spans[0]
    more = f", and {len(spans) - 1} more in this row" if len(spans) > 1 else ""
    label = visible(span.label)
    return f"{label} at character {span.start}: {quote_piece(text, span.start, span.end)}{more}"


class DuplicateDetector:
    """Detector of repeated sources and pairs; it keeps the first row of each."""

    def __init__(self, *, is_annotation: bool) -> None:
        self._same_source = CONFLICT if is_annotation else ALTERNATIVE
        self._sources: dict[str, int] = {}
        self._pairs: dict[tuple[str, Hashable], int] = {}

    def check(self, pair: Pair, meaning: Hashable, findings: FindingCollector) -> None:
        """Add the row if its source was seen; `meaning` is its spans, or its target."""
        key = (pair.source, meaning)
        if key in self._pairs:
            findings.add(DUPLICATE, pair.row, f"the same as row {self._pairs[key]}")
            return
        self._pairs[key] = pair.row
        first = self._sources.setdefault(pair.source, pair.row)
        if first != pair.row:
            findings.add(self._same_source, pair.row, f"the same source as row {first}")


def check_across(train: Iterable[Pair], valid: Iterable[Pair], findings: FindingCollector) -> None:
    """Add the rows of `valid` whose source is in `train`."""
    rows: dict[str, int] = {}
    for pair in train:
        rows.setdefault(pair.source, pair.row)
    for pair in valid:
        if pair.source in rows:
            findings.add(ACROSS, pair.row, f"the same source as training row {rows[pair.source]}")


def _row_results(parsed: ParsedPairs, *, rows: int) -> Iterator[Example | RowError]:
    """Yield the example or the error of each row, in the order of the table."""
    examples = iter(parsed.examples)
    for index in range(rows):
        is_error = parsed.task == "annotate" and index in parsed.errors
        yield parsed.errors[index] if is_error else next(examples)


def _check_row(
    pair: Pair, row: Example | RowError, findings: FindingCollector, labels: LabelCounter
) -> Hashable:
    """Add the findings of a row, and return the spans or the text that its target stands for."""
    if not pair.source.strip() and not pair.target.strip():
        findings.add(BLANK, pair.row, "both sides are blank")
    elif not pair.source.strip() or not pair.target.strip():
        side = "target" if pair.source.strip() else "source"
        findings.add(EMPTY, pair.row, f"the {side} is empty")
    elif isinstance(row, RowError):
        _explain(pair, row.error, findings)
    elif row.spans is not None:
        check_annotation(row, findings)
        labels.add(row.spans)
        return row.spans
    return pair.target


def _suspect_annotation(
    pairs: Pairs, parsed: ParsedPairs, findings: FindingCollector, *, is_inferred: bool
) -> None:
    """Add the rows that look like annotations, though the inferred task is translate."""
    if not is_inferred:
        return
    for index, (row, error) in parsed.errors.items():
        if has_tag(pairs[index].target):
            findings.add(MAYBE_ANNOTATED, row, visible(str(error)))
    reversed_pairs = [pair for pair in pairs if is_reversed(pair)]
    unchanged = sum(pair.source == pair.target for pair in pairs)
    if reversed_pairs and 2 * (len(reversed_pairs) + unchanged) >= len(pairs):
        for pair in reversed_pairs:
            findings.add(MAYBE_REVERSED, pair.row, quote_first_tag(pair.source, pair.target))
    foreign = [
        (pair, syntax) for pair in pairs if (syntax := detect_tag_syntax(pair.source, pair.target))
    ]
    if foreign and 2 * (len(foreign) + unchanged) >= len(pairs):
        for pair, syntax in foreign:
            message = quote_first_tag(pair.target, pair.source)
            findings.add(foreign_markup(syntax), pair.row, message)


def _tag_syntax(pairs: Pairs) -> str | None:
    """Return an example of the tag syntax of most rows that hold tags."""
    counts: Counter[str] = Counter()
    for pair in pairs:
        if has_tag(pair.target) or has_tag(pair.source):
            counts[_OWN_SYNTAX] += 1
        elif syntax := detect_tag_syntax(pair.source, pair.target):
            counts[syntax.example] += 1
    return counts.most_common(1)[0][0] if counts else None

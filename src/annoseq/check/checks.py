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
    BLANK_SPAN,
    CONFLICT,
    DROPPED,
    DUPLICATE,
    FEW_VALIDATION_ROWS,
    LONG,
    LONG_TEXT,
    MARKUP,
    MAYBE_ANNOTATED,
    MIN_VALID_ROWS,
    MISALIGNED,
    MISMATCH,
    NO_TAGS,
    NO_VALIDATION,
    PADDED,
    TAG_LIKE,
    FindingCollector,
    LabelCounter,
    check_labels,
    row_fault,
    source_lengths,
    target_lengths,
)
from annoseq.data.examples import RowError, parse_pair, parse_pairs
from annoseq.data.markup import escape, has_tag, has_tag_like, strip_tags
from annoseq.data.row_faults import find_foreign_tags
from annoseq.data.splits import split_rows
from annoseq.errors import MarkupError, MismatchError, OptionError, PairsError, count_noun
from annoseq.tokenization.linearize import find_dropped_spans
from annoseq.tokenization.pretokenizer import find_misaligned_spans, is_blank_span

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from annoseq.config import DataConfig, Task
    from annoseq.data.examples import Example, ParsedPairs
    from annoseq.data.markup import Span
    from annoseq.data.pairs import Pair, Pairs


_OWN_SYNTAX = "{{LABEL}}text{{/LABEL}}"


def check_pairs(
    pairs: Pairs,
    *,
    task: Task | None = None,
    valid: Pairs | None = None,
    split: DataConfig | None = None,
    normalize: bool = False,
    examples: int = 100,
) -> CheckReport:
    """Examine every row of a table.

    Without a `task`, it is inferred; in "translate" the checks of annotations do not apply.
    Sources that are in training and in validation are named if there is a table of `valid`
    pairs or a `split` (the settings of the split that training would make). `normalize` is that of
    `parse_pairs`. Every row with a finding is named; the first `examples` of each kind with a
    message.

    Raises:
        OptionError: both `valid` and `split` are given.
    """
    if valid is not None and split is not None:
        raise OptionError("there are validation pairs and a split. Give one of the two.")
    parsed = parse_pairs(pairs, task=task or "auto", skip_bad=True, normalize=normalize)
    findings, labels = FindingCollector(examples=examples), LabelCounter()
    duplicates = DuplicateDetector(is_annotation=parsed.task == "annotate")
    for pair, row in zip(pairs, _row_results(parsed, rows=len(pairs)), strict=True):
        meaning = _check_row(pair, row, findings, labels)
        if row is not None:
            duplicates.check(pair, meaning, findings)
    if parsed.task == "translate" and task is None:
        _suspect_annotation(pairs, findings)
    _check_table(parsed, findings, labels, is_inferred=task is None)
    if valid is not None:
        _check_validation(pairs, valid, findings)
    elif split is not None:
        _check_split(parsed.examples, split, findings)
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


def check_annotation(pair: Pair, example: Example, findings: FindingCollector) -> None:
    """Add the findings of a row whose target is its source plus tags."""
    spans = example.spans or ()
    if spans and strip_tags(pair.target) != example.source:
        findings.add(PADDED, example.row, f"spans made tight: {len(spans)}")
    if has_tag_like(example.source):
        message = f"escaped as it should be: {_first_escape(example.source)}"
        findings.add(TAG_LIKE, example.row, message)
    if not (misaligned := find_misaligned_spans(example.source, spans)):
        return
    blank = [span for span in misaligned if is_blank_span(example.source, span)]
    for kind, found in (
        (MISALIGNED, [span for span in misaligned if span not in blank]),
        (DROPPED, find_dropped_spans(example.source, spans)),
        (BLANK_SPAN, blank),
    ):
        if found:
            findings.add(kind, example.row, _describe_first(example.source, found))


def quote_first_tag(annotated: str, text: str) -> str:
    """Quote an annotated text around its first tag."""
    return f"it has {quote_around(annotated, first_difference(annotated, text))}"


def _explain(pair: Pair, row: RowError, findings: FindingCollector) -> None:
    kind = row_fault(row.fault) if row.fault else None
    if kind is not None and kind.name == "empty":
        findings.add(kind, pair.row, kind.title)
        return
    if kind is not None and kind.name == "reversed":
        findings.add(kind, pair.row, quote_first_tag(pair.source, pair.target))
        return
    if kind is not None and kind.name == "other-markup":
        findings.add(kind, pair.row, quote_first_tag(pair.target, pair.source))
        return
    if has_tag_like(pair.source):
        advice = f"check that it is escaped: {_first_escape(pair.source)}"
        findings.add(TAG_LIKE, pair.row, advice)
    if isinstance(row.error, MarkupError):
        where = quote_around(pair.target, row.error.at)
        message = f"{visible(str(row.error))} It stands in {where}"
        findings.add(kind or MARKUP, pair.row, message)
    else:
        places = {"at": row.error.at, "at_annotated": row.error.at_annotated}
        message = describe_difference(pair.source, strip_tags(pair.target), **places)
        findings.add(kind or MISMATCH, pair.row, message)


def dataset_warnings(
    train: Sequence[Example], valid: Sequence[Example], *, task: Task
) -> list[str]:
    """Return what a check of the tables warns of, each kind in a line without any text."""
    findings = FindingCollector(examples=0)
    duplicates = DuplicateDetector(is_annotation=task == "annotate")
    labels: set[str] = set()
    for example in train:
        meaning = example.target if example.spans is None else example.spans
        duplicates.check(example, meaning, findings)
        if len(example.source) > LONG_TEXT:
            findings.add(LONG, example.row, "")
        labels.update(span.label for span in example.spans or ())
    for kind in check_labels(labels, rows=len(train)):
        findings.add_to_table(kind)
    is_unchanged = all(example.source == example.target for example in train)
    if not labels and (task == "annotate" or is_unchanged):
        findings.add_to_table(NO_TAGS)
    _check_validation(train, valid, findings)
    return [
        f"{finding.title}: {count_noun(len(finding.rows), 'row')}"
        if finding.rows
        else finding.title
        for finding in findings.sorted()
        if finding.severity == "warning"
    ]


def _first_escape(text: str) -> str:
    escaped = escape(text)
    return quote_around(escaped, first_difference(text, escaped))


def _describe_first(text: str, spans: list[Span]) -> str:
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

    def check(self, pair: Pair | Example, meaning: Hashable, findings: FindingCollector) -> None:
        """Add the row if its source was seen; `meaning` is its spans, or its target."""
        key = (pair.source, meaning)
        if key in self._pairs:
            findings.add(DUPLICATE, pair.row, f"the same as row {self._pairs[key]}")
            return
        self._pairs[key] = pair.row
        first = self._sources.setdefault(pair.source, pair.row)
        if first != pair.row:
            findings.add(self._same_source, pair.row, f"the same source as row {first}")


def check_across(
    train: Iterable[Pair | Example], valid: Iterable[Pair | Example], findings: FindingCollector
) -> None:
    """Add the rows of `valid` whose source is in `train`."""
    rows: dict[str, int] = {}
    for pair in train:
        rows.setdefault(pair.source, pair.row)
    for pair in valid:
        if pair.source.strip() and pair.source in rows:
            findings.add(ACROSS, pair.row, f"the same source as training row {rows[pair.source]}")


def _row_results(parsed: ParsedPairs, *, rows: int) -> Iterator[Example | RowError | None]:
    """Yield the example or the error of each row in the order of the table; None if blank."""
    examples = iter(parsed.examples)
    for index in range(rows):
        if index in parsed.blank_rows:
            yield None
        else:
            yield parsed.errors[index] if index in parsed.errors else next(examples)


def _check_row(
    pair: Pair, row: Example | RowError | None, findings: FindingCollector, labels: LabelCounter
) -> Hashable:
    """Add the findings of a row, and return the spans or the text that its target stands for."""
    if len(pair.source) > LONG_TEXT:
        findings.add(LONG, pair.row, count_noun(len(pair.source), "character"))
    if row is None:
        findings.add(BLANK, pair.row, "both sides are blank")
    elif isinstance(row, RowError):
        _explain(pair, row, findings)
    elif row.spans is not None:
        check_annotation(pair, row, findings)
        labels.add(row.spans)
        return row.spans
    return pair.target


def _check_split(
    examples: Sequence[Example], config: DataConfig, findings: FindingCollector
) -> None:
    """Add the findings about the split that training would make."""
    try:
        train, valid = split_rows(
            examples, share=config.valid_share, by=config.split_by, seed=config.split_seed
        )
    except PairsError:
        findings.add_to_table(NO_VALIDATION)
        return
    _check_validation([examples[i] for i in train], [examples[i] for i in valid], findings)


def _check_validation(
    train: Sequence[Pair | Example], valid: Sequence[Pair | Example], findings: FindingCollector
) -> None:
    if len(valid) < MIN_VALID_ROWS:
        findings.add_to_table(FEW_VALIDATION_ROWS)
    check_across(train, valid, findings)


def _check_table(
    parsed: ParsedPairs, findings: FindingCollector, labels: LabelCounter, *, is_inferred: bool
) -> None:
    """Add the findings about the whole table: its labels, or that it has none."""
    examples = parsed.examples
    for kind in check_labels((label.label for label in labels.counts()), rows=len(examples)):
        findings.add_to_table(kind)
    is_unchanged = is_inferred and all(row.source == row.target for row in examples)
    if parsed.errors or labels.counts():
        return
    if examples and (parsed.task == "annotate" or is_unchanged):
        findings.add_to_table(NO_TAGS)


def _suspect_annotation(pairs: Pairs, findings: FindingCollector) -> None:
    """Add the rows that look like annotations, though the inferred task is translate."""
    for pair in pairs:
        if has_tag(pair.target) and not has_tag(pair.source):
            try:
                parse_pair(pair)
            except (MarkupError, MismatchError) as error:
                findings.add(MAYBE_ANNOTATED, pair.row, visible(str(error)))


def _tag_syntax(pairs: Pairs) -> str | None:
    """Return an example of the tag syntax of most rows that hold tags."""
    counts: Counter[str] = Counter()
    for pair in pairs:
        if has_tag(pair.target) or has_tag(pair.source):
            counts[_OWN_SYNTAX] += 1
        elif syntax := find_foreign_tags(pair.source, pair.target):
            counts[syntax.example] += 1
    return counts.most_common(1)[0][0] if counts else None

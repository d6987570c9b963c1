"""Checks of a table of pairs: markup, alignment, duplicates and conflicts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from annoseq.check.check_report import (
    CheckReport,
    around,
    first_difference,
    marked,
    parting,
    visible,
)
from annoseq.check.findings import (
    ACROSS,
    ALTERNATIVE,
    BLANK,
    CONFLICT,
    CUT,
    DUPLICATE,
    EMPTY,
    MARKUP,
    MAYBE_ANNOTATED,
    MAYBE_REVERSED,
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
from annoseq.data.foreign_markup import detect_tag_syntax
from annoseq.data.markup import escape, has_tag_like, strip_tags
from annoseq.data.pairs import find_unusable, has_tag, infer_task
from annoseq.errors import MarkupError, MismatchError, OptionError
from annoseq.tokenization.pretokenizer import cut_spans

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from annoseq.config import Task
    from annoseq.data.foreign_markup import Syntax
    from annoseq.data.markup import Span
    from annoseq.data.pairs import Pair, Pairs


def check_annotation(pair: Pair, findings: FindingCollector) -> list[Span] | None:
    """Add what is found in a row, and return its spans, or None if it cannot be used."""
    try:
        alignment = align(pair.source, pair.target)
    except (MarkupError, MismatchError) as error:
        _explain(pair, error, findings)
        return None
    if alignment.is_padded:
        findings.add(PADDED, pair.row, f"spans made tight: {len(alignment.spans)}")
    if has_tag_like(pair.source):
        findings.add(TAG_LIKE, pair.row, f"escaped as it should be: {_first_escape(pair.source)}")
    if alignment.spans and (cut := cut_spans(pair.source, alignment.spans)):
        findings.add(CUT, pair.row, _describe_cut(pair.source, cut))
    return alignment.spans


def is_reversed(pair: Pair) -> bool:
    """Tell whether the source is the target plus tags."""
    if not has_tag(pair.source) or has_tag(pair.target):
        return False
    try:
        align(pair.target, pair.source)
    except (MarkupError, MismatchError):
        return False
    return True


def tags_in(annotated: str, text: str) -> str:
    """Quote an annotated text where its first tag stands."""
    return f"it has {around(annotated, first_difference(annotated, text))}"


def foreign(syntax: Syntax) -> FindingKind:
    """Make the kind of finding for tags that annoseq does not read."""
    return FindingKind(
        "other-markup",
        "error",
        f"tags written as {syntax.example}",
        "Convert them to {{LABEL}}text{{/LABEL}}: "
        f"annoseq import table PAIRS NEW --markup '{syntax.example}'.",
    )


def _explain(pair: Pair, error: MarkupError | MismatchError, findings: FindingCollector) -> None:
    if is_reversed(pair):
        findings.add(REVERSED, pair.row, tags_in(pair.source, pair.target))
        return
    if syntax := detect_tag_syntax(pair.source, pair.target):
        findings.add(foreign(syntax), pair.row, tags_in(pair.target, pair.source))
        return
    if has_tag_like(pair.source):
        advice = f"check that it is escaped: {_first_escape(pair.source)}"
        findings.add(TAG_LIKE, pair.row, advice)
    if isinstance(error, MarkupError):
        where = around(pair.target, error.at)
        findings.add(MARKUP, pair.row, f"{visible(str(error))} It stands in {where}")
    else:
        places = {"at": error.at, "at_annotated": error.at_annotated}
        findings.add(MISMATCH, pair.row, parting(pair.source, strip_tags(pair.target), **places))


def _first_escape(text: str) -> str:
    escaped = escape(text)
    return around(escaped, first_difference(text, escaped))


def _describe_cut(text: str, cut: list[Span]) -> str:
    span = cut[0]
    more = f", and {len(cut) - 1} more in this row" if len(cut) > 1 else ""
    label = visible(span.label)
    return f"{label} at character {span.start}: {marked(text, span.start, span.end)}{more}"


class DuplicateDetector:
    """Remembers the first row of every source and of every pair, by reference to its text."""

    def __init__(self, *, is_annotation: bool) -> None:
        self._other = CONFLICT if is_annotation else ALTERNATIVE
        self._sources: dict[str, int] = {}
        self._pairs: dict[tuple[str, Hashable], int] = {}

    def check(self, pair: Pair, meaning: Hashable, findings: FindingCollector) -> None:
        """Add the row if its source was seen; `meaning` is the target, or what it stands for."""
        key = (pair.source, meaning)
        if key in self._pairs:
            findings.add(DUPLICATE, pair.row, f"the same as row {self._pairs[key]}")
            return
        self._pairs[key] = pair.row
        first = self._sources.setdefault(pair.source, pair.row)
        if first != pair.row:
            findings.add(self._other, pair.row, f"the same source as row {first}")


def check_across(train: Iterable[Pair], valid: Iterable[Pair], findings: FindingCollector) -> None:
    """Add the rows of `valid` whose source is in `train`."""
    rows: dict[str, int] = {}
    for pair in train:
        rows.setdefault(pair.source, pair.row)
    for pair in valid:
        if pair.source in rows:
            findings.add(ACROSS, pair.row, f"the same source as training row {rows[pair.source]}")


_OURS = "{{LABEL}}text{{/LABEL}}"


def check_pairs(
    pairs: Pairs,
    *,
    task: Task | None = None,
    valid: Pairs | None = None,
    split: tuple[list[int], list[int]] | None = None,
    examples: int = 100,
) -> CheckReport:
    """Examine every row.

    Without a `task`, it is inferred; in "translate" the checks of annotations do not apply.
    Sources that are in training and in validation are named if there is a table of `valid`
    pairs or a `split` (the indices of both parts in `pairs`). Every row with a finding is named;
    the first `examples` of each kind with what was found.

    Raises:
        OptionError: both `valid` and `split` are given.
    """
    if valid is not None and split is not None:
        raise OptionError("there are validation pairs and a split. Give one of the two.")
    chosen = task or infer_task(pairs)
    findings, labels = FindingCollector(examples=examples), LabelCounter()
    repeats = DuplicateDetector(is_annotation=chosen == "annotate")
    for pair in pairs:
        repeats.check(pair, _check_row(pair, chosen, findings, labels), findings)
    if task is None and chosen == "translate":
        _suspect_annotation(pairs, findings)
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
        task=chosen,
        is_task_inferred=task is None,
        markup=_markup(pairs),
        source=source_lengths(pairs),
        target=target_lengths(pairs),
        labels=labels.counted(),
        depth=labels.depth,
        findings=findings.sorted(),
    )


def _check_row(
    pair: Pair, task: Task, findings: FindingCollector, labels: LabelCounter
) -> Hashable:
    """Add what is found in a row, and return what its target stands for."""
    if not pair.source.strip() and not pair.target.strip():
        findings.add(BLANK, pair.row, "both sides are blank")
    elif not pair.source.strip() or not pair.target.strip():
        side = "target" if pair.source.strip() else "source"
        findings.add(EMPTY, pair.row, f"the {side} is empty")
    elif task == "annotate":
        spans = check_annotation(pair, findings)
        if spans is not None:
            labels.count(spans)
            return tuple(spans)
    return pair.target


def _suspect_annotation(pairs: Pairs, findings: FindingCollector) -> None:
    """Add the rows that look like annotations, though the task seems to be another."""
    for row, error in find_unusable(pair for pair in pairs if has_tag(pair.target)).items():
        findings.add(MAYBE_ANNOTATED, row, visible(str(error)))
    backwards = [pair for pair in pairs if is_reversed(pair)]
    same = sum(pair.source == pair.target for pair in pairs)
    if backwards and 2 * (len(backwards) + same) >= len(pairs):
        for pair in backwards:
            findings.add(MAYBE_REVERSED, pair.row, tags_in(pair.source, pair.target))
    found = [
        (pair, syntax) for pair in pairs if (syntax := detect_tag_syntax(pair.source, pair.target))
    ]
    if found and 2 * (len(found) + same) >= len(pairs):
        for pair, syntax in found:
            findings.add(foreign(syntax), pair.row, tags_in(pair.target, pair.source))


def _markup(pairs: Pairs) -> str | None:
    """Name the way in which the tags are written, in most of the rows that hold some."""
    counts: Counter[str] = Counter()
    for pair in pairs:
        if has_tag(pair.target) or has_tag(pair.source):
            counts[_OURS] += 1
        elif syntax := detect_tag_syntax(pair.source, pair.target):
            counts[syntax.example] += 1
    return counts.most_common(1)[0][0] if counts else None

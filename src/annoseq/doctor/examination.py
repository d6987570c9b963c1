"""The doctor's walk through a table of pairs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from annoseq.doctor.annotations import check_annotation, foreign, is_reversed, tags_in
from annoseq.doctor.diagnosis import Diagnosis
from annoseq.doctor.excerpts import visible
from annoseq.doctor.findings import BLANK, EMPTY, MAYBE_ANNOTATED, MAYBE_REVERSED, Findings
from annoseq.doctor.repeats import Repeats, check_across
from annoseq.doctor.statistics import Labels, source_lengths, target_lengths
from annoseq.doctor.syntaxes import recognise
from annoseq.errors import OptionError
from annoseq.pairs.alignment import find_unusable
from annoseq.pairs.tasks import has_tag, infer_task

if TYPE_CHECKING:
    from collections.abc import Hashable

    from annoseq.pairs.pair import Pair
    from annoseq.pairs.pairs import Pairs
    from annoseq.pairs.tasks import Task

_OURS = "{{LABEL}}text{{/LABEL}}"


def diagnose(
    pairs: Pairs,
    *,
    task: Task | None = None,
    valid: Pairs | None = None,
    split: tuple[list[int], list[int]] | None = None,
    examples: int = 100,
) -> Diagnosis:
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
    findings, labels = Findings(examples=examples), Labels()
    repeats = Repeats(is_annotation=chosen == "annotate")
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
    return Diagnosis(
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


def _check_row(pair: Pair, task: Task, findings: Findings, labels: Labels) -> Hashable:
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


def _suspect_annotation(pairs: Pairs, findings: Findings) -> None:
    """Add the rows that look like annotations, though the task seems to be another."""
    for row, error in find_unusable(pair for pair in pairs if has_tag(pair.target)).items():
        findings.add(MAYBE_ANNOTATED, row, visible(str(error)))
    backwards = [pair for pair in pairs if is_reversed(pair)]
    same = sum(pair.source == pair.target for pair in pairs)
    if backwards and 2 * (len(backwards) + same) >= len(pairs):
        for pair in backwards:
            findings.add(MAYBE_REVERSED, pair.row, tags_in(pair.source, pair.target))
    found = [(pair, syntax) for pair in pairs if (syntax := recognise(pair.source, pair.target))]
    if found and 2 * (len(found) + same) >= len(pairs):
        for pair, syntax in found:
            findings.add(foreign(syntax), pair.row, tags_in(pair.target, pair.source))


def _markup(pairs: Pairs) -> str | None:
    """Name the way in which the tags are written, in most of the rows that hold some."""
    counts: Counter[str] = Counter()
    for pair in pairs:
        if has_tag(pair.target) or has_tag(pair.source):
            counts[_OURS] += 1
        elif syntax := recognise(pair.source, pair.target):
            counts[syntax.example] += 1
    return counts.most_common(1)[0][0] if counts else None

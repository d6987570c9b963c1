"""What can be wrong with the annotation of one row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.doctor.excerpts import around, first_difference, marked, parting, visible
from annoseq.doctor.findings import CUT, MARKUP, MISMATCH, PADDED, REVERSED, TAG_LIKE, Kind
from annoseq.doctor.syntaxes import recognise
from annoseq.errors import MarkupError, MismatchError
from annoseq.pairs.alignment import align
from annoseq.pairs.markup import escape, has_tag_like, strip_tags
from annoseq.pairs.tasks import has_tag
from annoseq.text.segmentation import cut_spans

if TYPE_CHECKING:
    from annoseq.doctor.findings import Findings
    from annoseq.doctor.syntaxes import Syntax
    from annoseq.pairs.markup import Span
    from annoseq.pairs.pair import Pair


def check_annotation(pair: Pair, findings: Findings) -> list[Span] | None:
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


def foreign(syntax: Syntax) -> Kind:
    """Make the kind of finding for tags that annoseq does not read."""
    return Kind(
        "other-markup",
        "error",
        f"tags written as {syntax.example}",
        "Convert them to {{LABEL}}text{{/LABEL}}: "
        f"annoseq import table PAIRS NEW --markup '{syntax.example}'.",
    )


def _explain(pair: Pair, error: MarkupError | MismatchError, findings: Findings) -> None:
    if is_reversed(pair):
        findings.add(REVERSED, pair.row, tags_in(pair.source, pair.target))
        return
    if syntax := recognise(pair.source, pair.target):
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

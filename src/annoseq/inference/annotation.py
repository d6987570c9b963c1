"""What an annotator returns for a text."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from annoseq.data.markup import Span, parse, render, strip_tags
from annoseq.decoding.non_crossing import select_non_crossing
from annoseq.errors import MarkupError
from annoseq.tokenization.bioes import token_spans_to_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.evaluation.recall_thresholds import CalibrationStatistics, Thresholds
    from annoseq.tokenization.bioes import TokenSpan


@dataclass(frozen=True, slots=True)
class Annotation:
    """A text, the same text with tags, and its spans in opening order.

    `score` is the log-probability of the output (where a share of spans to find was asked for, of
    the likeliest output), `windows` the number of pieces that the text
    was read in. Where a model that wrote freely did not write the text plus well-nested tags,
    `spans` is None and `problem` says why; of a translation `spans` is None without a problem.
    `alternatives` are the other outputs that were asked for, the better ones first.
    """

    text: str
    annotated: str
    spans: tuple[Span, ...] | None
    score: float
    windows: int = 1
    problem: str | None = None
    alternatives: tuple[Annotation, ...] = ()

    @property
    def is_changed(self) -> bool:
        """Whether the output without its tags, well nested or not, is another text."""
        return strip_tags(self.annotated) != self.text

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as the lines of a JSONL file hold them."""
        found: dict[str, Any] = {
            "text": self.text,
            "annotated": self.annotated,
            "spans": None
            if self.spans is None
            else [_span(span, self.text) for span in self.spans],
            "score": round(self.score, 6),
            "windows": self.windows,
        }
        if self.problem:
            found["problem"] = self.problem
        if self.alternatives:
            others = [other.to_dict() for other in self.alternatives]
            found["alternatives"] = [
                {key: value for key, value in other.items() if key not in {"text", "windows"}}
                for other in others
            ]
        return found


def _span(span: Span, text: str) -> dict[str, Any]:
    return {
        "start": span.start,
        "end": span.end,
        "label": span.label,
        "text": text[span.start : span.end],
        "score": None if span.score is None else round(span.score, 6),
    }


def from_edits(
    text: str,
    offsets: Sequence[tuple[int, int]],
    spans: Sequence[TokenSpan],
    *,
    labels: Sequence[str],
    score: float,
    windows: int,
    thresholds: Thresholds | None = None,
) -> Annotation:
    """Assemble an annotation from the text's own characters: whatever is found, they are kept.

    With `thresholds`, spans may cross, and those are chosen that are likely enough.
    """
    found = token_spans_to_text(text, offsets, spans, labels=labels)
    if thresholds is not None:
        found = select_non_crossing(thresholds.keep(found))
    return Annotation(text, render(text, found), tuple(found), score, windows)


def calibrate_scores(
    found: Sequence[Annotation], evidence: CalibrationStatistics
) -> list[Annotation]:
    """Put probabilities in the place of the scores of all spans."""
    scores = [span.score or 0.0 for one in found for span in one.spans or ()]
    values = iter(evidence.probabilities(scores).tolist())
    return [
        replace(
            one,
            spans=tuple(Span(span.start, span.end, span.label, next(values)) for span in one.spans),
        )
        if one.spans
        else one
        for one in found
    ]


def from_output(text: str, output: str, *, score: float, is_translation: bool) -> Annotation:
    """Read what a model wrote freely."""
    if is_translation:
        return Annotation(text, output, None, score)
    try:
        written, spans = parse(output)
    except MarkupError as error:
        return Annotation(text, output, None, score, problem=f"malformed: {error}")
    if written != text:
        return Annotation(text, output, None, score, problem="the text was changed")
    return Annotation(text, output, tuple(spans), score)

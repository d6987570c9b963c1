"""Annotation: the result of annotating a text."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from annoseq.data.markup import Span, parse, render, strip_tags
from annoseq.data.span_html import render_spans_html
from annoseq.decoding.coverage_spans import spans_above
from annoseq.decoding.non_crossing import select_non_crossing
from annoseq.errors import MarkupError, count_noun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.evaluation.calibration_statistics import CalibrationStatistics
    from annoseq.evaluation.coverage import CoverageTarget
    from annoseq.evaluation.recall_thresholds import RecallTarget
    from annoseq.inference.predictor import GeneratedText

_CUT = "cut at the limit of its length"
_DIGITS = 6


@dataclass(frozen=True, slots=True, repr=False)
class Annotation:
    """A text, the same text with tags, and its spans in opening order.

    `score` is the log-probability of the output (with a target recall, that of the best path),
    `windows` the number of windows that the text was read in. Where a model that wrote freely did
    not write the text plus well-nested tags, `spans` is None and `problem` says why; of a
    translation `spans` is None, and it has a problem only if it was cut. `alternatives` are the
    other outputs of a search, best first.
    """

    text: str
    annotated: str
    spans: tuple[Span, ...] | None
    score: float
    windows: int = 1
    problem: str | None = None
    alternatives: tuple[Annotation, ...] = ()

    def __repr__(self) -> str:  # without the text, which is private
        spans = "no spans" if self.spans is None else count_noun(len(self.spans), "span")
        return f"<Annotation: {count_noun(len(self.text), 'character')}, {spans}>"

    def _repr_html_(self) -> str:
        """Render the text as HTML with coloured spans, or the output if it has none."""
        if self.spans is None:
            return render_spans_html(self.annotated, ())
        return render_spans_html(self.text, self.spans)

    @property
    def is_changed(self) -> bool:
        """True if the output without its tags, well nested or not, is another text."""
        return strip_tags(self.annotated) != self.text

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as the lines of a JSONL file hold them."""
        spans = self.spans
        record: dict[str, Any] = {
            "text": self.text,
            "annotated": self.annotated,
            "spans": None if spans is None else [_span_dict(span, self.text) for span in spans],
            "score": round(self.score, _DIGITS),
            "windows": self.windows,
        }
        if self.problem:
            record["problem"] = self.problem
        if self.alternatives:
            record["alternatives"] = [
                {
                    key: value
                    for key, value in alternative.to_dict().items()
                    if key not in {"text", "windows"}
                }
                for alternative in self.alternatives
            ]
        return record


def _span_dict(span: Span, text: str) -> dict[str, Any]:
    return {
        "start": span.start,
        "end": span.end,
        "label": span.label,
        "text": text[span.start : span.end],
        "score": None if span.score is None else round(span.score, _DIGITS),
    }


def from_spans(
    text: str,
    spans: Sequence[Span],
    *,
    score: float,
    windows: int,
    target: RecallTarget | None = None,
) -> Annotation:
    """Make an annotation from spans of a text, so that not a character can change.

    With a recall `target` the spans are candidates, which may cross; those that reach its threshold
    are kept, the likelier where two cross.
    """
    if target is not None:
        spans = select_non_crossing(target.keep(spans))
    return Annotation(text, render(text, spans), tuple(spans), score, windows)


def extend_coverage(
    annotation: Annotation, parts: Sequence[Span], target: CoverageTarget
) -> Annotation:
    """Mark the parts whose coverage score reaches the target's threshold as well.

    `parts` are those that `score_coverage` returns. The score of a span that they add is the
    probability that it lies in any span.
    """
    text, best = annotation.text, annotation.spans or ()
    spans = spans_above(text, best, parts, target.threshold)
    return replace(annotation, annotated=render(text, spans), spans=tuple(spans))


def calibrate_scores(
    annotations: Sequence[Annotation], statistics: CalibrationStatistics
) -> list[Annotation]:
    """Replace the scores of all spans by calibrated probabilities."""
    scores = [span.score or 0.0 for annotation in annotations for span in annotation.spans or ()]
    probabilities = iter(statistics.probabilities(scores).tolist())
    return [
        Annotation(  # four times as fast as `replace`
            annotation.text,
            annotation.annotated,
            tuple(
                Span(span.start, span.end, span.label, next(probabilities))
                for span in annotation.spans
            ),
            annotation.score,
            annotation.windows,
            annotation.problem,
            annotation.alternatives,
        )
        if annotation.spans
        else annotation
        for annotation in annotations
    ]


def from_output(text: str, output: GeneratedText, *, is_translation: bool) -> Annotation:
    """Parse an output that was written freely."""
    if is_translation:
        problem = None if output.has_ended else _CUT
        return Annotation(text, output.text, None, output.score, problem=problem)
    try:
        written, spans = parse(output.text)
        problem = None if written == text else "the text was changed"
    except MarkupError as error:
        spans, problem = [], f"malformed: {error}"
    if problem is None:
        return Annotation(text, output.text, tuple(spans), output.score)
    if not output.has_ended:
        problem = _CUT
    return Annotation(text, output.text, None, output.score, problem=problem)


def rank(annotations: Sequence[Annotation]) -> Annotation:
    """Return the first of several annotations of a text, with the others as its alternatives."""
    best, *alternatives = annotations
    if not alternatives:
        return best
    return replace(best, alternatives=tuple(alternatives))

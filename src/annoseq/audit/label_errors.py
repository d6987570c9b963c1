"""Likely label errors: gold spans and confident predictions that contradict each other.

A row's gold spans are compared with the likeliest spans of a model that has not seen the row. The
score of a suspected error is the gain that is expected of its correction: the probability that the
suggestion is right less the probability that the annotation is. Both are the model's calibrated
probabilities; of a string that is annotated otherwise nearly everywhere else, its other
annotations count too. Where the model sees nothing, it may have missed the span instead: that is
the likelier, the more spans of the label it misses.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass
from math import exp, log
from typing import TYPE_CHECKING, Literal

from annoseq.audit.cross_validation import CANDIDATE_FLOOR
from annoseq.evaluation.coverage_counter import PartScores
from annoseq.evaluation.error_analysis import find_span_errors
from annoseq.evaluation.span_matching import overlaps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from annoseq.audit.cross_validation import HeldOutRow
    from annoseq.data.examples import Example
    from annoseq.data.markup import Span

Problem = Literal["missed", "spurious", "wrong label", "wrong edge", "inconsistent"]
"""missed: no gold span where there should be one; spurious: a gold span where there should be none;
wrong label, wrong edge: a gold span with another label or other offsets; inconsistent: a string
that is annotated otherwise elsewhere, in contexts that are alike to the model."""

_STRENGTH = 0.5
"""Weight of the log-odds of a string's other annotations beside those of the model, for which a
context that is alike is not the same context."""
_LIKE_CONTEXT = 0.2
"""Least probability, by the model, of the annotation that a string has elsewhere."""
_LEAST_OCCURRENCES = 3
_MAJORITY = 0.8
"""Occurrences of a string elsewhere, and the share annotated alike, that tell its annotation."""
_SPURIOUS_SHARE = 0.05
"""Prior share of spurious annotations, chosen on a corpus with spans added on purpose: with 0.02,
one in twelve of those found is lost."""
_PSEUDO_SPANS = 5
"""Gold spans of all labels that the share missed of a label is smoothed with."""


@dataclass(frozen=True, slots=True, repr=False)
class LabelError:
    """A suspected error of a row: the gold span, if there is one, and the suggested one, if any.

    `score` is the expected gain of the correction, from -1 to 1; `gold_probability` and
    `suggestion_probability` are those that the annotation and the suggestion are right.
    """

    example: Example
    problem: Problem
    gold: Span | None
    suggestion: Span | None
    gold_probability: float
    suggestion_probability: float

    @property
    def score(self) -> float:
        """Expected gain of the correction."""
        return self.suggestion_probability - self.gold_probability


def find_label_errors(
    rows: Sequence[tuple[Example, HeldOutRow]], *, least: float = 0.0
) -> list[LabelError]:
    """Return the suspected errors of all rows with a score of more than `least`, highest first."""
    evidence = _Evidence(_StringAnnotations(example for example, _ in rows), _MissedSpans(rows))
    found = [
        error
        for example, predictions in rows
        for error in _row_errors(example, predictions, evidence)
        if error.score > least
    ]
    return sorted(found, key=lambda error: -error.score)


def _row_errors(
    example: Example, predictions: HeldOutRow, evidence: _Evidence
) -> Iterator[LabelError]:
    gold = example.tight_spans
    handled: list[Span] = []
    for error in find_span_errors(gold, predictions.best):
        for own, suggested in _pair_up(error.gold, error.predicted):
            handled += [span for span in (own, suggested) if span is not None]
            if own is not None and suggested is None:
                yield _spurious(example, predictions, own, evidence)
            else:
                yield _contradicted(example, predictions, own, suggested)
    yield from _inconsistent(example, predictions, evidence.strings, handled)


def _pair_up(
    gold: Sequence[Span], predicted: Sequence[Span]
) -> Iterator[tuple[Span | None, Span | None]]:
    """Pair each prediction with the gold span that it shares most characters with."""
    free = list(gold)
    for span in sorted(predicted, key=lambda span: -(span.score or 0.0)):
        own = max(
            (other for other in free if overlaps(other, span)),
            key=lambda other: min(other.end, span.end) - max(other.start, span.start),
            default=None,
        )
        if own is not None:
            free.remove(own)
        yield own, span
    yield from ((own, None) for own in free)


def _contradicted(
    example: Example, predictions: HeldOutRow, own: Span | None, suggested: Span | None
) -> LabelError:
    """Return the suspected error of a gold span, or of none, and the prediction instead."""
    assert suggested is not None
    probability = suggested.score or 0.0
    if own is None:
        return LabelError(example, "missed", None, suggested, 1 - probability, probability)
    right = _probability(predictions, own)
    is_moved = (own.start, own.end) != (suggested.start, suggested.end)
    problem: Problem = "wrong edge" if is_moved else "wrong label"
    return LabelError(example, problem, own, suggested, min(right, 1 - probability), probability)


def _spurious(
    example: Example, predictions: HeldOutRow, own: Span, evidence: _Evidence
) -> LabelError:
    """Return the suspected error of a gold span where nothing is predicted.

    By Bayes' rule, with the spans that the model misses as clearly: most of them are right.
    """
    coverage = _coverage(predictions, own)
    missed = evidence.missed.share(own.label, coverage)
    right = missed / (missed + _SPURIOUS_SHARE)
    right = evidence.strings.adjust(right, example.source, own, current=own)
    right = max(right, _probability(predictions, own))
    return LabelError(example, "spurious", own, None, right, min(1 - coverage, 1 - right))


def _inconsistent(
    example: Example,
    predictions: HeldOutRow,
    strings: _StringAnnotations,
    handled: Sequence[Span],
) -> Iterator[LabelError]:
    """Yield occurrences of strings that are annotated otherwise elsewhere, as candidates may be."""
    gold = set(example.tight_spans)
    for candidate in predictions.candidates:
        if candidate in gold or (candidate.score or 0.0) < _LIKE_CONTEXT:
            continue
        if any(overlaps(candidate, span) for span in handled):
            continue
        own = next((span for span in gold if overlaps(span, candidate)), None)
        if not strings.is_settled(example.source, candidate, current=own):
            continue
        probability = strings.adjust(candidate.score or 0.0, example.source, candidate, current=own)
        yield LabelError(example, "inconsistent", own, candidate, 1 - probability, probability)


def _probability(predictions: HeldOutRow, span: Span) -> float:
    """Return the probability of a gold span; one that is no candidate has less than the floor."""
    known = (candidate.score for candidate in predictions.candidates if candidate == span)
    return next((score for score in known if score is not None), CANDIDATE_FLOOR / 2)


def _coverage(predictions: HeldOutRow, span: Span) -> float:
    """Return the highest probability that a token of a span lies in any span."""
    return PartScores(predictions.tokens).highest(span.start, span.end) or 0.0


class _MissedSpans:
    """Coverage of the gold spans of each label: the probability of a token to lie in any span."""

    def __init__(self, rows: Sequence[tuple[Example, HeldOutRow]]) -> None:
        coverages: defaultdict[str, list[float]] = defaultdict(list)
        for example, predictions in rows:
            for span in example.tight_spans:
                coverages[span.label].append(_coverage(predictions, span))
        self._by_label = {label: sorted(values) for label, values in coverages.items()}
        self._all = sorted(value for values in coverages.values() for value in values)

    def share(self, label: str, coverage: float) -> float:
        """Return the share of the gold spans of a label that are covered no better, smoothed."""
        of_label = self._by_label[label]
        share_of_all = bisect_right(self._all, coverage) / len(self._all)
        count = bisect_right(of_label, coverage) + _PSEUDO_SPANS * share_of_all
        return count / (len(of_label) + _PSEUDO_SPANS)


class _StringAnnotations:
    """Annotations of each string that is a gold span somewhere: labels, or none, by count."""

    def __init__(self, examples: Iterator[Example]) -> None:
        self._labels: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._occurrences: Counter[str] = Counter()
        examples_ = list(examples)
        for example in examples_:
            for span in example.tight_spans:
                self._labels[_key(example.source, span)][span.label] += 1
        self._count_occurrences(examples_)

    def _count_occurrences(self, examples: Sequence[Example]) -> None:
        """Count each string wherever it stands between word boundaries, annotated or not."""
        lengths = sorted({len(key.split()) for key in self._labels})
        for example in examples:
            words = example.source.casefold().split()
            bare = [word.strip(_PUNCTUATION) for word in words]
            for length in lengths:
                for start in range(len(bare) - length + 1):
                    key = " ".join(bare[start : start + length])
                    if key in self._labels:
                        self._occurrences[key] += 1

    def _others(self, text: str, span: Span, current: Span | None) -> tuple[int, int]:
        """Return the other occurrences of a span's string, and those with the span's label."""
        key = _key(text, span)
        labels = self._labels.get(key)
        if labels is None:
            return 0, 0
        occurrences = max(self._occurrences[key], labels.total()) - 1
        same = labels[span.label]
        if current is not None and _key(text, current) == key and current.label == span.label:
            same -= 1
        return max(occurrences, same, 0), same

    def is_settled(self, text: str, span: Span, *, current: Span | None) -> bool:
        """Return True if the string has the span's label nearly everywhere else."""
        others, same = self._others(text, span, current)
        return others >= _LEAST_OCCURRENCES and same >= _MAJORITY * others

    def adjust(self, probability: float, text: str, span: Span, *, current: Span | None) -> float:
        """Return the probability of a span, given the annotations of its string elsewhere."""
        others, same = self._others(text, span, current)
        if not others:
            return probability
        elsewhere = (same + 1) / (others + 2)
        bounded = min(max(probability, 1e-6), 1 - 1e-6)
        odds = log(bounded / (1 - bounded)) + _STRENGTH * log(elsewhere / (1 - elsewhere))
        return 1 / (1 + exp(-odds))


@dataclass(frozen=True, slots=True, repr=False)
class _Evidence:
    """Evidence of all rows together: annotations of strings, and spans that the models miss."""

    strings: _StringAnnotations
    missed: _MissedSpans


_PUNCTUATION = ".,;:!?()[]{}\"'"


def _key(text: str, span: Span) -> str:
    """Return a span's string without case, white space and outer punctuation."""
    words = text[span.start : span.end].casefold().split()
    return " ".join(word.strip(_PUNCTUATION) for word in words)

"""Agreement of two annotators of the same texts, whose spans may nest and overlap.

Span F1 takes one annotator's spans as predicted and the other's as gold, and is the same either
way (Hripcsak and Rothschild 2005). Cohen's kappa and Krippendorff's alpha compare the tokens: the
category of a token is the set of labels of the spans that it lies in. Of one label, a token has it
or has it not.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from annoseq.errors import OptionError
from annoseq.evaluation.deid_metrics import TOKEN
from annoseq.evaluation.span_matching import SpanScore, score_spans

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from annoseq.data.markup import Span


class DoubleAnnotation(NamedTuple):
    """A text and the spans of two annotators."""

    text: str
    first: tuple[Span, ...]
    second: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class AgreementScores:
    """Agreement of two annotators.

    Kappa and alpha are None where all tokens have the same category: chance agreement is then
    perfect, and neither is defined. Without a span on either side, the F1 is None.
    """

    span_f1: float | None
    kappa: float | None
    alpha: float | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement over a number of documents: of all labels together, and of each."""

    documents: int
    all: AgreementScores
    by_label: dict[str, AgreementScores]


def measure_agreement(annotations: Sequence[DoubleAnnotation]) -> Agreement:
    """Return the agreement of two annotators of the same texts.

    Raises:
        OptionError: the package `krippendorff` is not installed.
    """
    categories = [pair for annotation in annotations for pair in _token_categories(annotation)]
    labels = sorted({span.label for each in annotations for span in (*each.first, *each.second)})
    return Agreement(
        len(annotations),
        AgreementScores(_span_f1(annotations), cohen_kappa(categories), nominal_alpha(categories)),
        {label: _label_scores(annotations, categories, label) for label in labels},
    )


def _label_scores(
    annotations: Sequence[DoubleAnnotation],
    categories: Sequence[tuple[frozenset[str], frozenset[str]]],
    label: str,
) -> AgreementScores:
    of_label = [
        DoubleAnnotation(
            each.text,
            tuple(span for span in each.first if span.label == label),
            tuple(span for span in each.second if span.label == label),
        )
        for each in annotations
    ]
    has_label = [(label in first, label in second) for first, second in categories]
    return AgreementScores(_span_f1(of_label), cohen_kappa(has_label), nominal_alpha(has_label))


def _span_f1(annotations: Iterable[DoubleAnnotation]) -> float | None:
    total = sum((score_spans(each.first, each.second) for each in annotations), SpanScore())
    return total.f1 if total.predicted + total.gold else None


def _token_categories(
    annotation: DoubleAnnotation,
) -> list[tuple[frozenset[str], frozenset[str]]]:
    """Return the labels of each token of a text, by each annotator."""
    places = [match.span() for match in TOKEN.finditer(annotation.text)]
    sides = [_labels_of_tokens(places, spans) for spans in (annotation.first, annotation.second)]
    return list(zip(*sides, strict=True))


def _labels_of_tokens(
    places: Sequence[tuple[int, int]], spans: Sequence[Span]
) -> list[frozenset[str]]:
    labels: list[frozenset[str]] = []
    opened: list[Span] = []
    waiting = sorted(spans, reverse=True)  # the first is the last
    for start, end in places:
        while waiting and waiting[-1].start < end:
            opened.append(waiting.pop())
        opened = [span for span in opened if span.end > start]
        labels.append(frozenset(span.label for span in opened))
    return labels


def cohen_kappa(pairs: Sequence[tuple[Hashable, Hashable]]) -> float | None:
    """Return Cohen's kappa (1960) of the categories that two annotators gave to each unit.

    >>> cohen_kappa([("A", "A"), ("A", "A"), ("B", "B"), ("B", "A")])
    0.5
    """
    if not pairs:
        return None
    observed = sum(first == second for first, second in pairs) / len(pairs)
    ours, theirs = (Counter(side) for side in zip(*pairs, strict=True))
    expected = sum(count * theirs[name] for name, count in ours.items()) / len(pairs) ** 2
    return None if expected == 1 else (observed - expected) / (1 - expected)


def nominal_alpha(pairs: Sequence[tuple[Hashable, Hashable]]) -> float | None:
    """Return Krippendorff's alpha (2004) of nominal categories.

    Raises:
        OptionError: the package `krippendorff` is not installed.
    """
    try:
        import krippendorff
    except ModuleNotFoundError as error:
        raise OptionError(
            "Krippendorff's alpha needs the package krippendorff, which is not installed. Install "
            "it with: pip install 'annoseq[serve]'"
        ) from error
    numbers = {
        category: number
        for number, category in enumerate(dict.fromkeys(c for pair in pairs for c in pair))
    }
    if len(numbers) < 2:
        return None
    data = [[numbers[pair[side]] for pair in pairs] for side in (0, 1)]
    return float(krippendorff.alpha(data, level_of_measurement="nominal"))

"""Predictions of a model for the documents of a review: spans, uncertainty and leak risk.

The uncertainty is the mean entropy of a token, in bits: of each predicted span whether it is right,
by its calibrated score, and of each token outside of them whether it lies in a span (Settles and
Craven 2008, "token entropy"). A model that does not know the probability of every span has the
negative log-probability of its output, by tokens (Shen et al. 2018, "MNLP"). The leak risk is the
expected number of tokens outside of the predicted spans that lie in one.
"""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING

from annoseq.errors import OptionError
from annoseq.evaluation.deid_metrics import count_tokens
from annoseq.review.project_records import DocumentPrediction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from annoseq.data.markup import Span
    from annoseq.inference.annotation import Annotation
    from annoseq.inference.annotator import Annotator

_CHUNK = 64
"""Texts predicted at once, between two reports of progress."""


def predict_documents(
    annotator: Annotator,
    texts: Sequence[str],
    *,
    advance: Callable[[int], None] = lambda _: None,
) -> list[DocumentPrediction]:
    """Predict the spans of texts; `advance` is told the number of texts that are done.

    Raises:
        OptionError: the model translates, so that it marks nothing.
    """
    if annotator.is_translator:
        raise OptionError(
            "this model writes texts of its own and marks nothing that could be reviewed. Name a "
            "model of the annotate task."
        )
    return [
        prediction
        for first in range(0, len(texts), _CHUNK)
        for prediction in _predict(annotator, texts[first : first + _CHUNK], advance)
    ]


def _predict(
    annotator: Annotator, texts: Sequence[str], advance: Callable[[int], None]
) -> Iterator[DocumentPrediction]:
    if annotator.predictor.gives_marginals:
        for annotation, parts in annotator.annotate_with_coverage(texts, advance=advance):
            yield _by_entropy(annotation, parts)
        return
    for annotation in annotator.annotate(texts, advance=advance):
        tokens = max(count_tokens(annotation.text), 1)
        yield DocumentPrediction(annotation.spans or (), -annotation.score / tokens)


def _by_entropy(annotation: Annotation, parts: Sequence[Span]) -> DocumentPrediction:
    """Return a prediction by the scores of spans, and of the parts that `score_coverage` returns.

    Those with a score of 1 are the spans themselves.
    """
    spans = annotation.spans or ()
    scores = [part.score or 0.0 for part in parts]
    outside = [score for score in scores if score < 1.0]
    entropies = [entropy(score) for score in (*(span.score or 0.0 for span in spans), *outside)]
    tokens = max(count_tokens(annotation.text), 1)
    return DocumentPrediction(spans, sum(entropies) / tokens, sum(outside))


def entropy(probability: float) -> float:
    """Return the entropy of a yes or no, in bits.

    >>> entropy(0.5), entropy(1.0)
    (1.0, 0.0)
    """
    if not 0 < probability < 1:
        return 0.0
    other = 1 - probability
    return -(probability * log2(probability) + other * log2(other))

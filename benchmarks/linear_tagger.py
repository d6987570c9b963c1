"""Linear token classifier: a tagger that trains in seconds, for checks that need many trainings.

Features are the words in a window of five tokens, affixes and shape, hashed; the classifier is a
linear one for each label, trained by stochastic gradient descent. Tokens of a label that touch make
a span.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import vstack
from sklearn.feature_extraction import FeatureHasher
from sklearn.linear_model import SGDClassifier

from annoseq.data.markup import Span
from annoseq.evaluation.learning_curve import CurveRun, count_document
from benchmarks.corruption import tokenize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from annoseq.data.examples import Example
    from annoseq.training.curve_runs import Subset
    from annoseq.training.document_folds import DocumentCorpus

    Document = tuple[Example, ...]

_BUCKETS = 2**16
_PASSES = 4
_PENALTY = 1e-5
_OUTSIDE = ""
_WINDOW = (-2, -1, 0, 1, 2)


class LinearTaggers:
    """Trainings of linear taggers, with the features of each document computed once."""

    def __init__(self) -> None:
        self._hasher = FeatureHasher(_BUCKETS, input_type="string", alternate_sign=False)
        self._features: dict[int, object] = {}

    def run(self, corpus: DocumentCorpus, subset: Subset, *, seed: int) -> CurveRun:
        """Train on the documents of a subset, and count on those held back."""
        start = time.perf_counter()
        training = [corpus.documents[number] for number in subset.training]
        tags = [tag for document in training for tag in _document_tags(document)]
        predict = self._train(training, tags, seed=seed) if len(set(tags)) > 1 else None
        counts = []
        for number in subset.held_back:
            document = corpus.documents[number]
            found: list[list[Span]] = [[] for _ in document]
            if predict is not None:
                predicted = iter(predict.predict(self._matrix(document)).tolist())
                found = [_spans(example, predicted) for example in document]
            counts.append(count_document(document, found, [[] for _ in document]))
        seconds = time.perf_counter() - start
        return CurveRun(subset.repeat, len(subset.training), tuple(counts), seconds)

    def _train(
        self, documents: Sequence[Document], tags: Sequence[str], *, seed: int
    ) -> SGDClassifier:
        features = vstack([self._matrix(document) for document in documents]).tocsr()
        classifier = SGDClassifier(
            loss="hinge", alpha=_PENALTY, max_iter=_PASSES, tol=None, random_state=seed
        )
        return classifier.fit(features, np.array(tags))

    def _matrix(self, document: Document) -> object:
        """Return the features (T, B) of the T tokens of a document."""
        key = id(document[0])
        if key not in self._features:
            rows = [names for example in document for names in _token_features(example)]
            self._features[key] = self._hasher.transform(rows)
        return self._features[key]


def _token_features(example: Example) -> Iterator[list[str]]:
    words = [example.source[start:end].strip() for start, end in tokenize(example.source)]
    for place, word in enumerate(words):
        near = [(step, place + step) for step in _WINDOW if 0 <= place + step < len(words)]
        names = [f"{step}:{words[at].casefold()}" for step, at in near]
        shapes = [f"shape {step}:{_shape(words[at])}" for step, at in near if abs(step) < 2]
        affixes = [f"begins {word[:3]}", f"ends {word[-3:]}", f"ends {word[-2:]}"]
        yield [*names, *shapes, *affixes, f"row begins {words[0].casefold()}"]


def _shape(word: str) -> str:
    """Return the kinds of characters of a word, each run once.

    >>> _shape("Ames-12")
    'Aa-0'
    """
    kinds = re.sub(r"[^\W\d_]", lambda letter: "A" if letter[0].isupper() else "a", word)
    return re.sub(r"(.)\1+", r"\1", re.sub(r"\d", "0", kinds))


def _document_tags(document: Document) -> Iterator[str]:
    """Yield the label of each token, or that of no span."""
    for example in document:
        spans = example.tight_spans
        for start, end in tokenize(example.source):
            inside = (span.label for span in spans if span.start < end and start < span.end)
            yield next(inside, _OUTSIDE)


def _spans(example: Example, tags: Iterator[str]) -> list[Span]:
    """Return the spans of consecutive tokens with the same label."""
    text, found = example.source, list[Span]()
    before = _OUTSIDE
    for start, end in tokenize(text):
        label = next(tags)
        first = start + len(text[start:end]) - len(text[start:end].lstrip())
        if label != _OUTSIDE:
            if label == before:
                found[-1] = Span(found[-1].start, end, label)
            else:
                found.append(Span(first, end, label))
        before = label
    return found

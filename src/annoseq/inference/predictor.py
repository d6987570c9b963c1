"""Predictors: the one path on which every model is run, in windows and batches; targets of a query.

`SpanPredictor` is the interface of models; `network_predictors` has those of the networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from threading import Lock, RLock
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias
from weakref import WeakKeyDictionary

from annoseq.config import SearchConfig
from annoseq.decoding.sliding_window import Window, cut_windows, merge_windows
from annoseq.errors import OptionError, option_name
from annoseq.evaluation.calibration_statistics import MIN_GOLD_SPANS
from annoseq.evaluation.coverage import CoverageTarget
from annoseq.evaluation.recall_thresholds import RecallTarget
from annoseq.evaluation.token_accuracy import Accuracy, Ratio
from annoseq.inference.predictions import Prediction, Predictions
from annoseq.kernels.selection import compiled_kernels
from annoseq.tokenization.batching import WindowIds, length_sorted_batches
from annoseq.tokenization.bioes import ScoredTokenSpans, token_spans_to_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray

    from annoseq.config import BatchConfig
    from annoseq.data.examples import Example
    from annoseq.data.markup import Span
    from annoseq.evaluation.calibration_statistics import CalibrationStatistics
    from annoseq.tokenization.batching import TokenIds
    from annoseq.tokenization.hash_features import FeatureHasher
    from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer
    from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """A text as a model reads it: offsets (T, 2) and ids (T,) of its tokens, and windows.

    An empty text has no window.
    """

    text: str
    offsets: Sequence[tuple[int, int]] | NDArray[np.int64]
    ids: TokenIds
    windows: list[Window]

    def window_ids(self, index: int) -> TokenIds:
        """Return the ids of a window."""
        window = self.windows[index]
        return self.ids[window.first : window.last]

    def to_text_spans(self, spans: ScoredTokenSpans, *, labels: Sequence[str]) -> list[Span]:
        """Return the spans of tokens as spans of characters, with probabilities."""
        return token_spans_to_text(self.text, self.offsets, spans.spans, labels=labels)


def tokenize_texts(texts: Sequence[str], tokenizer: TaggerTokenizer) -> list[TokenizedText]:
    """Tokenize texts for a tagger, and cut them into windows."""
    cut, ids = tokenizer.encode_texts(texts)
    tokenized = []
    for text, (first, last) in zip(texts, pairwise(cut.bounds), strict=True):
        windows = cut_windows(cut.tokens[first:last], tokenizer.length_stats)
        tokenized.append(TokenizedText(text, cut.offsets[first:last], ids[first:last], windows))
    return tokenized


def tokenize_in_windows(text: str, tokenizer: Seq2SeqTokenizer) -> TokenizedText:
    """Tokenize a text, and cut it into windows."""
    tokens, ids = tokenizer.encode_text(text)
    windows = cut_windows(tokens.tokens, tokenizer.length_stats)
    return TokenizedText(text, tokens.offsets, ids, windows)


# Annotators of one model share its feature hasher, whose numbers and cached vectors change.
_HASHER_LOCKS: WeakKeyDictionary[FeatureHasher, AbstractContextManager[Any]] = WeakKeyDictionary()
_HASHER_LOCKS_LOCK = Lock()


def hasher_lock(hasher: FeatureHasher) -> AbstractContextManager[Any]:
    """Return the lock of a feature hasher and of what is computed for its tokens."""
    with _HASHER_LOCKS_LOCK:
        return _HASHER_LOCKS.setdefault(hasher, RLock())


@dataclass(frozen=True, slots=True)
class SpanQuery:
    """Spans that a predictor is asked for: the best path, all candidates, or covered tokens.

    With a `floor`, all candidate spans of at least this probability, which may cross. With a
    `coverage_floor`, two outputs: the likeliest spans, and every token that lies in any span with
    at least this probability as a span of its own. Otherwise the likeliest well-nested spans; a
    model that writes searches for them by `search`, which may return several outputs.
    """

    search: SearchConfig = SearchConfig()
    floor: float | None = None
    coverage_floor: float | None = None


@dataclass(frozen=True, slots=True)
class GeneratedText:
    """An output that was written freely, and its log-probability.

    `has_ended` is False for an output that was cut at the limit of its length.
    """

    text: str
    score: float
    has_ended: bool = True


class TextGenerator(Protocol):
    """Model that can write any text."""

    def generate(
        self,
        texts: Sequence[str],
        search: SearchConfig,
        *,
        batching: BatchConfig,
        first: int,
        advance: Callable[[int], None],
    ) -> list[list[GeneratedText]]:
        """Return the outputs for each text, best first; `first` numbers the texts for sampling."""
        ...

    def predict(
        self,
        examples: Sequence[Example],
        *,
        batching: BatchConfig,
        advance: Callable[[int], None],
    ) -> Predictions:
        """Generate greedily for each example, and compare with the ids of its target."""
        ...


class SpanPredictor(Protocol):
    """Model that predicts the spans of texts, one batch of windows at a time.

    A further kind of model needs such a class, and a case in `build_predictor`.
    """

    @property
    def labels(self) -> Sequence[str]:
        """Labels by number."""
        ...

    @property
    def default_batching(self) -> BatchConfig:
        """Batching where none is asked for."""
        ...

    @property
    def gives_marginals(self) -> bool:
        """True if the probability of every span is known, so that candidates can be asked for."""
        ...

    @property
    def generator(self) -> TextGenerator | None:
        """Free generation, or None if the model cannot write; it then takes no search."""
        ...

    def exclusive_use(self) -> AbstractContextManager[None]:
        """Return the context in which texts are tokenized and predicted, if there are caches.

        It keeps other threads out; nothing that was tokenized outlives it.
        """
        ...

    def tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Tokenize texts, and cut them into windows."""
        ...

    def predict_batch(
        self, windows: Sequence[TokenIds], query: SpanQuery, *, names: Sequence[str]
    ) -> list[list[ScoredTokenSpans]]:
        """Return the outputs of each window, best first; `names` seed random draws."""
        ...


def predict_spans(
    predictor: SpanPredictor,
    texts: Sequence[TokenizedText],
    query: SpanQuery | None = None,
    *,
    batching: BatchConfig | None = None,
    first: int = 1,
    advance: Callable[[int], None] = lambda _: None,
) -> list[list[ScoredTokenSpans]]:
    """Predict the spans of texts; return the outputs of each, best first.

    The texts are read in windows and batches (`default_batching` if None is given), and the spans
    of their windows merged. `first` numbers the texts for random draws; `advance` is told the
    number of texts that are done.
    """
    query = query or SpanQuery()
    batching = batching or predictor.default_batching
    places = [(row, index) for row, text in enumerate(texts) for index in range(len(text.windows))]
    windows = [WindowIds(texts[row].window_ids(index)) for row, index in places]
    outputs: dict[tuple[int, int], list[ScoredTokenSpans]] = {}
    advance(sum(not text.windows for text in texts))
    with compiled_kernels(texts=len(texts), tokens=sum(len(text.ids) for text in texts)):
        for batch in length_sorted_batches(windows, batching):
            batch_places = [places[window] for window in batch]
            predicted = predictor.predict_batch(
                [windows[window].source for window in batch],
                query,
                names=[f"{first + row}.{index}" for row, index in batch_places],
            )
            outputs |= zip(batch_places, predicted, strict=True)
            advance(sum(index == 0 for _, index in batch_places))
    return [
        merge_outputs(
            text.windows,
            [outputs[row, index] for index in range(len(text.windows))],
            may_cross=query.floor is not None,
            least=1 if query.coverage_floor is None else 2,
        )
        for row, text in enumerate(texts)
    ]


def merge_outputs(
    windows: Sequence[Window],
    outputs: Sequence[Sequence[ScoredTokenSpans]],
    *,
    may_cross: bool,
    least: int = 1,
) -> list[ScoredTokenSpans]:
    """Merge the outputs of windows: the i-th output of each makes the i-th of the text.

    A window with fewer outputs than others takes part with its last. A text without windows has
    `least` outputs.
    """
    if len(windows) == 1 and not windows[0].first:  # nearly all texts
        return list(outputs[0])
    merged = []
    for rank in range(max(map(len, outputs), default=least)):
        ranked = [window[min(rank, len(window) - 1)] for window in outputs]
        spans = merge_windows(windows, [output.spans for output in ranked], may_cross=may_cross)
        merged.append(ScoredTokenSpans(spans, sum((output.score for output in ranked), 0.0)))
    return merged


def predict_examples(
    predictor: SpanPredictor,
    examples: Sequence[Example],
    *,
    batching: BatchConfig | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Predictions:
    """Predict the annotated text of each example; a model that can write text does so freely."""
    if predictor.generator is not None:
        return predictor.generator.predict(
            examples, batching=batching or predictor.default_batching, advance=advance
        )
    with predictor.exclusive_use():
        texts = predictor.tokenize([example.source for example in examples])
        outputs = predict_spans(predictor, texts, batching=batching, advance=advance)
    predictions = [
        Prediction.from_spans(example, text.to_text_spans(best, labels=predictor.labels))
        for example, text, (best, *_) in zip(examples, texts, outputs, strict=True)
    ]
    exact = Ratio(sum(prediction.is_exact for prediction in predictions), len(predictions))
    return Predictions(predictions, Accuracy(exact=exact))


Target: TypeAlias = RecallTarget | CoverageTarget
_Kind: TypeAlias = Literal["recall", "coverage"]


def choose_target(
    predictor: SpanPredictor,
    calibration: CalibrationStatistics | None,
    *,
    target_recall: float | None,
    target_coverage: float | None,
) -> Target | None:
    """Choose the threshold for the target that is given, if there is one.

    Raises:
        OptionError: both are given, it is no share, or the model knows no probabilities of spans
            or has no calibration.
    """
    if target_recall is not None and target_coverage is not None:
        raise OptionError(
            "--target-recall and --target-coverage are two ways to mark more. Leave one off: "
            "recall is for spans with exact edges, coverage for text that is to be hidden."
        )
    if target_recall is not None:
        known = _check_calibration(predictor, calibration, target_recall, kind="recall")
        return known.candidates.choose_threshold(target_recall)
    if target_coverage is not None:
        known = _check_calibration(predictor, calibration, target_coverage, kind="coverage")
        return known.coverage.choose_threshold(target_coverage)
    return None


def make_query(search: SearchConfig, target: RecallTarget | None) -> SpanQuery:
    """Return the spans to ask a predictor for: the candidates of a target, or the best path."""
    return SpanQuery(search, floor=None if target is None else target.threshold)


def check_no_search(search: SearchConfig) -> None:
    """Raise `OptionError` if an option of a search was given, which a tagger has none of."""
    if fields := sorted(search.model_fields_set):
        option = option_name(fields[0])
        raise OptionError(
            f"{option} is for sequence-to-sequence models, and this one is a tagger: it finds the "
            f"likeliest tags in one pass. Leave {option} off."
        )


def check_marginals(predictor: SpanPredictor, *, kind: _Kind) -> None:
    """Raise `OptionError` if a model does not know the probability of every span."""
    if not predictor.gives_marginals:
        raise OptionError(
            f"--target-{kind} is for taggers, which know the chance of every span, and this model "
            "writes its output. Leave it off, or train a model with --model tagger."
        )


def _check_calibration(
    predictor: SpanPredictor,
    calibration: CalibrationStatistics | None,
    share: float,
    *,
    kind: _Kind,
) -> CalibrationStatistics:
    if not 0 < share < 1:
        raise OptionError(
            f"a {kind} of {share:g} was asked for. Give a share between 0 and 1, such as 0.99."
        )
    check_marginals(predictor, kind=kind)
    if calibration is None:
        raise OptionError(
            f"--target-{kind} needs calibration.json in the model folder, and this model has none: "
            f"it was validated on fewer than {MIN_GOLD_SPANS} spans, or trained by an older "
            "version. Leave it off, or train again with more rows."
        )
    return calibration

"""Annotator: a trained model that annotates texts."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

from annoseq.config import BatchConfig, SearchConfig
from annoseq.data.text_inputs import check_texts
from annoseq.decoding.coverage_spans import score_coverage
from annoseq.errors import OptionError
from annoseq.evaluation.coverage import CoverageTarget
from annoseq.evaluation.coverage_counter import COVERAGE_FLOOR
from annoseq.inference.annotation import (
    Annotation,
    calibrate_scores,
    extend_coverage,
    from_output,
    from_spans,
    rank,
)
from annoseq.inference.model_loading import load_model, open_predictor
from annoseq.inference.predictor import (
    SpanQuery,
    check_marginals,
    check_no_search,
    choose_target,
    make_query,
    predict_spans,
)
from annoseq.models.onnx_model import OnnxModel
from annoseq.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from annoseq.config import DeviceConfig
    from annoseq.data.markup import Span
    from annoseq.evaluation.recall_thresholds import RecallTarget
    from annoseq.inference.predictor import Target, TextGenerator, TokenizedText
    from annoseq.models.ensemble_folder import EnsembleModel
    from annoseq.models.serialization import TrainedModel
    from annoseq.tokenization.bioes import ScoredTokenSpans


@dataclass(frozen=True, slots=True)
class _BatchOptions:
    batching: BatchConfig
    first: int
    advance: Callable[[int], None]


class Annotator:
    """A trained model, ready to annotate.

    It may be called from several threads at once; the calls of a tagger wait for one another,
    because they share a cache of token features. `config`, `tokenizer`, `calibration` and `history`
    are those of the model; `fingerprint` is the checksum of its weights.
    """

    def __init__(
        self,
        model: TrainedModel | EnsembleModel | OnnxModel,
        *,
        device: DeviceConfig | str | None = None,
    ) -> None:
        self._model, self.config, self.fingerprint = model, model.config, model.fingerprint
        self.calibration, self.history = model.calibration, model.history
        self.tokenizer = model.tokenizer
        self.predictor, self.device = open_predictor(model, device=device)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        device: DeviceConfig | str | None = None,
        vectors: str | Path | None = None,
    ) -> Annotator:
        """Read a model folder, or an ONNX file that `annoseq export onnx` wrote.

        `vectors` is the file of word vectors that a tagger was trained with, if it is no longer
        where it was.

        Raises:
            ModelError: a file is missing or damaged, or another version wrote it.
            VectorsError: the file of word vectors cannot be read, or is another one.
            OptionError: `vectors` was given, and the model reads none.
        """
        return cls(load_model(folder, vectors=vectors), device=device)

    def __repr__(self) -> str:
        config = self.config
        return f"<Annotator: {config.network.model}, {config.task}, {self.device}>"

    @property
    def model(self) -> TrainedModel:
        """The network and its tokenizer; raises `OptionError` for an ONNX file or an ensemble."""
        if isinstance(self._model, OnnxModel):
            raise OptionError("an ONNX file holds no network. Give the model folder.")
        if hasattr(self._model, "members"):
            raise OptionError("an ensemble has no network of its own. Give one of its members.")
        return self._model

    @property
    def is_translator(self) -> bool:
        """True if the model writes any text, instead of annotating the one it reads."""
        return self.config.task == "translate"

    @property
    def is_tagger(self) -> bool:
        """True if the model finds spans without writing the text."""
        return self.predictor.generator is None

    @overload
    def annotate(  # type: ignore[overload-overlap]
        self,
        texts: str,
        *,
        search: SearchConfig | None = ...,
        batching: BatchConfig | None = ...,
        target_recall: float | None = ...,
        target_coverage: float | None = ...,
        target: Target | None = ...,
        first: int = ...,
        advance: Callable[[int], None] | None = ...,
    ) -> Annotation: ...
    @overload
    def annotate(
        self,
        texts: Iterable[str],
        *,
        search: SearchConfig | None = ...,
        batching: BatchConfig | None = ...,
        target_recall: float | None = ...,
        target_coverage: float | None = ...,
        target: Target | None = ...,
        first: int = ...,
        advance: Callable[[int], None] | None = ...,
    ) -> list[Annotation]: ...
    def annotate(
        self,
        texts: str | Iterable[str],
        *,
        search: SearchConfig | None = None,
        batching: BatchConfig | None = None,
        target_recall: float | None = None,
        target_coverage: float | None = None,
        target: Target | None = None,
        first: int = 1,
        advance: Callable[[int], None] | None = None,
    ) -> Annotation | list[Annotation]:
        """Annotate one text, or several (a list, a pandas Series, ...) in their order.

        A model of the annotate task chooses among tags only, so that not a character can change,
        unless `search.free` lets it write. With `target_recall`, such as 0.99, a tagger returns the
        candidates above the threshold of `choose_target`; with `target_coverage`, it marks every
        token above it besides its likeliest spans; `target` is one that was chosen before. `first`
        numbers the texts for random draws, so that texts given in parts are drawn for as if they
        were given at once. `advance` is told how many texts are done; without it, a progress bar
        shows.

        Raises:
            OptionError: these are no texts, `search` has options that do not go together with this
                model, or it cannot choose a threshold.
        """
        checked = check_texts(texts)
        search = search or SearchConfig()
        if self.predictor.generator is None:
            check_no_search(search)
        target = target or self.choose_target(
            target_recall=target_recall, target_coverage=target_coverage
        )
        with (
            progress_bar("annotating", total=len(checked))
            if advance is None
            else nullcontext(advance) as told
        ):
            options = _BatchOptions(self.resolve_batching(batching), first, told)
            generator = self.predictor.generator
            if generator is not None and (search.free or self.is_translator):
                annotations = self._generate(generator, checked, search, options)
            else:
                annotations = self._predict(checked, search, target, options)
        return annotations[0] if isinstance(texts, str) else annotations

    def resolve_batching(self, batching: BatchConfig | None) -> BatchConfig:
        """Return the given batching, or the model's default if no size was given."""
        if batching is None or not batching.model_fields_set:
            return self.predictor.default_batching
        return batching

    def choose_target(
        self, *, target_recall: float | None = None, target_coverage: float | None = None
    ) -> Target | None:
        """Choose the threshold that finds a share of the spans, or covers one of the identifiers.

        Raises:
            OptionError: both are given, it is no share, or the model is no tagger, or has no
                `calibration.json`.
        """
        return choose_target(
            self.predictor,
            self.calibration,
            target_recall=target_recall,
            target_coverage=target_coverage,
        )

    def score_coverage(
        self,
        texts: Sequence[str],
        *,
        batching: BatchConfig | None = None,
        advance: Callable[[int], None] = lambda _: None,
    ) -> list[list[Span]]:
        """Return the parts of each text with a coverage score, in order and without overlap.

        They are what `annotate` marks at the lowest threshold: the likeliest spans with a score of
        1, and all other tokens that may lie in a span.

        Raises:
            OptionError: the model is no tagger, and does not know the probability of every span.
        """
        scored = self.annotate_with_coverage(texts, batching=batching, advance=advance)
        return [parts for _, parts in scored]

    def annotate_with_coverage(
        self,
        texts: Sequence[str],
        *,
        batching: BatchConfig | None = None,
        advance: Callable[[int], None] = lambda _: None,
    ) -> list[tuple[Annotation, list[Span]]]:
        """Return what `annotate` and `score_coverage` return of each text, in one pass.

        Raises:
            OptionError: the model is no tagger, and does not know the probability of every span.
        """
        check_marginals(self.predictor, kind="coverage")
        options = _BatchOptions(self.resolve_batching(batching), 1, advance)
        return self._predict_coverage(check_texts(texts), COVERAGE_FLOOR, options)

    def calibrate_score(self, score: float) -> float:
        """Return the probability of a span that the network gives a score, as results have it."""
        if self.calibration is None:
            return score
        return float(self.calibration.probabilities([score])[0])

    def _run(
        self, texts: Sequence[str], query: SpanQuery, options: _BatchOptions
    ) -> list[tuple[TokenizedText, list[ScoredTokenSpans]]]:
        """Return each text as the model reads it, with its outputs."""
        with self.predictor.exclusive_use():
            tokenized = self.predictor.tokenize(texts)
            outputs = predict_spans(
                self.predictor,
                tokenized,
                query,
                batching=options.batching,
                first=options.first,
                advance=options.advance,
            )
        return list(zip(tokenized, outputs, strict=True))

    def _predict(
        self,
        texts: Sequence[str],
        search: SearchConfig,
        target: Target | None,
        options: _BatchOptions,
    ) -> list[Annotation]:
        """Annotate by predicted spans."""
        if isinstance(target, CoverageTarget):
            scored = self._predict_coverage(texts, target.threshold, options)
            return [extend_coverage(annotation, parts, target) for annotation, parts in scored]
        outputs = self._run(texts, make_query(search, target), options)
        annotations = [self._to_annotation(text, ranked, target) for text, ranked in outputs]
        return self._calibrated(annotations)

    def _predict_coverage(
        self,
        texts: Sequence[str],
        floor: float,
        options: _BatchOptions,
    ) -> list[tuple[Annotation, list[Span]]]:
        """Annotate texts, and score their parts with at least the coverage score `floor`."""
        outputs = self._run(texts, SpanQuery(coverage_floor=floor), options)
        annotations = self._calibrated(
            [self._to_annotation(text, ranked[:1]) for text, ranked in outputs]
        )
        labels, scored = self.predictor.labels, []
        for annotation, (text, (_, tokens)) in zip(annotations, outputs, strict=True):
            best = annotation.spans or ()
            parts = score_coverage(text.text, best, text.to_text_spans(tokens, labels=labels))
            scored.append((annotation, parts))
        return scored

    def _calibrated(self, annotations: list[Annotation]) -> list[Annotation]:
        """Replace the scores of spans by calibrated probabilities, if the model is calibrated."""
        if self.calibration is None:
            return annotations
        return calibrate_scores(annotations, self.calibration)

    def _to_annotation(
        self,
        text: TokenizedText,
        outputs: Sequence[ScoredTokenSpans],
        target: RecallTarget | None = None,
    ) -> Annotation:
        return rank(
            [
                from_spans(
                    text.text,
                    text.to_text_spans(output, labels=self.predictor.labels),
                    score=output.score,
                    windows=len(text.windows),
                    target=target,
                )
                for output in outputs
            ]
        )

    def _generate(
        self,
        generator: TextGenerator,
        texts: Sequence[str],
        search: SearchConfig,
        options: _BatchOptions,
    ) -> list[Annotation]:
        """Annotate by texts that are written freely."""
        outputs = generator.generate(
            texts,
            search,
            batching=options.batching,
            first=options.first,
            advance=options.advance,
        )
        return [
            rank(
                [from_output(text, output, is_translation=self.is_translator) for output in ranked]
            )
            for text, ranked in zip(texts, outputs, strict=True)
        ]

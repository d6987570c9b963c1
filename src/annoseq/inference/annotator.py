"""A trained model, ready to annotate texts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from annoseq.config import BatchConfig, DeviceConfig, SearchConfig
from annoseq.decoding.constrained import EditVocabulary, ConstrainedStepper, spans_from_edits
from annoseq.decoding.generate import generate
from annoseq.devices import Compute
from annoseq.errors import OptionError
from annoseq.evaluation.recall_thresholds import MIN_GOLD_SPANS, CalibrationStatistics
from annoseq.inference.annotation import Annotation, calibrate_scores, from_output
from annoseq.inference.reading import Reading
from annoseq.models.serialization import TrainedModel
from annoseq.models.tagger import Tagger
from annoseq.progress import progress_bar
from annoseq.tokenization.batching import collate_sources, longest_first
from annoseq.tokenization.bioes import ScoredTokenSpans
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding, Seq2SeqTokenizer
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from annoseq.decoding.sampling import Hypothesis
    from annoseq.evaluation.recall_thresholds import RecallTarget, Thresholds
    from annoseq.models.interfaces import State, Stepper
    from annoseq.tokenization.batching import Batch


_WIDE = BatchConfig(batch_size=256, batch_tokens=16_384)
"""What a tagger reads at once if nothing else is asked for: it needs little memory for a token."""


class Annotator:
    """A trained model, ready to annotate."""

    def __init__(self, model: TrainedModel, *, device: DeviceConfig | None = None) -> None:
        self.model = model
        self.compute = Compute.choose(device)
        self._network = model.network.to(self.compute.device).eval()
        self._edits: EditVocabulary | None = None
        if isinstance(model.codec, Seq2SeqTokenizer):
            self._edits = EditVocabulary.of(model.codec).to(self.compute.device)
        self._evidence = (
            None if model.calibration is None else CalibrationStatistics.read(model.calibration)
        )

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        device: DeviceConfig | None = None,
        vectors: str | Path | None = None,
    ) -> Annotator:
        """Read a model folder.

        `vectors` is the file of word vectors that a tagger was trained with, if it is no longer
        where it was.

        Raises:
            ModelError: a file is missing or damaged, or another version wrote it.
            VectorsError: the file of word vectors cannot be read, or is another one.
            OptionError: `vectors` was given, and the model reads none.
        """
        return cls(TrainedModel.load(folder, vectors=vectors), device=device)

    @property
    def is_translator(self) -> bool:
        """Whether the model writes any text, instead of annotating the one it reads."""
        return self.model.config.task == "translate"

    @property
    def is_tagger(self) -> bool:
        """Whether the model finds the tags in one pass, without writing the text."""
        return isinstance(self._network, Tagger)

    def annotate(
        self,
        texts: Sequence[str],
        *,
        generate: SearchConfig | None = None,
        batching: BatchConfig | None = None,
        target_recall: float | None = None,
        first: int = 1,
        advance: Callable[[int], None] | None = None,
    ) -> list[Annotation]:
        """Annotate texts; the results are in their order.

        A model of the annotate task chooses among tags only, so that not a character can change,
        unless `generate.free` lets it write. `first` numbers the texts for random draws, so that
        texts given in parts are drawn for as if they were given at once. `advance` is told how
        many texts are done; without it, a progress bar shows. With `target_recall`, such as 0.99,
        a tagger returns as many of the spans that may be there as `wanted` says.

        Raises:
            OptionError: `generate` has options that do not go together with this model, or it knows
                nothing of the recall of its scores.
        """
        config = generate or SearchConfig()
        if advance is None:
            with progress_bar("annotating", total=len(texts)) as bar:
                return self.annotate(
                    texts,
                    generate=config,
                    batching=batching,
                    target_recall=target_recall,
                    first=first,
                    advance=bar,
                )
        thresholds = None if target_recall is None else self.wanted(target_recall).thresholds
        batching = batching or BatchConfig()
        if isinstance(self.model.codec, TaggerTokenizer):
            self._refuse_search(config)
            batching = batching if batching.model_fields_set else _WIDE
            self.model.codec.words.make_room()
            found = self._mark(texts, config, batching, first, advance, thresholds=thresholds)
            return calibrate_scores(found, self._evidence) if self._evidence else found
        if config.free or self.is_translator:
            return self._write(texts, config, batching, first, advance)
        return self._mark(texts, config, batching, first, advance)

    def wanted(self, target_recall: float) -> RecallTarget:
        """Choose from which score on spans are kept, so that this share of them is found.

        Raises:
            OptionError: it is no share, or the model is no tagger, or has no `calibration.json`.
        """
        if not 0 < target_recall < 1:
            raise OptionError(
                f"a recall of {target_recall:g} was asked for. Give a share between 0 and 1, such "
                "as 0.99."
            )
        if not self.is_tagger:
            raise OptionError(
                "--target-recall is for taggers, which know the chance of every span, and this "
                "model writes its output. Leave it off, or train a model with --model tagger."
            )
        if self._evidence is None:
            raise OptionError(
                "--target-recall needs calibration.json in the model folder, and this model has "
                f"none: it was validated on fewer than {MIN_GOLD_SPANS} spans, or trained by an older "
                "version. Leave it off, or train again with more rows."
            )
        return self._evidence.choose(target_recall)

    def probability(self, score: float) -> float:
        """Return how likely a span is right that the network gives a score, as results have it."""
        return float(self._evidence.probabilities([score])[0]) if self._evidence else score

    def _refuse_search(self, config: SearchConfig) -> None:
        if given := sorted(config.model_fields_set):
            option = "--" + given[0].replace("_", "-")
            raise OptionError(
                f"{option} is for models that write, and this one is a tagger: it finds the "
                f"likeliest tags in one pass. Leave {option} off."
            )

    def _write(
        self,
        texts: Sequence[str],
        config: SearchConfig,
        batching: BatchConfig,
        first: int,
        advance: Callable[[int], None],
    ) -> list[Annotation]:
        """Let the model write any token."""
        codec, network = self.model.codec, self._network
        assert isinstance(codec, Seq2SeqTokenizer)
        assert not isinstance(network, Tagger)
        examples = [codec.encode_source(text) for text in texts]
        found: dict[int, Annotation] = {}
        for batch in self._batches(examples, batching):
            hypotheses = self._search(
                network,
                batch,
                config,
                limits=codec.output_limits(batch.source_lengths),
                names=[str(first + row) for row in batch.rows],
            )
            for row, some in zip(batch.rows, hypotheses, strict=True):
                found[row] = _ranked(
                    from_output(
                        texts[row],
                        codec.decode(one.ids),
                        score=one.score,
                        is_translation=self.is_translator,
                    )
                    for one in some
                )
            advance(len(batch.rows))
        return [found[row] for row in range(len(texts))]

    def _mark(
        self,
        texts: Sequence[str],
        config: SearchConfig,
        batching: BatchConfig,
        first: int,
        advance: Callable[[int], None],
        *,
        thresholds: Thresholds | None = None,
    ) -> list[Annotation]:
        """Let the model choose tags, window by window."""
        codec = self.model.codec
        readings = [Reading.of(text, codec) for text in texts]
        places = [(row, i) for row, one in enumerate(readings) for i in range(len(one.windows))]
        examples = [Seq2SeqEncoding(readings[row].window(index), []) for row, index in places]
        found: dict[tuple[int, int], Sequence[ScoredTokenSpans]] = {}
        advance(sum(not one.windows for one in readings))
        for batch in self._batches(examples, batching):
            at = [places[piece] for piece in batch.rows]
            names = [f"{first + row}.{index}" for row, index in at]
            found |= zip(at, self._find(batch, config, names, thresholds), strict=True)
            advance(sum(index == 0 for _, index in at))
        return [
            _ranked(
                one.assemble(
                    [found[row, index] for index in range(len(one.windows))],
                    labels=codec.labels,
                    thresholds=thresholds,
                )
            )
            for row, one in enumerate(readings)
        ]

    def _find(
        self,
        batch: Batch,
        config: SearchConfig,
        names: Sequence[str],
        thresholds: Thresholds | None,
    ) -> list[list[ScoredTokenSpans]]:
        """Find the spans of every row; of a search that returns several outputs, in each."""
        if isinstance(self._network, Tagger):
            with self.compute.autocast():
                return [[marked] for marked in self._tag(self._network, batch, thresholds)]
        assert self._edits is not None
        hypotheses = self._search(
            ConstrainedStepper(self._network, self._edits),
            batch,
            config,
            limits=self._edits.limits(batch.source_lengths),
            names=names,
        )
        return [[_marked(one) for one in some] for some in hypotheses]

    def _tag(
        self, network: Tagger, batch: Batch, thresholds: Thresholds | None
    ) -> list[ScoredTokenSpans]:
        """Find the likeliest spans of every row, or all that thresholds ask for."""
        if thresholds is None:
            return network.spans(batch)
        assert isinstance(self.model.codec, TaggerTokenizer)
        return network.candidates(batch, floor=thresholds.lowest, longest=self.model.codec.widest)

    def _batches(
        self, examples: Sequence[Seq2SeqEncoding], batching: BatchConfig
    ) -> Iterator[Batch]:
        for rows in longest_first(examples, batching):
            batch = collate_sources(rows, examples, has_ends=not self.is_tagger)
            yield batch.to(self.compute.device)

    def _search(
        self,
        stepper: Stepper[State],
        batch: Batch,
        config: SearchConfig,
        *,
        limits: Tensor,
        names: Sequence[str],
    ) -> list[list[Hypothesis]]:
        with self.compute.autocast():
            return generate(stepper, batch, config, limits=limits, names=names)


def _marked(hypothesis: Hypothesis) -> ScoredTokenSpans:
    return ScoredTokenSpans(spans_from_edits(hypothesis.ids, hypothesis.log_probs), hypothesis.score)


def _ranked(annotations: Iterator[Annotation]) -> Annotation:
    best, *others = annotations
    return replace(best, alternatives=tuple(others))

"""Predictors of networks: taggers in one pass, sequence-to-sequence networks by decoding."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import torch

from annoseq.config import BatchConfig
from annoseq.data.examples import Example
from annoseq.decoding.constrained import ConstrainedStepper, EditVocabulary, spans_from_edits
from annoseq.decoding.generate import generate
from annoseq.decoding.logits_processors import decode_ids, select_most_likely
from annoseq.evaluation.token_accuracy import Accuracy, measure_accuracy
from annoseq.inference.predictions import Prediction, Predictions
from annoseq.inference.predictor import (
    GeneratedText,
    hasher_lock,
    tokenize_in_windows,
    tokenize_texts,
)
from annoseq.models.tagger import Tagger
from annoseq.tokenization.batching import WindowIds, collate, collate_sources, length_sorted_batches
from annoseq.tokenization.bioes import ScoredTokenSpans
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding, Seq2SeqTokenizer
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from annoseq.tokenization.vocabulary import BEGIN, END, PAD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from annoseq.config import SearchConfig
    from annoseq.data.markup import Span
    from annoseq.decoding.logits_processors import Hypothesis
    from annoseq.devices import ComputeDevice
    from annoseq.inference.predictor import SpanPredictor, SpanQuery, TokenizedText
    from annoseq.models.gru import GruWithAttention
    from annoseq.models.interfaces import AnySeq2SeqNetwork
    from annoseq.models.tagger import SpanTagger
    from annoseq.tokenization.batching import Batch, TokenIds


T = TypeVar("T")


def build_predictor(
    network: AnySeq2SeqNetwork | Tagger,
    tokenizer: Seq2SeqTokenizer | TaggerTokenizer,
    compute: ComputeDevice,
    *,
    bounds_cache: bool = False,
) -> SpanPredictor:
    """Move a network to its device, in evaluation mode, and return its predictor.

    With `bounds_cache`, a tagger forgets the features of tokens when it has met many. That is not
    for a network in training: its encodings refer to them.
    """
    network = network.to(compute.device).eval()
    if isinstance(network, Tagger):
        assert isinstance(tokenizer, TaggerTokenizer)
        return TaggerPredictor(network, tokenizer, compute, bounds_cache=bounds_cache)
    assert isinstance(tokenizer, Seq2SeqTokenizer)
    edits = EditVocabulary.of(tokenizer).to(compute.device)
    return Seq2SeqPredictor(network, tokenizer, compute, edits)


@dataclass(frozen=True)
class TaggerPredictor:
    """Predictor of a tagger network: all spans of a window in one pass."""

    network: SpanTagger
    tokenizer: TaggerTokenizer
    compute: ComputeDevice
    bounds_cache: bool = False
    default_batching: BatchConfig = BatchConfig(batch_size=256, batch_tokens=16_384)
    """A tagger needs little memory for a token."""
    gives_marginals: bool = True
    generator: None = None

    @property
    def labels(self) -> Sequence[str]:
        """Labels by number."""
        return self.tokenizer.labels

    @contextmanager
    def exclusive_use(self) -> Iterator[None]:
        """Lock the cache of token features, and empty it if it has grown large."""
        hasher = self.tokenizer.feature_hasher
        with hasher_lock(hasher):
            if self.bounds_cache:
                hasher.clear_if_large()
            yield

    def tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Tokenize texts, and cut them into windows."""
        return tokenize_texts(texts, self.tokenizer)

    def predict_batch(
        self, windows: Sequence[TokenIds], query: SpanQuery, *, names: Sequence[str]
    ) -> list[list[ScoredTokenSpans]]:
        """Return one output for each window."""
        batch = _collate_windows(windows, self.compute, has_ends=False)
        with self.compute.running():
            if query.coverage_floor is not None:
                pairs = self.network.coverage(batch, floor=query.coverage_floor)
                return [list(outputs) for outputs in pairs]
            if query.floor is None:
                rows = self.network.spans(batch)
            else:
                rows = self.network.candidates(
                    batch, floor=query.floor, longest=self.tokenizer.widest
                )
        return [[row] for row in rows]


@dataclass(frozen=True)
class Seq2SeqPredictor:
    """Predictor of a sequence-to-sequence network: constrained decoding of edits."""

    network: AnySeq2SeqNetwork
    tokenizer: Seq2SeqTokenizer
    compute: ComputeDevice
    edits: EditVocabulary
    default_batching: BatchConfig = BatchConfig()
    gives_marginals: bool = False

    @property
    def labels(self) -> Sequence[str]:
        """Labels by number."""
        return self.tokenizer.labels

    @property
    def generator(self) -> Seq2SeqGenerator:
        """Free generation by the same network."""
        return Seq2SeqGenerator(self.network, self.tokenizer, self.compute)

    def exclusive_use(self) -> AbstractContextManager[None]:
        """Return an empty context: there is no cache."""
        return nullcontext()

    def tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Tokenize texts, and cut them into windows."""
        return [tokenize_in_windows(text, self.tokenizer) for text in texts]

    def predict_batch(
        self, windows: Sequence[TokenIds], query: SpanQuery, *, names: Sequence[str]
    ) -> list[list[ScoredTokenSpans]]:
        """Return the outputs of the search for each window, best first."""
        batch = _collate_windows(windows, self.compute, has_ends=True)
        with self.compute.running():
            hypotheses = generate(
                ConstrainedStepper(self.network, self.edits),
                batch,
                query.search,
                limits=self.edits.limits(batch.source_lengths),
                names=names,
            )
        return [[_scored_spans(hypothesis) for hypothesis in row] for row in hypotheses]


@dataclass(frozen=True)
class Seq2SeqGenerator:
    """Free generation by a sequence-to-sequence network."""

    network: AnySeq2SeqNetwork
    tokenizer: Seq2SeqTokenizer
    compute: ComputeDevice

    def generate(
        self,
        texts: Sequence[str],
        search: SearchConfig,
        *,
        batching: BatchConfig,
        first: int = 1,
        advance: Callable[[int], None] = lambda _: None,
    ) -> list[list[GeneratedText]]:
        """Return the outputs for each text, best first; `first` numbers the texts for sampling."""

        def decode(batch: Batch, limits: Tensor) -> list[list[Hypothesis]]:
            names = [str(first + row) for row in batch.rows]
            return generate(self.network, batch, search, limits=limits, names=names)

        encodings = [self.tokenizer.encode_source(text) for text in texts]
        outputs: dict[int, list[GeneratedText]] = {}
        for rows, hypotheses in self._run(encodings, batching, decode):
            for row, ranked in zip(rows, hypotheses, strict=True):
                outputs[row] = [
                    GeneratedText(self.tokenizer.decode(one.ids), one.score, one.has_ended)
                    for one in ranked
                ]
            advance(len(rows))
        return [outputs[row] for row in range(len(texts))]

    def predict(
        self,
        examples: Sequence[Example],
        *,
        batching: BatchConfig,
        advance: Callable[[int], None] = lambda _: None,
    ) -> Predictions:
        """Generate greedily for each example, and compare with the ids of its target."""

        def decode(batch: Batch, limits: Tensor) -> Tensor:
            ids, _ = decode_ids(self.network, batch, limits=limits, selector=select_most_likely)
            return ids.cpu()

        encodings = self.tokenizer.encode_examples(examples).encodings
        accuracy = Accuracy()
        outputs: dict[int, str] = {}
        for rows, ids in self._run(encodings, batching, decode):
            target = collate(rows, encodings).target
            assert target is not None
            accuracy += measure_accuracy(ids, target)
            outputs |= zip(rows, decode_rows(ids, self.tokenizer), strict=True)
            advance(len(rows))
        return Predictions(
            [
                Prediction(example.row, example.source, example.reference, outputs[row])
                for row, example in enumerate(examples)
            ],
            accuracy,
        )

    def _run(
        self,
        encodings: Sequence[Seq2SeqEncoding],
        batching: BatchConfig,
        decode: Callable[[Batch, Tensor], T],
    ) -> Iterator[tuple[list[int], T]]:
        """Decode batch by batch; yield the rows of each batch and what `decode` returns."""
        for rows in length_sorted_batches(encodings, batching):
            batch = collate_sources(rows, encodings, has_ends=True)
            limits = self.tokenizer.output_limits(batch.source_lengths)
            with self.compute.running():
                decoded = decode(batch.to(self.compute.device), limits)
            yield rows, decoded


def decode_rows(ids: Tensor, tokenizer: Seq2SeqTokenizer) -> list[str]:
    """Return rows of ids (B, O) as text, each up to its end symbol."""
    return [tokenizer.decode(_until_end(row)) for row in ids.tolist()]


def _until_end(ids: Sequence[int]) -> Iterator[int]:
    for id_ in ids:
        if id_ in {END, PAD}:
            return
        yield id_


def _collate_windows(
    windows: Sequence[TokenIds], compute: ComputeDevice, *, has_ends: bool
) -> Batch:
    encodings = list(map(WindowIds, windows))
    batch = collate_sources(range(len(windows)), encodings, has_ends=has_ends)
    return batch.to(compute.device)


def _scored_spans(hypothesis: Hypothesis) -> ScoredTokenSpans:
    spans = spans_from_edits(hypothesis.ids, hypothesis.log_probs)
    return ScoredTokenSpans(spans, hypothesis.score)


_END = "(end)"
_MAX_CELLS = 6400
"""Cells of the largest map that is still readable."""


class AttentionMap(NamedTuple):
    """Attention weights of each output token over the source tokens.

    `weights[t][s]` is a digit: tenths of the weight, rounded down, with 9 for a weight of 1.
    """

    source: list[str]
    written: list[str]
    weights: list[str]


@torch.no_grad()
def attention_map(
    network: GruWithAttention,
    tokenizer: Seq2SeqTokenizer,
    text: str,
    spans: Sequence[Span],
    *,
    compute: ComputeDevice,
) -> AttentionMap | None:
    """Return the attention weights while a model writes a text with its predicted spans.

    Returns None for an empty text, or if the map would be too large to be readable.
    """
    row = tokenizer.tokenize(Example(text, text, tuple(spans), row=1))
    if not row.source or (len(row.source) + 1) * (len(row.target) + 1) > _MAX_CELLS:
        return None
    batch = collate([0], [tokenizer.encode(row)])
    assert batch.target is not None
    fed = torch.cat([torch.full_like(batch.target[:, :1], BEGIN), batch.target[:, :-1]], dim=1)
    batch, fed = batch.to(compute.device), fed.to(compute.device)
    network.eval()  # without dropout in the decoder below
    state = network.start(batch)
    outputs, _ = network.decoder(network.target(fed), state.hidden)
    weights = network.attention_weights(state, outputs, fed)[0].float().cpu()  # (T, S)
    digits = (weights * 10).long().clamp(max=9)
    source, written = ([*tokens, _END] for tokens in (row.source, row.target))
    return AttentionMap(
        source[: weights.shape[1]], written, ["".join(map(str, row)) for row in digits.tolist()]
    )

"""Training objectives of networks and taggers: collation, loss and validation score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar, TypeVarTuple

import torch
from torch import Tensor, nn

from annoseq.errors import DatasetError, TrainingError
from annoseq.evaluation.span_matching import SpanScore, score_spans
from annoseq.evaluation.token_accuracy import Accuracy, measure_accuracy
from annoseq.tokenization.batching import collate, collate_tags
from annoseq.tokenization.bioes import token_spans_to_text
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding
from annoseq.tokenization.soft_targets import SoftTargets
from annoseq.tokenization.tagger_tokenizer import TaggerEncoding
from annoseq.tokenization.vocabulary import BEGIN, PAD
from annoseq.training.losses import Loss, output_loss

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from annoseq.config import TrainingConfig
    from annoseq.data.examples import Example
    from annoseq.models.interfaces import AnySeq2SeqNetwork
    from annoseq.models.tagger import Tagger
    from annoseq.tokenization.batching import Batch, EncodedPair
    from annoseq.tokenization.bioes import TokenSpan
    from annoseq.tokenization.dataset import Dataset
    from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
    from annoseq.training.distillation import Lessons
    from annoseq.training.language_modelling import LanguageModelHead


RowT = TypeVar("RowT", bound="EncodedPair")


class ValidationScore(Protocol):
    """Counts of a part of the rows; those of all parts are added."""

    def __add__(self, other: Self, /) -> Self:
        """Return the sum of two counts."""
        ...

    def values(self) -> dict[str, float]:
        """Return the scores by name."""
        ...

    def counts(self) -> list[int]:
        """Return all counts as a list, to be reduced over processes."""
        ...

    @classmethod
    def of_counts(cls, counts: Sequence[int]) -> Self:
        """Return the score of the counts that `counts` returned."""
        ...


class Objective(nn.Module, ABC, Generic[RowT]):
    """A network and the loss that it is trained with.

    `train_rows` and `valid_rows` are the encoded rows of the dataset; `criterion` is the name of
    the value of a `score` by which the best epoch is chosen. It is a module, so that it can be
    wrapped for distributed data parallel training.
    """

    network: Any
    criterion: str
    score: type[ValidationScore]
    train_rows: Sequence[RowT]
    valid_rows: Sequence[RowT]

    @abstractmethod
    def collate(self, rows: Sequence[int], examples: Sequence[RowT]) -> Batch:
        """Collate the examples at `rows` into a batch."""

    @abstractmethod
    def positions(self, batch: Batch) -> int:
        """Return the number of positions of a batch over which its loss is averaged."""

    @abstractmethod
    def forward(self, batch: Batch, *, forcing: float) -> Loss:
        """Return the loss of a batch whose target tokens are fed with the probability `forcing`."""

    @abstractmethod
    def measure(self, batch: Batch) -> tuple[Loss, ValidationScore]:
        """Return the loss and the score of a batch of `valid_rows`, without gradients."""


def teacher_forcing_probability(epoch: int, config: TrainingConfig, *, epochs: int) -> float:
    """Return the probability of teacher forcing in an epoch of a run, counted from 0.

    "falling" goes linearly from 1 in the first epoch to 0 in `forcing_end_epoch`, by default
    the last of the `epochs`: the notebook's `TeacherForcing`, and the linear schedule of Bengio et
    al. 2015, "Scheduled sampling for sequence prediction with recurrent neural networks".
    """
    if config.teacher_forcing == "falling":
        end = (config.forcing_end_epoch or epochs) - 1
        return max(0.0, 1 - epoch / end) if end else float(epoch == 0)
    assert config.teacher_forcing != "auto"
    return config.teacher_forcing


def tokens_to_feed(
    network: AnySeq2SeqNetwork, state: object, target: Tensor, *, forcing: float
) -> Tensor:
    """Return the decoder's input (B, T) for learning `target` (B, T), with scheduled sampling.

    The begin symbol comes first, then each target token with the probability `forcing`, or else
    the decoder's own best token. No gradient passes through the choice of a token. So the decoder's
    tokens are predicted first, without gradients, and then all are fed in one call: faster than
    step by step, with the same gradients for the same tokens.
    """
    begin = torch.full_like(target[:, :1], BEGIN)
    if forcing == 1:
        return torch.cat([begin, target[:, :-1]], dim=1)
    fed, _ = run_freely(network, state, target, forcing=forcing)
    return fed[:, :-1]


@torch.no_grad()
def run_freely(
    network: AnySeq2SeqNetwork, state: object, target: Tensor, *, forcing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Feed the decoder its own best tokens, step by step to the width of `target` (B, T).

    Returns the tokens fed, with the begin symbol in front and the next one at the end, (B, 1 + T),
    and the decoder's outputs (B, T, E).
    """
    is_forced = torch.zeros_like(target, dtype=torch.bool)
    if forcing:  # validation draws no random numbers, so that it does not change training
        is_forced = torch.rand(target.shape, device=target.device) < forcing
    fed, tops = [torch.full_like(target[:, 0], BEGIN)], []
    for place in range(target.shape[1]):
        state = network.step(state, fed[-1])
        tops.append(network.decoder_output(state))
        best = network.target.logits(tops[-1]).argmax(-1)
        fed.append(torch.where(is_forced[:, place], target[:, place], best))
    return torch.stack(fed, dim=1), torch.stack(tops, dim=1)


_Ts = TypeVarTuple("_Ts")
_R = TypeVar("_R")


def compiled(
    function: Callable[[*_Ts], _R], *, backend: str | Callable[..., object] = "inductor"
) -> Callable[[*_Ts], _R]:
    """Compile a function, when it is first called, for inputs of any shape.

    What the compiler does not support, such as a GRU and packed sequences, runs uncompiled.

    Raises:
        TrainingError: when called: there is no compiler here, or it fails.
    """
    from torch._dynamo.exc import TorchDynamoException  # slow to import

    fast = torch.compile(function, dynamic=True, backend=backend)

    @wraps(function)
    def call(*args: *_Ts) -> _R:
        try:
            return fast(*args)
        except TorchDynamoException as error:
            cause = getattr(error, "inner_exception", error)
            reason = next(iter(str(cause).splitlines()), type(cause).__name__)
            raise TrainingError(
                f"--compile failed: {reason}. Leave it off, or install what torch compiles with: "
                "a C++ compiler, and for GPUs Triton."
            ) from error

    return call


class Seq2SeqObjective(Objective[Seq2SeqEncoding]):
    """A sequence-to-sequence network and its cross-entropy, averaged over target tokens.

    With `compile`, the encoder and the decoder over a whole target are compiled. The loss is not:
    its chunks are three matrix products each, and the compiler would unroll their loop.
    """

    criterion = "token_accuracy"
    score = Accuracy

    def __init__(
        self,
        network: AnySeq2SeqNetwork,
        config: TrainingConfig,
        *,
        train_rows: Sequence[Seq2SeqEncoding] = (),
        valid_rows: Sequence[Seq2SeqEncoding] = (),
    ) -> None:
        super().__init__()
        self.network = network
        self.train_rows = train_rows
        self.valid_rows = valid_rows
        self._start = compiled(network.start) if config.compile else network.start
        self._decode = compiled(network.decode) if config.compile else network.decode
        self._counts_padding = config.loss == "padded"
        self._label_smoothing = config.label_smoothing

    def collate(self, rows: Sequence[int], examples: Sequence[Seq2SeqEncoding]) -> Batch:
        """Collate the examples at `rows` into a batch."""
        return collate(rows, examples)

    def positions(self, batch: Batch) -> int:
        """Return the number of target tokens, with the padded loss also the padding."""
        assert batch.target is not None
        kept = batch.target if self._counts_padding else batch.target[batch.target != PAD]
        return kept.numel()

    def forward(self, batch: Batch, *, forcing: float) -> Loss:
        """Return the loss of a batch whose target tokens are fed with the probability `forcing`."""
        assert batch.target is not None
        state = self._start(batch)
        fed = tokens_to_feed(self.network, state, batch.target, forcing=forcing)
        return self._loss(self._decode(state, fed), batch.target)

    @torch.no_grad()
    def measure(self, batch: Batch) -> tuple[Loss, Accuracy]:
        """Return the loss and the accuracy of a decoder that is fed its own output."""
        assert batch.target is not None
        loss, output = self.run_freely(batch)
        return loss, measure_accuracy(output, batch.target)

    def run_freely(self, batch: Batch) -> tuple[Loss, Tensor]:
        """Return the loss of a decoder fed its own output, without smoothing, and that output
        (B, T), as long as the target.
        """
        assert batch.target is not None
        fed, tops = run_freely(self.network, self.network.start(batch), batch.target)
        return self._loss(tops, batch.target, smoothed=False), fed[:, 1:]

    def _loss(self, top: Tensor, target: Tensor, *, smoothed: bool = True) -> Loss:
        words = self.network.target
        return output_loss(
            words.dropout(top),
            target,
            words.output,
            counts_padding=self._counts_padding,
            label_smoothing=self._label_smoothing if smoothed else 0.0,
        )


class TaggerObjective(Objective[TaggerEncoding]):
    """A tagger and the negative log-likelihood of its tags, averaged over tokens.

    The score compares spans with those of the validation examples by offsets and label; labels
    that the training examples lack count as well.

    Raises:
        DatasetError: no training row, or no validation row, has any text.
    """

    criterion = "span_f1"
    score = SpanScore

    def __init__(
        self,
        network: Tagger,
        dataset: Dataset,
        tokenizer: TaggerTokenizer,
        lessons: Lessons | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.tokenizer = tokenizer
        train, valid = map(_drop_empty, (dataset.train, dataset.valid))
        if not (train and valid):
            part = "validation" if train else "training"
            raise DatasetError(f"the {part} rows are empty texts. Give pairs with text in them.")
        self.train_rows = tokenizer.encode(train, is_training=True)
        self._lessons = lessons
        if lessons is not None:
            self.train_rows = [*self.train_rows, *lessons.unlabelled]
        self.language_model: LanguageModelHead | None = None
        self._lm_weight = 0.0
        self.valid_rows = tokenizer.encode(valid)
        self._texts = [example.source for example in valid]
        self._gold = [example.tight_spans for example in valid]

    def add_language_model(self, head: LanguageModelHead, *, weight: float) -> None:
        """Add the loss of a language model of the training rows, with a weight, to that of tags."""
        self.language_model, self._lm_weight = head, weight

    def collate(self, rows: Sequence[int], examples: Sequence[TaggerEncoding]) -> Batch:
        """Collate the examples at `rows` into a batch."""
        batch, lessons = collate_tags(rows, examples), self._lessons
        if lessons is None or examples is not self.train_rows:
            return batch
        targets = [lessons.targets[row] for row in rows]
        weights = [lessons.weights[row] for row in rows]
        return replace(batch, soft_targets=SoftTargets.collate(targets, weights))

    def positions(self, batch: Batch) -> int:
        """Return the number of tokens."""
        return int(batch.source_lengths.sum())

    def forward(self, batch: Batch, *, forcing: float = 1.0) -> Loss:
        """Return the loss of a batch; nothing is fed to a tagger."""
        encoded = self.network.encode(batch)
        loss = self.network.loss_of_encoded(encoded, batch).sum()
        if self.language_model is not None and self.training:
            lengths = batch.source_lengths
            loss += self._lm_weight * self.language_model.loss(encoded, batch.source, lengths)
        return Loss(loss, self.positions(batch))

    @torch.no_grad()
    def measure(self, batch: Batch) -> tuple[Loss, SpanScore]:
        """Return the loss and the span score of a batch of validation rows."""
        loss = self.forward(batch)
        rows = self.network.spans(batch)
        scores = map(self._score, batch.rows, (row.spans for row in rows))
        return loss, sum(scores, SpanScore())

    def _score(self, row: int, token_spans: Sequence[TokenSpan]) -> SpanScore:
        text = self._texts[row]
        offsets = self.tokenizer.tokenize(text).offsets
        spans = token_spans_to_text(text, offsets, token_spans, labels=self.tokenizer.labels)
        return score_spans(spans, self._gold[row])


def _drop_empty(examples: Sequence[Example]) -> list[Example]:
    """Leave out empty texts: there is nothing to tag."""
    return [example for example in examples if example.source]

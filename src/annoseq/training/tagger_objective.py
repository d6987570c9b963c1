"""How a tagger learns: the likelihood of the tags, and the spans that it finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from annoseq.data.markup import render
from annoseq.errors import DatasetError
from annoseq.evaluation.span_matching import SpanScore, score_spans
from annoseq.evaluation.token_accuracy import Accuracy, Ratio
from annoseq.inference.predictor import Prediction, Predictions
from annoseq.progress import progress_bar
from annoseq.tokenization.batching import collate_tags, longest_first
from annoseq.tokenization.bioes import token_spans_to_text
from annoseq.tokenization.tagger_tokenizer import TaggerEncoding
from annoseq.training.losses import Loss
from annoseq.training.objective import Objective

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.config import BatchConfig
    from annoseq.data.examples import Example
    from annoseq.devices import ComputeDevice
    from annoseq.models.tagger import Tagger
    from annoseq.tokenization.batching import Batch
    from annoseq.tokenization.bioes import TokenSpan
    from annoseq.tokenization.dataset import Dataset
    from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer


class TaggerObjective(Objective[TaggerEncoding]):
    """A tagger, and the negative log-likelihood of the tags a token.

    The score compares spans with those of the pairs, character for character, labels that the
    training rows lack among them.

    Raises:
        DatasetError: no training row, or no validation row, has any text.
    """

    criterion = "span_f1"
    score = SpanScore

    def __init__(self, network: Tagger, dataset: Dataset, tokenizer: TaggerTokenizer) -> None:
        super().__init__()
        self.network = network
        self.tokenizer = tokenizer
        train, valid = map(_drop_empty, (dataset.train, dataset.valid))
        if not (train and valid):
            part = "validation" if train else "training"
            raise DatasetError(f"the {part} rows are empty texts. Give pairs with text in them.")
        self.train_rows = tokenizer.encode(train, is_training=True)
        self.valid_rows = tokenizer.encode(valid)
        self._texts = [example.source for example in valid]
        self._gold = [example.tight_spans for example in valid]

    def collate(self, rows: Sequence[int], examples: Sequence[TaggerEncoding]) -> Batch:
        """Make a batch of the examples at `rows`."""
        return collate_tags(rows, examples)

    def positions(self, batch: Batch) -> int:
        """Count the tokens."""
        return int(batch.source_lengths.sum())

    def forward(self, batch: Batch, *, forcing: float = 1.0) -> Loss:
        """Return the loss of a batch; nothing is fed to a tagger."""
        return Loss(self.network.loss(batch).sum(), self.positions(batch))

    @torch.no_grad()
    def measure(self, batch: Batch) -> tuple[Loss, SpanScore]:
        """Return the loss and the span score of a batch of validation rows."""
        loss = self.forward(batch)
        found = self.network.spans(batch)
        scores = map(self._score, batch.rows, (one.spans for one in found))
        return loss, sum(scores, SpanScore())

    def _score(self, row: int, found: Sequence[TokenSpan]) -> SpanScore:
        text = self._texts[row]
        offsets = self.tokenizer.tokenize(text).offsets
        spans = token_spans_to_text(text, offsets, found, labels=self.tokenizer.labels)
        return score_spans(spans, self._gold[row])


def _drop_empty(examples: Sequence[Example]) -> list[Example]:
    """Leave out empty texts: there is nothing to tag."""
    return [example for example in examples if example.source]


def predict_tags(
    network: Tagger,
    examples: Sequence[Example],
    tokenizer: TaggerTokenizer,
    *,
    compute: ComputeDevice,
    batching: BatchConfig,
) -> Predictions:
    """Annotate every example, and compare with the references."""
    rows = [row for row, example in enumerate(examples) if example.source]
    encodings = tokenizer.encode([examples[row] for row in rows])
    outputs = [example.source for example in examples]
    network.to(compute.device).eval()
    with progress_bar("predicting", total=len(rows)) as advance:
        for places in longest_first(encodings, batching):
            batch = collate_tags(places, encodings).to(compute.device)
            with compute.autocast():
                found = network.spans(batch)
            for place, (spans, _) in zip(places, found, strict=True):
                text = examples[rows[place]].source
                offsets = tokenizer.tokenize(text).offsets
                outputs[rows[place]] = render(
                    text, token_spans_to_text(text, offsets, spans, labels=tokenizer.labels)
                )
            advance(len(places))
    predictions = [
        Prediction(example.row, example.source, example.reference, output)
        for example, output in zip(examples, outputs, strict=True)
    ]
    exact = Ratio(sum(one.is_exact for one in predictions), len(predictions))
    return Predictions(predictions, Accuracy(exact=exact))

"""Tagger training objective: negative log-likelihood of the tags, scored by spans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from annoseq.errors import DatasetError
from annoseq.evaluation.span_matching import SpanScore, score_spans
from annoseq.tokenization.batching import collate_tags
from annoseq.tokenization.bioes import token_spans_to_text
from annoseq.tokenization.tagger_tokenizer import TaggerEncoding
from annoseq.training.losses import Loss
from annoseq.training.objective import Objective

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.data.examples import Example
    from annoseq.models.tagger import Tagger
    from annoseq.tokenization.batching import Batch
    from annoseq.tokenization.bioes import TokenSpan
    from annoseq.tokenization.dataset import Dataset
    from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer


class TaggerObjective(Objective[TaggerEncoding]):
    """A tagger and the negative log-likelihood of its tags, averaged over tokens.

    The score compares spans with those of the validation examples by offsets and label; labels
    that the training examples lack count as well.

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
        """Collate the examples at `rows` into a batch."""
        return collate_tags(rows, examples)

    def positions(self, batch: Batch) -> int:
        """Return the number of tokens."""
        return int(batch.source_lengths.sum())

    def forward(self, batch: Batch, *, forcing: float = 1.0) -> Loss:
        """Return the loss of a batch; nothing is fed to a tagger."""
        return Loss(self.network.loss(batch).sum(), self.positions(batch))

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

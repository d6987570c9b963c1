"""How a tagger learns: the likelihood of the tags, and the spans that it finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from annoseq.data.markup import render
from annoseq.data.pairs import align_pairs
from annoseq.errors import DatasetError
from annoseq.evaluation.span_matching import SpanScore, score_spans
from annoseq.evaluation.token_accuracy import Accuracy, Ratio
from annoseq.inference.predictor import Prediction, Predictions
from annoseq.progress import progress_bar
from annoseq.tokenization.batching import collate_tags, longest_first
from annoseq.tokenization.bioes import token_spans_to_text
from annoseq.tokenization.linearize import render_tightened
from annoseq.tokenization.pretokenizer import tighten
from annoseq.tokenization.tagger_tokenizer import TaggerEncoding
from annoseq.training.losses import Loss
from annoseq.training.objective import Objective

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.config import BatchConfig
    from annoseq.data.pairs import Pair
    from annoseq.devices import Compute
    from annoseq.models.tagger import Tagger
    from annoseq.tokenization.batching import Batch
    from annoseq.tokenization.bioes import TokenSpan
    from annoseq.tokenization.dataset import Dataset
    from annoseq.tokenization.encoded_rows import Part
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

    def __init__(self, network: Tagger, dataset: Dataset, codec: TaggerTokenizer) -> None:
        super().__init__()
        self.network = network
        self.codec = codec
        train, valid = map(_filled, (dataset.train.pairs, dataset.valid.pairs))
        if not (train and valid):
            part = "validation" if train else "training"
            raise DatasetError(f"the {part} rows are empty texts. Give pairs with text in them.")
        self.train_rows = codec.encode(train, is_training=True)
        self.valid_rows = codec.encode(valid)
        self._texts = [pair.source for pair in valid]
        self._gold = align_pairs(valid)

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
        offsets = self.codec.cut(text).offsets
        gold = [tighten(text, span) for span in self._gold[row]]
        return score_spans(
            token_spans_to_text(text, offsets, found, labels=self.codec.labels), gold
        )


def _filled(pairs: Sequence[Pair]) -> list[Pair]:
    """Leave out empty texts: there is nothing to tag."""
    return [pair for pair in pairs if pair.source]


def predict_tags(
    network: Tagger, part: Part, codec: TaggerTokenizer, *, compute: Compute, batching: BatchConfig
) -> Predictions:
    """Annotate every row of a part, and compare with the targets."""
    rows = [row for row, pair in enumerate(part.pairs) if pair.source]
    examples = codec.encode([part.pairs[row] for row in rows])
    outputs = [pair.source for pair in part.pairs]
    network.to(compute.device).eval()
    with progress_bar("predicting", total=len(rows)) as advance:
        for places in longest_first(examples, batching):
            batch = collate_tags(places, examples).to(compute.device)
            with compute.autocast():
                found = network.spans(batch)
            for place, (spans, _) in zip(places, found, strict=True):
                text = part.pairs[rows[place]].source
                cut = codec.cut(text)
                outputs[rows[place]] = render(
                    text, token_spans_to_text(text, cut.offsets, spans, labels=codec.labels)
                )
            advance(len(places))
    gold = align_pairs(part.pairs)
    predictions = [
        Prediction(pair.row, pair.source, render_tightened(pair.source, spans), output)
        for pair, spans, output in zip(part.pairs, gold, outputs, strict=True)
    ]
    exact = Ratio(sum(one.is_exact for one in predictions), len(predictions))
    return Predictions(predictions, Accuracy(exact=exact))

"""How a network that writes token by token learns: the loss of its tokens, what it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from annoseq.evaluation.accuracy import Accuracy, measure
from annoseq.evaluation.losses import Loss, output_loss
from annoseq.text.batches import collate
from annoseq.text.codec import Example
from annoseq.text.vocabulary import PAD
from annoseq.training.compilation import compiled
from annoseq.training.forcing import run_freely, tokens_to_feed
from annoseq.training.objective import Objective

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.config import TrainingConfig
    from annoseq.models.network import AnyNetwork
    from annoseq.text.batches import Batch


class WritingObjective(Objective[Example]):
    """A network and the loss that it is trained by.

    With `compile`, reading the sources and running over a whole target are compiled. The loss is
    not: its chunks are three matrix products each, and the compiler would unroll their loop.
    """

    criterion = "token_accuracy"
    score = Accuracy

    def __init__(
        self,
        network: AnyNetwork,
        config: TrainingConfig,
        *,
        train_rows: Sequence[Example] = (),
        valid_rows: Sequence[Example] = (),
    ) -> None:
        super().__init__()
        self.network = network
        self.train_rows = train_rows
        self.valid_rows = valid_rows
        self._start = compiled(network.start) if config.compile else network.start
        self._decode = compiled(network.decode) if config.compile else network.decode
        self._counts_padding = config.loss == "padded"
        self._label_smoothing = config.label_smoothing

    def collate(self, rows: Sequence[int], examples: Sequence[Example]) -> Batch:
        """Make a batch of the examples at `rows`."""
        return collate(rows, examples)

    def positions(self, batch: Batch) -> int:
        """Count the tokens to learn, with the padded loss also the padding."""
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
        return loss, measure(output, batch.target)

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

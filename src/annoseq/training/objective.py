"""What a learner asks of a kind of network: to make batches, to learn from one, to be scored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.tokenization.batching import Batch, EncodedPair
    from annoseq.training.losses import Loss

RowT = TypeVar("RowT", bound="EncodedPair")


class ValidationScore(Protocol):
    """Counts of a part of the rows, so that parts can be added."""

    def __add__(self, other: Self, /) -> Self:
        """Add up."""
        ...

    def values(self) -> dict[str, float]:
        """Return the scores by name."""
        ...

    def counts(self) -> list[int]:
        """Return all counts in a row."""
        ...

    @classmethod
    def of_counts(cls, counts: Sequence[int]) -> Self:
        """Take back what `counts` returned."""
        ...


class Objective(nn.Module, ABC, Generic[RowT]):
    """A network and the loss that it is trained by.

    `train_rows` and `valid_rows` are the rows of the dataset as the network reads them; `criterion`
    names the value of a `score` that tells which epoch was best. It is a module, because that is
    what several processes call to train together.
    """

    network: Any
    criterion: str
    score: type[ValidationScore]
    train_rows: Sequence[RowT]
    valid_rows: Sequence[RowT]

    @abstractmethod
    def collate(self, rows: Sequence[int], examples: Sequence[RowT]) -> Batch:
        """Make a batch of the examples at `rows`."""

    @abstractmethod
    def positions(self, batch: Batch) -> int:
        """Count the positions of a batch over which its loss is averaged."""

    @abstractmethod
    def forward(self, batch: Batch, *, forcing: float) -> Loss:
        """Return the loss of a batch whose target tokens are fed with the probability `forcing`."""

    @abstractmethod
    def measure(self, batch: Batch) -> tuple[Loss, ValidationScore]:
        """Return the loss and the score of a batch of `valid_rows`, without gradients."""

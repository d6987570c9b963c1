"""Interface of training objectives: collation, loss and validation score of a kind of network."""

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

"""What all networks that write token by token share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic

from torch import Tensor, nn

from annoseq.models.stepper import State

if TYPE_CHECKING:
    from annoseq.models.embeddings import SourceEmbedding, TargetEmbedding
    from annoseq.text.batches import Batch


class Network(nn.Module, ABC, Generic[State]):
    """A `Stepper` that can also run over whole targets at once, which is how it learns."""

    source: SourceEmbedding
    target: TargetEmbedding

    @abstractmethod
    def start(self, batch: Batch) -> State:
        """Read the sources (B, S), each to its own end."""

    @abstractmethod
    def step(self, state: State, last: Tensor) -> State:
        """Feed the token `last` (B,) of every row to the decoder."""

    @abstractmethod
    def top(self, state: State) -> Tensor:
        """Return what the decoder put out (B, E) for the last token fed."""

    @abstractmethod
    def select(self, state: State, rows: Tensor) -> State:
        """Take the rows (B',) of a state."""

    @abstractmethod
    def decode(self, state: State, fed: Tensor) -> Tensor:
        """Feed whole rows of tokens (B, T) to a decoder at its start; return its tops (B, T, E).

        The same as `step` for one column after the other, in one call.
        """

    def scores(self, state: State, columns: Tensor | None = None) -> Tensor:
        """Return the log-probabilities (B, V) of the next token, or the logits of `columns`."""
        return self.target.scores(self.top(state), columns)


AnyNetwork = Network[Any]
"""A network whose state is nobody's business but its own."""

"""Interfaces between networks and decoding: steppers and sequence-to-sequence networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from torch import Tensor, nn

if TYPE_CHECKING:
    from annoseq.models.embeddings import SourceEmbedding, TargetEmbedding
    from annoseq.tokenization.batching import Batch


State = TypeVar("State")


class Stepper(Protocol[State]):
    """Autoregressive decoder: encodes a batch, then takes one token a step and scores the next.

    A state is immutable. Decoding is written against this interface for all networks.
    """

    def start(self, batch: Batch) -> State:
        """Encode the sources; no token has been decoded yet."""
        ...

    def step(self, state: State, last: Tensor) -> State:
        """Append the token `last` (B,) of every row; the first is the begin symbol."""
        ...

    def scores(self, state: State, columns: Tensor | None = None) -> Tensor:
        """Return the log-probabilities (B, V) of the next token.

        With `columns` (B, K), return only the scores (B, K) of these tokens: log-probabilities plus
        a constant for each row, so that the other tokens need not be scored.
        """
        ...

    def select(self, state: State, rows: Tensor) -> State:
        """Select the rows (B',) of a state, in any order and with repetitions."""
        ...


class Seq2SeqNetwork(nn.Module, ABC, Generic[State]):
    """Encoder-decoder network: a `Stepper` that also decodes whole targets at once for training."""

    source: SourceEmbedding
    target: TargetEmbedding

    @abstractmethod
    def start(self, batch: Batch) -> State:
        """Encode the sources (B, S), each up to its own length."""

    @abstractmethod
    def step(self, state: State, last: Tensor) -> State:
        """Feed the token `last` (B,) of every row to the decoder."""

    @abstractmethod
    def decoder_output(self, state: State) -> Tensor:
        """Return the output (B, E) of the decoder for the last token fed."""

    @abstractmethod
    def select(self, state: State, rows: Tensor) -> State:
        """Select the rows (B',) of a state."""

    @abstractmethod
    def decode(self, state: State, fed: Tensor) -> Tensor:
        """Feed targets (B, T) to the decoder in its initial state; return its outputs (B, T, E).

        Equivalent to `step` and `decoder_output` for every column.
        """

    def scores(self, state: State, columns: Tensor | None = None) -> Tensor:
        """Return the log-probabilities (B, V) of the next token, or the logits of `columns`."""
        return self.target.scores(self.decoder_output(state), columns)


AnySeq2SeqNetwork = Seq2SeqNetwork[Any]
"""A network for callers that do not look into its state."""

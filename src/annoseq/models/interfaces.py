"""Interfaces of models: seq2seq steppers and span taggers.

Decoding is written once against it and never asks which network it has.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from torch import Tensor, nn

if TYPE_CHECKING:
    from annoseq.models.embeddings import SourceEmbedding, TargetEmbedding
    from annoseq.tokenization.batching import Batch
    from annoseq.tokenization.bioes import ScoredTokenSpans


class SpanPredictions(NamedTuple):
    """Spans `places` (N, 4), row, first and last token, label; their log-probabilities (N,).

    `total` (B,) is the log-probability of all the likeliest spans of a row together.
    """

    places: Tensor
    scores: Tensor
    total: Tensor


class Labeller(Protocol):
    """Reads a batch and returns what it finds, well nested by construction."""

    def spans(self, batch: Batch) -> list[ScoredTokenSpans]:
        """Return the spans of every row (B,), and how likely they are together."""
        ...


State = TypeVar("State")


class Stepper(Protocol[State]):
    """Reads a batch, then takes one token a step and scores the next."""

    def start(self, batch: Batch) -> State:
        """Read the sources. No token has been written yet."""
        ...

    def step(self, state: State, last: Tensor) -> State:
        """Write the token `last` (B,) of every row; the first is the begin symbol."""
        ...

    def scores(self, state: State, columns: Tensor | None = None) -> Tensor:
        """Return the log-probabilities (B, V) of the next token.

        With `columns` (B, K), only the scores (B, K) of these tokens: their log-probabilities
        plus a number that is the same for a whole row, so that whoever chooses among them need
        not have the others computed.
        """
        ...

    def select(self, state: State, rows: Tensor) -> State:
        """Take the rows (B',) of a state, in any order, any of them more than once."""
        ...


class Seq2SeqNetwork(nn.Module, ABC, Generic[State]):
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


AnySeq2SeqNetwork = Seq2SeqNetwork[Any]
"""A network whose state is nobody's business but its own."""

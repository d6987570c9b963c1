"""The contract of a model that writes token by token.

Decoding is written once against it and never asks which network it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

    from annoseq.text.batches import Batch

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

"""The contract of a model that finds the spans of a text in one pass, without writing it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from annoseq.text.batches import Batch
    from annoseq.text.token_span import Marked


class Labeller(Protocol):
    """Reads a batch and returns what it finds, well nested by construction."""

    def spans(self, batch: Batch) -> list[Marked]:
        """Return the spans of every row (B,), and how likely they are together."""
        ...

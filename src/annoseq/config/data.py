"""The pairs: where they stand, how they are split, and what their tokens are."""

from __future__ import annotations

from shlex import quote
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt

from annoseq.config.section import ConfigSection, Fraction

SOURCE_COLUMN, TARGET_COLUMN = "orig_text", "annotated_text"
DOCUMENT_COLUMN, OFFSET_COLUMN = "doc_id", "start"


class ColumnsConfig(ConfigSection):
    """Where the pairs stand in their table."""

    source: str = SOURCE_COLUMN
    """Column of the text that the model reads."""
    target: str = TARGET_COLUMN
    """Column of the text that the model learns to write."""
    document: str | None = None
    """Column of the document that a row belongs to; by default doc_id where there is one."""
    offset: str | None = None
    """Column of the row's offset in its document; by default start where there is one."""

    def options(self) -> str:
        """Return what was given as it is given on the command line, each after a space."""
        given = self.model_dump(exclude_unset=True)
        return "".join(f" --{name} {quote(value)}" for name, value in given.items() if value)


class DataConfig(ConfigSection):
    """How pairs become training and validation data."""

    task: Literal["auto", "annotate", "translate"] = "auto"
    """annotate (target = source + tags), translate (anything else), or auto: look at the pairs."""
    valid_share: Fraction = 0.2
    """Share of the pairs kept for validation, where no --valid table is given."""
    split_by: Literal["auto", "row", "document"] = "auto"
    """Split rows or whole documents; auto keeps documents whole where the table has them."""
    split_seed: int = 42
    """Seed of the split. The same seed gives the same split on every machine."""
    tokens: Literal["word", "bpe"] = "word"
    """word (rare words are unknown), or bpe (words in pieces, which spell any word)."""
    max_vocab: Annotated[int, Field(ge=8)] = 60_000
    """Largest size of each of the two vocabularies of words, special symbols counted."""
    bpe_vocab: Annotated[int, Field(ge=512)] = 4_000
    """Size of the one vocabulary of pieces, where the pairs have as many; both sides share it."""
    min_frequency: PositiveInt = 2
    """A word seen fewer times than this in training is unknown to the model; with pieces, two that
    are seen side by side fewer times than this are not merged."""


class BatchConfig(ConfigSection):
    """How rows are put together."""

    batch_size: PositiveInt = 64
    """Most rows in a batch; if not given, a tagger learns with 32 and annotates with 256."""
    batch_tokens: PositiveInt = 4_096
    """Most tokens in a batch, padding counted: rows times the longest row. It bounds memory; a row
    longer than this is a batch of its own."""

    def resolve_auto(self, *, model: str) -> Self:
        """Put what a model usually learns with for what was not given."""
        if model == "tagger" and "batch_size" not in self.model_fields_set:
            return self.model_copy(update={"batch_size": _TAGGER_ROWS})
        return self


_TAGGER_ROWS = 32

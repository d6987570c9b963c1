"""Settings of data: columns of a table, the train/validation split, tokenization and batches."""

from __future__ import annotations

from shlex import quote
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt

from annoseq.config.section import ConfigSection, Fraction

SOURCE_COLUMN, TARGET_COLUMN = "orig_text", "annotated_text"
DOCUMENT_COLUMN, OFFSET_COLUMN = "doc_id", "start"


class ColumnsConfig(ConfigSection):
    """Column names of a table of pairs, and its delimiter and encoding."""

    source: str = SOURCE_COLUMN
    """Column of the source text, the input of the model."""
    target: str = TARGET_COLUMN
    """Column of the target text, which the model learns to produce."""
    document: str | None = None
    """Column of the document ID of a row; by default doc_id, if the table has it."""
    offset: str | None = None
    """Column of the character offset of a row in its document; by default start, if the table has
    it."""
    delimiter: str | None = None
    """Delimiter of a CSV table, such as ';' or tab; by default the comma, unless the header leaves
    no doubt."""
    encoding: str | None = None
    """Encoding of a table of text, such as cp1252 (Excel in Western Europe); by default UTF-8, or
    UTF-16 with a byte order mark."""

    def options(self) -> str:
        """Return the explicit settings as command-line options, each preceded by a space."""
        explicit = self.model_dump(exclude_unset=True)
        return "".join(f" --{name} {quote(value)}" for name, value in explicit.items() if value)


class DataConfig(ConfigSection):
    """Task, split and tokenization of a dataset."""

    task: Literal["auto", "annotate", "translate"] = "auto"
    """annotate (target = source + tags), translate (any other target), or auto: detected from the
    pairs."""
    normalize: bool = False
    """Accept targets whose white space, line ends, Unicode form, quotes or dashes differ from those
    of the source, which stays as it is."""
    valid_share: Fraction = 0.2
    """Fraction of the pairs held out for validation, if no --valid table is given."""
    split_by: Literal["auto", "row", "document"] = "auto"
    """Split by row or by document; auto splits by document if the table has document IDs."""
    split_seed: int = 42
    """Random seed of the split, which is the same on every machine."""
    tokens: Literal["word", "bpe"] = "word"
    """Tokens of the vocabularies: word (rare words are unknown), or bpe (subwords; no word is
    unknown)."""
    max_vocab: Annotated[int, Field(ge=8)] = 60_000
    """Maximum size of the source and of the target vocabulary of words, special symbols
    included."""
    bpe_vocab: Annotated[int, Field(ge=512)] = 4_000
    """Maximum size of the subword vocabulary that source and target share."""
    min_frequency: PositiveInt = 2
    """Minimum frequency in the training rows of a word in the vocabulary, or of a merge of
    subwords."""


class BatchConfig(ConfigSection):
    """Sizes of batches."""

    batch_size: PositiveInt = 64
    """Maximum number of rows in a batch; unless given, a tagger is trained with 32 and applied with
    256."""
    batch_tokens: PositiveInt = 4_096
    """Maximum number of tokens in a batch, padding included (rows x longest row), which bounds
    memory; a longer row is a batch of its own."""

    def resolve_auto(self, *, model: str) -> Self:
        """Replace settings that were not given by the defaults of a model."""
        if model == "tagger" and "batch_size" not in self.model_fields_set:
            return self.model_copy(update={"batch_size": _TAGGER_BATCH_SIZE})
        return self


_TAGGER_BATCH_SIZE = 32

"""One part of a dataset, the training or the validation rows, in memory and as a Parquet file."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from annoseq.data.pairs import Pair, fingerprint
from annoseq.tokenization.lazy import Later
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding, Seq2SeqTokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_PAIR_COLUMNS = ("source", "target", "row", "document", "start")


class Encoding(NamedTuple):
    """What a codec makes of pairs, in their order: ids, and the texts that a perfect model writes.

    `misaligned` counts spans that end within a token, which the model sees widened to all of it.
    """

    examples: Sequence[Seq2SeqEncoding]
    references: Sequence[str]
    misaligned: int


@dataclass(frozen=True)
class Part:
    """Pairs, and what the codec of the dataset makes of them when that is asked for.

    A network that writes asks for it; a tagger reads the pairs in a way of its own.
    """

    pairs: Sequence[Pair]
    encoding: Later[Encoding] = field(compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.pairs)

    @classmethod
    def encode(cls, pairs: Sequence[Pair], tokenizer: Seq2SeqTokenizer) -> Part:
        """Turn pairs into ids.

        Raises:
            PairsError: in the annotate task, rows whose target is not their source plus tags.
        """
        return cls(list(pairs), Later.known(_encode(pairs, Later.known(tokenizer))))

    @classmethod
    def encode_later(cls, pairs: Sequence[Pair], tokenizer: Later[Seq2SeqTokenizer]) -> Part:
        """Turn pairs into ids when these are asked for."""
        return cls(list(pairs), Later(partial(_encode, pairs, tokenizer)))

    @property
    def examples(self) -> Sequence[Seq2SeqEncoding]:
        """The ids of the pairs."""
        return self.encoding.value.examples

    @property
    def references(self) -> Sequence[str]:
        """The texts that a perfect model writes."""
        return self.encoding.value.references

    @property
    def misaligned(self) -> int:
        """How many spans end within a token."""
        return self.encoding.value.misaligned

    def fingerprint(self) -> str:
        """Return a checksum of the pairs."""
        return fingerprint(self.pairs)

    def write(self, path: Path) -> None:
        """Write the rows as Parquet."""
        import pyarrow as pa
        from pyarrow import parquet

        ids = pa.list_(pa.int32())
        table = pa.table(
            {
                "row": pa.array([pair.row for pair in self.pairs], pa.int64()),
                "document": pa.array([pair.document for pair in self.pairs], pa.string()),
                "start": pa.array([pair.start for pair in self.pairs], pa.int64()),
                "source": pa.array([pair.source for pair in self.pairs], pa.string()),
                "target": pa.array([pair.target for pair in self.pairs], pa.string()),
                "reference": pa.array(self.references, pa.string()),
                "source_ids": pa.array([example.source for example in self.examples], ids),
                "target_ids": pa.array([example.target for example in self.examples], ids),
            },
            metadata={"misfits": str(self.misaligned)},
        )
        parquet.write_table(table, path, write_page_checksum=True)

    @classmethod
    def read(cls, path: Path) -> Part:
        """Read what `write` wrote.

        Raises:
            OSError: the file cannot be read.
            ValueError: the file is not what `write` wrote.
        """
        from pyarrow import ArrowException, parquet

        with path.open("rb") as stream:
            try:
                # Arrow's threads, if still at work when the program ends, abort it.
                table = parquet.read_table(
                    stream, page_checksum_verification=True, use_threads=False, pre_buffer=False
                )
                columns = table.to_pydict()
                pairs = [
                    Pair(source, target, row, document, start)
                    for source, target, row, document, start in zip(
                        *(columns[name] for name in _PAIR_COLUMNS), strict=True
                    )
                ]
                ids = zip(columns["source_ids"], columns["target_ids"], strict=True)
                examples = [Seq2SeqEncoding(*row) for row in ids]
                misaligned = int(table.schema.metadata[b"misfits"])
                encoding = Encoding(examples, columns["reference"], misaligned)
                return cls(pairs, Later.known(encoding))
            except (ArrowException, OSError, KeyError, TypeError) as error:
                raise ValueError(f"{path.name} is not a part of a prepared dataset") from error


def _encode(pairs: Sequence[Pair], tokenizer: Later[Seq2SeqTokenizer]) -> Encoding:
    examples: list[Seq2SeqEncoding] = []
    references: list[str] = []
    misaligned = 0
    for pair, row in zip(pairs, tokenizer.value.tokenize(pairs), strict=True):
        examples.append(tokenizer.value.encode(row))
        # The same string twice is kept once.
        references.append(pair.target if row.reference == pair.target else row.reference)
        misaligned += row.misaligned
    return Encoding(examples, references, misaligned)

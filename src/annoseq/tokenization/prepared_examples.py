"""Parquet files of prepared examples: texts, spans and the ids of sequence-to-sequence models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from annoseq.data.examples import Example
from annoseq.data.markup import Span
from annoseq.tokenization.seq2seq_tokenizer import EncodedExamples, Seq2SeqEncoding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


_LEFT_OUT = ("dropped", "blank")
"""Counts of spans that are left out, which older files may lack."""


def write_examples(path: Path, examples: Sequence[Example], encoded: EncodedExamples) -> None:
    """Write examples, their spans and their ids as Parquet."""
    import pyarrow as pa
    from pyarrow import parquet

    numbers, texts = pa.list_(pa.int32()), pa.list_(pa.string())

    def span_column(field: str) -> list[list[Any] | None]:
        return [
            None if row.spans is None else [getattr(span, field) for span in row.spans]
            for row in examples
        ]

    columns = {
        "row": pa.array([example.row for example in examples], pa.int64()),
        "document": pa.array([example.document for example in examples], pa.string()),
        "start": pa.array([example.start for example in examples], pa.int64()),
        "source": pa.array([example.source for example in examples], pa.string()),
        "target": pa.array([example.target for example in examples], pa.string()),
        "span_starts": pa.array(span_column("start"), numbers),
        "span_ends": pa.array(span_column("end"), numbers),
        "span_labels": pa.array(span_column("label"), texts),
        "source_ids": pa.array([encoding.source for encoding in encoded.encodings], numbers),
        "target_ids": pa.array([encoding.target for encoding in encoded.encodings], numbers),
    }
    counts = {name: str(getattr(encoded, name)) for name in ("misaligned", *_LEFT_OUT)}
    table = pa.table(columns, metadata=counts)
    parquet.write_table(table, path, write_page_checksum=True)


def read_examples(path: Path) -> tuple[tuple[Example, ...], EncodedExamples]:
    """Read what `write_examples` wrote.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not what `write_examples` wrote.
    """
    from pyarrow import ArrowException, parquet

    with path.open("rb") as stream:
        try:
            # Arrow's threads, if still at work when the program ends, abort it.
            table = parquet.read_table(
                stream, page_checksum_verification=True, use_threads=False, pre_buffer=False
            )
            columns = table.to_pydict()
            counts = table.schema.metadata
            misaligned = int(counts[b"misaligned"])
            left_out = (int(counts.get(name.encode(), 0)) for name in _LEFT_OUT)
            ids = zip(columns["source_ids"], columns["target_ids"], strict=True)
            encodings = [Seq2SeqEncoding(*row) for row in ids]
            return tuple(_to_examples(columns)), EncodedExamples(encodings, misaligned, *left_out)
        except (ArrowException, OSError, KeyError, TypeError) as error:
            raise ValueError(f"{path.name} is not a part of a prepared dataset") from error


def _to_examples(columns: dict[str, list[Any]]) -> Iterator[Example]:
    span_columns = (columns[name] for name in ("span_starts", "span_ends", "span_labels"))
    spans = (
        None if starts is None else tuple(map(Span, starts, ends, labels))
        for starts, ends, labels in zip(*span_columns, strict=True)
    )
    names = ("row", "document", "start")
    return map(
        Example, columns["source"], columns["target"], spans, *(columns[name] for name in names)
    )

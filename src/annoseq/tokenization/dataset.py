"""Dataset: training and validation examples, and their encodings for sequence-to-sequence models.

A prepared dataset is a folder of JSON and Parquet, nothing that can run code:

    data/
    ├── config.json      settings, task, fingerprint of the pairs
    ├── source.json      vocabularies, as the tokenizers library writes them
    ├── target.json
    ├── labels.json
    ├── train.parquet    the examples with their spans, and their ids
    └── valid.parquet
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from annoseq._version import __version__
from annoseq.atomic_io import atomic_folder
from annoseq.config import BatchConfig, ColumnsConfig, DataConfig, Task
from annoseq.data.examples import Example, parse_pairs
from annoseq.data.markup import Span
from annoseq.data.splits import split_rows
from annoseq.data.tables import describe_folder
from annoseq.errors import (
    DatasetError,
    OptionError,
    PairsError,
    describe_older_format,
    describe_validation_error,
)
from annoseq.tokenization.batching import Batch, collate, show_examples, shuffled_batches
from annoseq.tokenization.length_stats import LengthStats
from annoseq.tokenization.seq2seq_tokenizer import (
    EncodedExamples,
    Seq2SeqEncoding,
    Seq2SeqTokenizer,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from annoseq.data.examples import ParsedPairs
    from annoseq.data.pairs import Pairs

FORMAT: Literal[2] = 2
"""Raised when a folder written by an older version can no longer be read."""


class _DatasetFile(BaseModel):
    """Contents of `config.json` of a prepared dataset."""

    model_config = ConfigDict(extra="forbid")

    format: Literal[2]
    annoseq: str
    task: Task
    length_stats: LengthStats
    fingerprint: str
    skipped: tuple[int, ...]
    data: DataConfig
    columns: ColumnsConfig = ColumnsConfig()


class PreparedEncodings(NamedTuple):
    """A given tokenizer, and the encodings of prepared data."""

    tokenizer: Seq2SeqTokenizer
    train: EncodedExamples | None = None
    valid: EncodedExamples | None = None


@dataclass(frozen=True)
class Dataset:
    """Training and validation examples.

    The tokenizer of sequence-to-sequence models and their encodings are made on first use: a
    tagger needs neither. `fingerprint` is that of the pairs before the split; `skipped` are the
    numbers of the rows that could not be used, those of a table of validation pairs last,
    `blank_rows` is the number of rows without text, and `columns` are those of the pairs' table.
    """

    train: Sequence[Example]
    valid: Sequence[Example]
    task: Task
    config: DataConfig
    fingerprint: str
    skipped: tuple[int, ...] = ()
    blank_rows: int = field(default=0, compare=False, kw_only=True)
    columns: ColumnsConfig = field(default=ColumnsConfig(), compare=False, kw_only=True)
    folder: Path | None = field(default=None, compare=False)
    encoded: PreparedEncodings | None = field(default=None, compare=False, repr=False)

    @classmethod
    def from_pairs(
        cls,
        pairs: Pairs,
        *,
        valid: Pairs | None = None,
        config: DataConfig | None = None,
        tokenizer: Seq2SeqTokenizer | None = None,
        skip_bad: bool = False,
    ) -> Dataset:
        """Parse pairs, and split them.

        `valid` is used instead of a split where it is given. With a `tokenizer` (a trained
        model's) no new vocabularies are built. `skip_bad` leaves out rows that cannot be used.

        Raises:
            PairsError: rows that cannot be used, or too few rows to split.
        """
        config = config or DataConfig()
        task = tokenizer.task if tokenizer else config.task
        parsed = _parse(pairs, task=task, skip_bad=skip_bad, normalize=config.normalize)
        has_tags = any(example.spans for example in parsed.examples)
        if parsed.errors and parsed.task == "annotate" and not has_tags:
            raise PairsError(
                f"{pairs.name}: no row that holds tags can be used. `annoseq check` shows why."
            )
        skipped, blank_rows = parsed.skipped_rows, len(parsed.blank_rows)
        if valid is None:
            train_part, valid_part = _split(parsed.examples, config)
        else:
            parsed_valid = _parse(
                valid, task=parsed.task, skip_bad=skip_bad, normalize=config.normalize
            )
            skipped += parsed_valid.skipped_rows
            blank_rows += len(parsed_valid.blank_rows)
            train_part, valid_part = parsed.examples, parsed_valid.examples
        return cls(
            train=train_part,
            valid=valid_part,
            task=parsed.task,
            config=config,
            fingerprint=pairs.fingerprint(),
            skipped=skipped,
            blank_rows=blank_rows,
            columns=pairs.columns,
            encoded=PreparedEncodings(tokenizer) if tokenizer else None,
        )

    @cached_property
    def tokenizer(self) -> Seq2SeqTokenizer:
        """Tokenizer of the training examples, or that of the model to go on from."""
        if self.encoded is not None:
            return self.encoded.tokenizer
        return Seq2SeqTokenizer.fit(self.train, task=self.task, config=self.config)

    @cached_property
    def encoded_train(self) -> EncodedExamples:
        """Encodings of the training examples, for sequence-to-sequence models."""
        if self.encoded is not None and self.encoded.train is not None:
            return self.encoded.train
        return self.tokenizer.encode_examples(self.train)

    @cached_property
    def encoded_valid(self) -> EncodedExamples:
        """Encodings of the validation examples, for sequence-to-sequence models."""
        if self.encoded is not None and self.encoded.valid is not None:
            return self.encoded.valid
        return self.tokenizer.encode_examples(self.valid)

    def one_batch(self, *, batching: BatchConfig | None = None) -> Batch:
        """Return a training batch: the first of an epoch, with the longest row."""
        encodings = self.encoded_train.encodings
        rows = shuffled_batches(encodings, batching or BatchConfig(), seed="one")[0]
        return collate(rows, encodings)

    def show_batch(self, rows: int = 5, *, console: Console | None = None) -> None:
        """Print some training rows as the model sees them, tokens apart and unknown ones marked.

        Raises:
            OptionError: `rows` is not at least 1.
        """
        if rows < 1:
            raise OptionError(f"{rows} rows were asked for. Ask for 1 or more.")
        encodings = self.encoded_train.encodings
        batches = shuffled_batches(encodings, BatchConfig(batch_size=rows), seed="show")
        examples = [self.train[row] for row in max(reversed(batches), key=len)]
        show_examples(examples, self.tokenizer, console=console)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write a prepared dataset, which `load` and `annoseq train` read.

        Raises:
            OutputError: the folder exists already, or cannot be written.
        """
        config = _DatasetFile(
            format=FORMAT,
            annoseq=__version__,
            task=self.task,
            length_stats=self.tokenizer.length_stats,
            fingerprint=self.fingerprint,
            skipped=self.skipped,
            data=self.config,
            columns=self.columns,
        )
        with atomic_folder(Path(folder), overwrite=overwrite) as new:
            (new / "config.json").write_text(config.model_dump_json(indent=1), encoding="utf-8")
            self.tokenizer.save(new)
            write_examples(new / "train.parquet", self.train, self.encoded_train)
            write_examples(new / "valid.parquet", self.valid, self.encoded_valid)

    @classmethod
    def load(cls, folder: str | Path) -> Dataset:
        """Read a prepared dataset.

        Raises:
            DatasetError: a file is missing or damaged, or another version wrote it; or the folder
                is of another kind.
        """
        folder = Path(folder)
        if folder.is_dir() and not any(folder.glob("*.parquet")):
            raise DatasetError(f"{folder}: {describe_folder(folder)}")
        try:
            content = (folder / "config.json").read_bytes()
            if older := describe_older_format(content, current=FORMAT):
                raise ValueError(older)
            config = _DatasetFile.model_validate_json(content, strict=True)
            tokenizer = Seq2SeqTokenizer.load(
                folder, task=config.task, length_stats=config.length_stats
            )
            train, encoded_train = read_examples(folder / "train.parquet")
            valid, encoded_valid = read_examples(folder / "valid.parquet")
        except ValidationError as error:
            reason = describe_validation_error(error)
            raise DatasetError(
                f"{folder}: config.json is damaged or of another version ({reason}; "
                f"this is annoseq {__version__}). Prepare the data again with `annoseq prepare`."
            ) from error
        except (OSError, ValueError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or str(error)
            name = Path(error.filename).name + ": " if isinstance(error, OSError) else ""
            raise DatasetError(
                f"{folder}: {name}{reason}. Prepare the data again with `annoseq prepare`."
            ) from error
        return cls(
            train,
            valid,
            config.task,
            config.data,
            config.fingerprint,
            config.skipped,
            folder,
            PreparedEncodings(tokenizer, encoded_train, encoded_valid),
            columns=config.columns,
        )


def _parse(
    pairs: Pairs, *, task: Task | Literal["auto"], skip_bad: bool, normalize: bool
) -> ParsedPairs:
    parsed = parse_pairs(pairs, task=task, name=pairs.name, skip_bad=skip_bad, normalize=normalize)
    if parsed.errors and not parsed.examples:
        raise PairsError(
            f"{pairs.name}: none of its {len(pairs)} rows can be used. `annoseq check` shows why."
        )
    if not parsed.examples:
        raise PairsError(f"{pairs.name}: all of its rows are blank. Give it rows with text.")
    return parsed


def _split(
    examples: Sequence[Example], config: DataConfig
) -> tuple[Sequence[Example], Sequence[Example]]:
    train, valid = split_rows(
        examples, share=config.valid_share, by=config.split_by, seed=config.split_seed
    )
    return tuple(examples[row] for row in train), tuple(examples[row] for row in valid)


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
    table = pa.table(columns, metadata={"misaligned": str(encoded.misaligned)})
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
            misaligned = int(table.schema.metadata[b"misaligned"])
            ids = zip(columns["source_ids"], columns["target_ids"], strict=True)
            encodings = [Seq2SeqEncoding(*row) for row in ids]
            return tuple(_to_examples(columns)), EncodedExamples(encodings, misaligned)
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

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

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from annoseq._version import __version__
from annoseq.atomic_io import atomic_folder
from annoseq.config import BatchConfig, ColumnsConfig, DataConfig, ModelName, NetworkConfig, Task
from annoseq.data.examples import Example, parse_pairs
from annoseq.data.folder_files import MEBIBYTE, describe_unsafe_file
from annoseq.data.pairs import Pairs
from annoseq.data.splits import split_rows
from annoseq.data.tables import describe_folder
from annoseq.errors import (
    DatasetError,
    OptionError,
    PairsError,
    count_noun,
    describe_older_format,
    describe_validation_error,
)
from annoseq.output_lock import restore_interrupted
from annoseq.tokenization.batching import Batch, collate, show_examples, shuffled_batches
from annoseq.tokenization.gazetteer import LexiconFeatures
from annoseq.tokenization.length_stats import LengthStats
from annoseq.tokenization.prepared_examples import read_examples, write_examples
from annoseq.tokenization.seq2seq_tokenizer import (
    VOCABULARY_BYTES,
    EncodedExamples,
    Seq2SeqTokenizer,
)
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from annoseq.data.examples import ParsedPairs
    from annoseq.tokenization.batching import EncodedPair

FORMAT: Literal[2] = 2
"""Raised when a folder written by an older version can no longer be read."""
_CONFIG_FILE, _TRAIN_FILE, _VALID_FILE = "config.json", "train.parquet", "valid.parquet"
_MAX_BYTES = {_CONFIG_FILE: 16 * MEBIBYTE, **VOCABULARY_BYTES, _TRAIN_FILE: None, _VALID_FILE: None}
"""Size in bytes that no file but those of the rows exceeds."""


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


@dataclass(frozen=True, repr=False)
class Dataset:
    """Training and validation examples.

    The tokenizer of sequence-to-sequence models and their encodings are made on first use: a
    tagger needs neither. `fingerprint` is that of the pairs before the split; `skipped` are the
    numbers of the rows that could not be used, those of a table of validation pairs last,
    `blank_rows` is the number of rows without text, and `columns` are those of the pairs' table.
    `fold_of` are all training rows where `train` is a part of them: labels and lengths are theirs.
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
    encoded: PreparedEncodings | None = field(default=None, compare=False)
    fold_of: Sequence[Example] | None = field(default=None, compare=False, kw_only=True)

    def __repr__(self) -> str:  # without the texts, which are private
        valid = count_noun(len(self.valid), "validation row")
        return f"<Dataset: {self.task}, {len(self.train):,} training and {valid}>"

    def _repr_html_(self) -> str:
        """Render the numbers of rows and of the spans of each label as an HTML table."""
        parts = {"training": self.train, "validation": self.valid}
        counts = {
            part: Counter(span.label for row in rows for span in row.spans or ())
            for part, rows in parts.items()
        }
        lines = {"rows": [len(rows) for rows in parts.values()]}
        lines |= {
            label: [counts[part][label] for part in parts]
            for label in sorted({label for labels in counts.values() for label in labels})
        }
        cells = "".join(
            f"<tr><th>{escape(name)}</th>{''.join(f'<td>{count:,}</td>' for count in row)}</tr>"
            for name, row in lines.items()
        )
        heads = "".join(f"<th>{part}</th>" for part in ("", *parts))
        return (
            f"<table><caption>{escape(repr(self))}</caption><thead><tr>{heads}</tr></thead>"
            f"<tbody>{cells}</tbody></table>"
        )

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
        if not isinstance(pairs, Pairs):
            raise OptionError(
                f"found a {type(pairs).__name__} where pairs were expected. Give what `read_pairs` "
                "or `Pairs.from_frame` returns, or Pairs(pairs, name=...)."
            )
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

    def show_batch(
        self, rows: int = 5, *, model: ModelName = "auto", console: Console | None = None
    ) -> None:
        """Print some training rows as a model sees them, tokens apart.

        A tagger's tokens have their BIOES tags; of a sequence-to-sequence model, tokens that the
        vocabulary lacks are marked. `auto` is the tagger, and attention to translate.

        Raises:
            OptionError: `rows` is not at least 1, or the tagger is chosen to translate.
        """
        if rows < 1:
            raise OptionError(f"asked for {count_noun(rows, 'row')}. Ask for 1 or more.")
        tokenizer = fit_tokenizer(self, model)
        encodings: Sequence[EncodedPair]
        if isinstance(tokenizer, TaggerTokenizer):
            encodings = tokenizer.encode(self.train)
        else:
            encodings = self.encoded_train.encodings
        batches = shuffled_batches(encodings, BatchConfig(batch_size=rows), seed="show")
        examples = [self.train[row] for row in max(reversed(batches), key=len)]
        show_examples(examples, tokenizer, console=console)

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
            (new / _CONFIG_FILE).write_text(config.model_dump_json(indent=1), encoding="utf-8")
            self.tokenizer.save(new)
            write_examples(new / _TRAIN_FILE, self.train, self.encoded_train)
            write_examples(new / _VALID_FILE, self.valid, self.encoded_valid)

    @classmethod
    def load(cls, folder: str | Path) -> Dataset:
        """Read a prepared dataset.

        Raises:
            DatasetError: a file is missing or damaged, or another version wrote it; or the folder
                is of another kind.
        """
        folder = Path(folder)
        restore_interrupted(folder)
        if folder.is_dir() and not any(folder.glob("*.parquet")):
            raise DatasetError(f"{folder}: {describe_folder(folder)}")
        try:
            if problem := describe_unsafe_file(folder, _MAX_BYTES):
                raise ValueError(problem)
            content = (folder / _CONFIG_FILE).read_bytes()
            if older := describe_older_format(content, current=FORMAT):
                raise ValueError(older)
            config = _DatasetFile.model_validate_json(content, strict=True)
            tokenizer = Seq2SeqTokenizer.load(
                folder, task=config.task, length_stats=config.length_stats
            )
            train, encoded_train = read_examples(folder / _TRAIN_FILE)
            valid, encoded_valid = read_examples(folder / _VALID_FILE)
        except ValidationError as error:
            reason = describe_validation_error(error)
            raise DatasetError(
                f"{folder}: {_CONFIG_FILE} is damaged or of another version ({reason}; "
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


def fit_tokenizer(dataset: Dataset, model: ModelName) -> Seq2SeqTokenizer | TaggerTokenizer:
    """Return the tokenizer of a model; `auto` is the tagger, and attention to translate.

    Raises:
        OptionError: the tagger is chosen to translate.
        DatasetError: there are more labels than a tagger takes.
    """
    network = NetworkConfig(model=model).resolve_auto(task=dataset.task)
    if network.model != "tagger":
        return dataset.tokenizer
    return TaggerTokenizer.fit(
        dataset.train, buckets=network.tagger.buckets, lexicon_features=LexiconFeatures()
    )


def _parse(
    pairs: Pairs, *, task: Task | Literal["auto"], skip_bad: bool, normalize: bool
) -> ParsedPairs:
    parsed = parse_pairs(pairs, task=task, name=pairs.name, skip_bad=skip_bad, normalize=normalize)
    if parsed.errors and not parsed.examples:
        raise PairsError(
            f"{pairs.name}: none of its {count_noun(len(pairs), 'row')} can be used. "
            "`annoseq check` shows why."
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

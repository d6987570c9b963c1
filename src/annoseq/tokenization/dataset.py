"""Pairs, split, and in ids where a network asks for them: what a learner learns from.

A prepared dataset is a folder of JSON and Parquet, nothing that can run code:

    data/
    ├── config.json      settings, task, fingerprint of the pairs
    ├── source.json      vocabularies, as the tokenizers library writes them
    ├── target.json
    ├── labels.json
    ├── train.parquet    the pairs and their ids
    └── valid.parquet
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from annoseq._version import __version__
from annoseq.atomic_io import atomic_folder
from annoseq.config import BatchConfig, DataConfig, Task
from annoseq.data.pairs import Pairs, align_pairs, find_unusable, infer_task
from annoseq.data.splits import split_rows
from annoseq.errors import DatasetError, OptionError, PairsError
from annoseq.tokenization.batching import Batch, collate, show_examples, shuffled
from annoseq.tokenization.encoded_rows import Part
from annoseq.tokenization.lazy import Later
from annoseq.tokenization.length_stats import LengthStats
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from annoseq.data.pairs import Pair

FORMAT: Literal[1] = 1
"""Raised when a folder written by an older version can no longer be read."""


class _Config(BaseModel):
    """What `config.json` of a prepared dataset holds."""

    model_config = ConfigDict(extra="forbid")

    format: Literal[1]
    annoseq: str
    task: Task
    length_stats: LengthStats
    fingerprint: str
    skipped: tuple[int, ...]
    data: DataConfig


@dataclass(frozen=True)
class Dataset:
    """Training and validation rows.

    Vocabularies are built, and rows turned into ids, when they are first asked for: a tagger needs
    neither. `fingerprint` is that of the pairs before the split; `skipped` are the numbers of the
    rows that could not be used, those of a table of validation pairs last.
    """

    train: Part
    valid: Part
    task: Task
    vocabularies: Later[Seq2SeqTokenizer] = field(compare=False, repr=False)
    config: DataConfig
    fingerprint: str
    skipped: tuple[int, ...] = ()
    folder: Path | None = field(default=None, compare=False)

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
        """Split pairs.

        `valid` stands in for a split where it is given. With a `tokenizer` (a trained model's) no
        new vocabularies are built. `skip_bad` leaves out rows that cannot be used.

        Raises:
            PairsError: rows that cannot be used, or too few rows to split.
        """
        config = config or DataConfig()
        fingerprint = pairs.fingerprint()
        task = (
            tokenizer.task
            if tokenizer
            else infer_task(pairs)
            if config.task == "auto"
            else config.task
        )
        skipped: list[int] = []
        if skip_bad and task == "annotate":
            pairs, skipped = _without_unusable(pairs)
            if valid is not None:
                valid, skipped_valid = _without_unusable(valid)
                skipped += skipped_valid
        elif task == "annotate":
            for table in (pairs, valid):  # every bad row of a table is named at once
                if table is not None:
                    align_pairs(table, name=table.name)
        train_pairs, valid_pairs = _split(pairs, valid, config)
        fit = partial(Seq2SeqTokenizer.fit, train_pairs, task=task, config=config)
        vocabularies = Later.known(tokenizer) if tokenizer else Later(fit)
        return cls(
            train=Part.encode_later(train_pairs, vocabularies),
            valid=Part.encode_later(valid_pairs, vocabularies),
            task=task,
            vocabularies=vocabularies,
            config=config,
            fingerprint=fingerprint,
            skipped=tuple(skipped),
        )

    @property
    def tokenizer(self) -> Seq2SeqTokenizer:
        """The vocabularies of the training rows, or those of the model to go on from."""
        return self.vocabularies.value

    def one_batch(self, *, batching: BatchConfig | None = None) -> Batch:
        """Return a training batch: the first of an epoch, with the longest row."""
        rows = shuffled(self.train.examples, batching or BatchConfig(), seed="one")[0]
        return collate(rows, self.train.examples)

    def show_batch(self, rows: int = 5, *, console: Console | None = None) -> None:
        """Print some training rows as the model sees them, tokens apart and unknown ones marked.

        Raises:
            OptionError: `rows` is not at least 1.
        """
        if rows < 1:
            raise OptionError(f"{rows} rows were asked for. Ask for 1 or more.")
        batches = shuffled(self.train.examples, BatchConfig(batch_size=rows), seed="show")
        pairs = [self.train.pairs[row] for row in max(reversed(batches), key=len)]
        show_examples(pairs, self.tokenizer, console=console)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write a prepared dataset, which `load` and `annoseq train` read.

        Raises:
            OutputError: the folder exists already, or cannot be written.
        """
        config = _Config(
            format=FORMAT,
            annoseq=__version__,
            task=self.task,
            length_stats=self.tokenizer.length_stats,
            fingerprint=self.fingerprint,
            skipped=self.skipped,
            data=self.config,
        )
        with atomic_folder(Path(folder), overwrite=overwrite) as new:
            (new / "config.json").write_text(config.model_dump_json(indent=1), encoding="utf-8")
            self.tokenizer.save(new)
            self.train.write(new / "train.parquet")
            self.valid.write(new / "valid.parquet")

    @classmethod
    def load(cls, folder: str | Path) -> Dataset:
        """Read a prepared dataset.

        Raises:
            DatasetError: a file is missing or damaged, or another version wrote it.
        """
        folder = Path(folder)
        try:
            content = (folder / "config.json").read_bytes()
            config = _Config.model_validate_json(content, strict=True)
            tokenizer = Seq2SeqTokenizer.load(
                folder, task=config.task, length_stats=config.length_stats
            )
            train, valid = (Part.read(folder / f"{name}.parquet") for name in ("train", "valid"))
        except ValidationError as error:
            fault = error.errors(include_input=False)[0]
            where = ".".join(map(str, fault["loc"])) or "the whole file"
            raise DatasetError(
                f"{folder}: config.json is damaged or of another version ({where}: {fault['msg']}; "
                f"this is annoseq {__version__}). Prepare the data again with `annoseq prepare`."
            ) from error
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            name = Path(error.filename).name + ": " if isinstance(error, OSError) else ""
            raise DatasetError(
                f"{folder}: {name}{reason}. Prepare the data again with `annoseq prepare`."
            ) from error
        return cls(
            train,
            valid,
            config.task,
            Later.known(tokenizer),
            config.data,
            config.fingerprint,
            config.skipped,
            folder,
        )


def _without_unusable(pairs: Pairs) -> tuple[Pairs, list[int]]:
    bad = find_unusable(pairs)
    usable = [pair for pair in pairs if pair.row not in bad]
    if not usable:
        raise PairsError(
            f"{pairs.name}: none of its {len(pairs)} rows can be used. `annoseq check` shows why."
        )
    return Pairs(usable, name=pairs.name), list(bad)


def _split(
    pairs: Pairs, valid: Pairs | None, config: DataConfig
) -> tuple[Sequence[Pair], Sequence[Pair]]:
    if valid is not None:
        return pairs, valid
    parts = split_rows(pairs, share=config.valid_share, by=config.split_by, seed=config.split_seed)
    train, validation = ([pairs[row] for row in part] for part in parts)
    return train, validation

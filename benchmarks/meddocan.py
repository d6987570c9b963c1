"""Encoded rows of MEDDOCAN, Spanish clinical text with annotated personal data.

CC BY 4.0. Marimon et al. 2019, "Automatic De-identification of Medical Texts in Spanish: the
MEDDOCAN Track", IberLEF@SEPLN.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from annoseq.data.pairs import Pairs, read_pairs
from annoseq.errors import OptionError, TableError
from annoseq.tokenization.dataset import Dataset

if TYPE_CHECKING:
    from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "meddocan" / "pairs"


@dataclass(frozen=True, slots=True)
class Rows:
    """Encoded rows up to a maximum length, and the facts that the report lists."""

    train: list[Seq2SeqEncoding]
    dev: list[Seq2SeqEncoding]
    source_size: int
    target_size: int
    facts: dict[str, str]


def read_tables(folder: Path, *, first: int | None = None) -> tuple[Pairs, Pairs]:
    """Read train.csv and dev.csv, or the `first` rows of each.

    Raises:
        TableError: a file is missing or cannot be read.
    """
    for name in ("train.csv", "dev.csv"):
        if not (folder / name).is_file():
            raise TableError(
                f"{folder}: there is no {name}. This benchmark needs MEDDOCAN's train.csv and "
                "dev.csv with the columns orig_text and annotated_text. Name their folder "
                "with --data."
            )
    return read_pairs(folder / "train.csv")[:first], read_pairs(folder / "dev.csv")[:first]


def load_rows(
    folder: Path, *, max_tokens: int, at_least: int = 1, first: int | None = None
) -> Rows:
    """Read train.csv and dev.csv; the vocabularies are those of all rows of train.csv.

    `first` keeps only so many rows of each table; `at_least` so many must be left for training.

    Raises:
        AnnoseqError: the files are missing or cannot be used, or there are too few rows.
    """
    train, dev = read_tables(folder, first=first)
    dataset = Dataset.from_pairs(train, valid=dev)
    parts = [
        [row for row in part.encodings if len(row.source) <= max_tokens]
        for part in (dataset.encoded_train, dataset.encoded_valid)
    ]
    if len(parts[0]) < at_least or not parts[1]:
        raise OptionError(
            f"{len(parts[0])} training and {len(parts[1])} dev rows have up to {max_tokens} "
            f"tokens; {at_least} and 1 are needed. Raise --max-tokens or --rows."
        )
    source_size, target_size = len(dataset.tokenizer.source), len(dataset.tokenizer.target)
    facts = {
        f"{name} rows": f"{len(part):,} of {len(pairs):,}, those of up to {max_tokens} source "
        f"tokens (SHA-256 of all: {pairs.fingerprint()[:12]})"
        for name, part, pairs in (("train", parts[0], train), ("dev", parts[1], dev))
    }
    facts["vocabulary"] = f"{source_size:,} source, {target_size:,} target tokens"
    return Rows(parts[0], parts[1], source_size, target_size, facts)

"""From what a command was given to a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.cli.console import note
from annoseq.errors import OptionError
from annoseq.pairs.pairs import Pairs, read_pairs
from annoseq.text.dataset import Dataset

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.cli.options import Preparing
    from annoseq.config import ColumnsConfig
    from annoseq.pairs.rows import TableFormat
    from annoseq.text.codec import Codec
    from annoseq.text.vectors.filling import Filled


def read(path: Path, columns: ColumnsConfig, *, input_format: TableFormat | None = None) -> Pairs:
    """Read a table of pairs by the options of the command line."""
    return read_pairs(
        path,
        source=columns.source,
        target=columns.target,
        document=columns.document,
        offset=columns.offset,
        format=input_format,
    )


def open_dataset(path: Path, preparing: Preparing, *, codec: Codec | None = None) -> Dataset:
    """Load prepared data, or prepare a table of pairs, and tell what was made of it.

    Raises:
        OptionError: options about preparing were given with data that are prepared already.
    """
    if path.is_dir():
        _refuse_prepared(path, preparing)
        dataset = Dataset.load(path)
    else:
        dataset = Dataset.from_pairs(
            read(path, preparing.columns, input_format=preparing.input_format),
            valid=None if preparing.valid is None else read(preparing.valid, preparing.columns),
            config=preparing.data,
            codec=codec,
            skip_bad=preparing.skip_bad,
        )
    describe(dataset)
    return dataset


def _refuse_prepared(path: Path, preparing: Preparing) -> None:
    given = {*preparing.columns.model_fields_set, *preparing.data.model_fields_set}
    others = ("valid", "input_format", "skip_bad")
    if given := given.union(name for name in others if getattr(preparing, name)):
        option = "--" + min(given).replace("_", "-")
        raise OptionError(
            f"{path} is prepared data, for which {option} was decided by `annoseq prepare`. "
            f"Leave {option} off, or prepare the data again."
        )


def describe_vectors(found: Filled | None) -> None:
    """Print for how many words of the target vocabulary there were vectors."""
    if found is not None:
        note(f"vectors: {found.summary()}")


def describe(dataset: Dataset) -> None:
    """Print the sizes of a dataset, and what it could not take as it was."""
    codec = dataset.codec
    note(
        f"{codec.task}: {len(dataset.train):,} training and {len(dataset.valid):,} validation "
        f"rows; vocabularies of {len(codec.source):,} and {len(codec.target):,} tokens"
        + (f"; {len(codec.labels)} labels" if codec.task == "annotate" else "")
    )
    if dataset.skipped:
        note(f"{len(dataset.skipped):,} rows cannot be used and were left out (--skip-bad)")
    if misfits := dataset.train.misfits + dataset.valid.misfits:
        note(f"{misfits:,} spans end within a token and were widened; `annoseq check` lists them")

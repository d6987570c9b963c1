"""Loading of tables and datasets by the options of a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.cli.output import note
from annoseq.data.pairs import Pairs, stream_pairs
from annoseq.data.streams import source_name
from annoseq.errors import OptionError
from annoseq.tokenization.dataset import Dataset
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from annoseq.cli.options import Preparing
    from annoseq.config import ColumnsConfig, DataConfig, NetworkConfig
    from annoseq.data.pairs import Pair
    from annoseq.data.rows import TableFormat
    from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
    from annoseq.vectors.init_embeddings import InitialEmbeddings
    from annoseq.vectors.lookup import TokenVectors


def read(path: Path, columns: ColumnsConfig, *, input_format: TableFormat | None = None) -> Pairs:
    """Read a table of pairs."""
    return Pairs(stream(path, columns, input_format=input_format), name=source_name(path))


def stream(
    path: Path, columns: ColumnsConfig, *, input_format: TableFormat | None = None
) -> Iterator[Pair]:
    """Read a table of pairs, one pair at a time."""
    return stream_pairs(
        path,
        source=columns.source,
        target=columns.target,
        document=columns.document,
        offset=columns.offset,
        format=input_format,
    )


OF_VOCABULARIES = frozenset({"tokens", "max_vocab", "bpe_vocab", "min_frequency"})
"""Options that a tagger has no use for."""


def open_dataset(
    path: Path, preparing: Preparing, *, tokenizer: Seq2SeqTokenizer | None = None
) -> Dataset:
    """Load prepared data, or split a table of pairs.

    Raises:
        OptionError: options about preparing were given with data that are prepared already.
    """
    if path.is_dir():
        _refuse_prepared(path, preparing)
        return Dataset.load(path)
    return Dataset.from_pairs(
        read(path, preparing.columns, input_format=preparing.input_format),
        valid=None if preparing.valid is None else read(preparing.valid, preparing.columns),
        config=preparing.data,
        tokenizer=tokenizer,
        skip_bad=preparing.skip_bad,
    )


def refuse_vocabularies(data: DataConfig, networks: Iterable[NetworkConfig]) -> None:
    """Raise if an option about vocabularies was given and no network has any.

    Raises:
        OptionError: such an option was given.
    """
    given = sorted(data.model_fields_set & OF_VOCABULARIES)
    if given and all(network.model == "tagger" for network in networks):
        option = "--" + given[0].replace("_", "-")
        raise OptionError(
            f"{option} is for models that write; this one is a tagger and has no vocabulary. "
            f"Leave {option} off, or name another model with --model."
        )


def _refuse_prepared(path: Path, preparing: Preparing) -> None:
    given = {*preparing.columns.model_fields_set, *preparing.data.model_fields_set}
    others = ("valid", "input_format", "skip_bad")
    if given := given.union(name for name in others if getattr(preparing, name)):
        option = "--" + min(given).replace("_", "-")
        raise OptionError(
            f"{path} is prepared data, for which {option} was decided by `annoseq prepare`. "
            f"Leave {option} off, or prepare the data again."
        )


def describe_vectors(found: InitialEmbeddings | TokenVectors | None) -> None:
    """Print for how many words there were vectors: those of the target, or all a tagger reads."""
    if found is not None:
        note(f"vectors: {found.summary()}")


def describe(dataset: Dataset, tokenizer: Seq2SeqTokenizer | TaggerTokenizer | None = None) -> None:
    """Print the sizes of a dataset, and what it could not take as it was.

    Those that depend on what rows are read with are told where `tokenizer` says it.
    """
    rows = f"{len(dataset.train):,} training and {len(dataset.valid):,} validation rows"
    facts = [f"{dataset.task}: {rows}"]
    if isinstance(tokenizer, Seq2SeqTokenizer):
        facts.append(f"vocabularies of {len(tokenizer.source):,} and {len(tokenizer.target):,} tokens")
    if tokenizer is not None and dataset.task == "annotate":
        facts.append(f"{len(tokenizer.labels)} labels")
    note("; ".join(facts))
    if dataset.skipped:
        note(f"{len(dataset.skipped):,} rows cannot be used and were left out (--skip-bad)")
    misaligned = 0
    if isinstance(tokenizer, Seq2SeqTokenizer):
        misaligned = dataset.train.misaligned + dataset.valid.misaligned
    elif tokenizer is not None:
        misaligned = tokenizer.misaligned
    if misaligned:
        note(f"{misaligned:,} spans end within a token and were widened; `annoseq check` lists them")

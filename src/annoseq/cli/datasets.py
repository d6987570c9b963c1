"""`annoseq sample`, `annoseq show-batch` and `annoseq prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from annoseq.atomic_io import check_folder_writable
from annoseq.cli.loading import (
    check_vocabulary_options,
    load_dataset,
    print_dataset_summary,
)
from annoseq.cli.options import DataPath, DatasetOptions, Overwrite, PairsPath, at_least
from annoseq.cli.output import make_console, print_note, print_result
from annoseq.config import BatchConfig, ModelName, NetworkConfig
from annoseq.data.pairs import write_pairs
from annoseq.errors import OptionError, count_noun
from annoseq.output_lock import OutputLock
from annoseq.sample import sample_pairs

if TYPE_CHECKING:
    from annoseq.tokenization.dataset import Dataset
    from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer
    from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer


def sample(
    out: Annotated[Path, Parameter(help="Table to write (.csv, .tsv, .jsonl, .parquet).")],
    /,
    *,
    rows: Annotated[int, Parameter(help="Rows to write.", validator=at_least(1))] = 4_000,
    seed: Annotated[int, Parameter(help="Seed: the same seed gives the same corpus.")] = 42,
    overwrite: Overwrite = False,
) -> None:
    """Write the sample corpus."""
    write_pairs(sample_pairs(rows, seed=seed), out, overwrite=overwrite)
    print_note(f"wrote {count_noun(rows, 'pair')} to {out}; next: annoseq check {out}")


def show_batch(
    pairs: DataPath,
    /,
    *,
    rows: Annotated[int, Parameter(help="Rows to show.", validator=at_least(1))] = 5,
    model: Annotated[
        ModelName,
        Parameter(
            help="Model whose view is shown; auto is the tagger, and attention to translate, as in "
            "training."
        ),
    ] = "auto",
    dataset_options: DatasetOptions = DatasetOptions(),
) -> None:
    """Show rows in tokens, and the shape of a batch."""
    from annoseq.tokenization.dataset import fit_tokenizer

    dataset_options.check_split()
    dataset = load_dataset(pairs, dataset_options)
    network = NetworkConfig(model=model).resolve_auto(task=dataset.task)
    check_vocabulary_options(dataset_options.data, [network])
    tokenizer = fit_tokenizer(dataset, network.model)
    print_dataset_summary(dataset, tokenizer)
    dataset.show_batch(rows, model=network.model, console=make_console())
    print_result(f"the largest batch: {_largest_batch(dataset, tokenizer)} (rows, tokens)")


def _largest_batch(dataset: Dataset, tokenizer: Seq2SeqTokenizer | TaggerTokenizer) -> str:
    """Describe the shape of the batch with the longest row."""
    from annoseq.tokenization.batching import shuffled_batches
    from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer

    if isinstance(tokenizer, TaggerTokenizer):
        batching = BatchConfig().resolve_auto(model="tagger")
        encodings = tokenizer.encode(dataset.train)
        rows = shuffled_batches(encodings, batching, seed="one")[0]
        return str((len(rows), max(len(encodings[row].source) for row in rows)))
    batch = dataset.one_batch()
    assert batch.target is not None
    return f"source {tuple(batch.source.shape)}, target {tuple(batch.target.shape)}"


def prepare(
    pairs: PairsPath,
    /,
    *,
    out: Annotated[Path, Parameter(help="Folder to write.")],
    overwrite: Overwrite = False,
    dataset_options: DatasetOptions = DatasetOptions(),
) -> None:
    """Prepare pairs and save them."""
    dataset_options.check_split()
    if pairs.is_dir():
        raise OptionError(f"{pairs} is a folder. Give a table of pairs.")
    with OutputLock(out):
        check_folder_writable(out, overwrite=overwrite)
        dataset = load_dataset(pairs, dataset_options)
        print_dataset_summary(dataset, dataset.tokenizer)
        dataset.save(out, overwrite=overwrite)
    print_note(f"saved {out}; next: annoseq train {out} --out model")

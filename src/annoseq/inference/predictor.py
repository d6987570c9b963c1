"""Predictions over a whole set: input, target and output side by side, and their accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, overload

from rich.console import Console
from rich.table import Table
from rich.text import Text

from annoseq.data.tables import write_rows
from annoseq.decoding.sampling import select_most_likely, decode_ids
from annoseq.evaluation.token_accuracy import Accuracy, measure_accuracy
from annoseq.progress import progress_bar
from annoseq.tokenization.batching import collate, longest_first
from annoseq.tokenization.vocabulary import END, PAD

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd
    import torch

    from annoseq.config import BatchConfig
    from annoseq.data.examples import Example
    from annoseq.devices import ComputeDevice
    from annoseq.models.interfaces import AnySeq2SeqNetwork
    from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding, Seq2SeqTokenizer


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model wrote for a row, beside what it read and what it should have written."""

    row: int
    source: str
    target: str
    output: str

    @property
    def is_exact(self) -> bool:
        """Tell whether the output is the target, character for character."""
        return self.output == self.target


class Predictions(Sequence[Prediction]):
    """The predictions of a set in its order, and the accuracy over all of them."""

    def __init__(self, predictions: Sequence[Prediction], accuracy: Accuracy) -> None:
        self._predictions = list(predictions)
        self.accuracy = accuracy

    def __len__(self) -> int:
        return len(self._predictions)

    @overload
    def __getitem__(self, index: int) -> Prediction: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Prediction]: ...
    def __getitem__(self, index: int | slice) -> Prediction | Sequence[Prediction]:
        return self._predictions[index]

    def to_frame(self) -> pd.DataFrame:
        """Return a table with the columns source, target and output, indexed by row."""
        import pandas as pd

        columns = ["row", "source", "target", "output"]
        return pd.DataFrame(map(astuple, self), columns=columns).set_index("row")

    def show(self, rows: int = 10, *, console: Console | None = None) -> None:
        """Print the first rows, input, target and output side by side."""
        table = Table(show_lines=True)
        table.add_column("row", justify="right")
        for name in ("source", "target", "output"):
            table.add_column(name, ratio=1, overflow="fold")
        for one in self[:rows]:
            style = "green" if one.is_exact else ""
            table.add_row(
                str(one.row), Text(one.source), Text(one.target), Text(one.output, style=style)
            )
        (console or Console()).print(table)

    def decode_ids(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write all rows as a table, in the format of the file's suffix (.csv, .jsonl, ...).

        Raises:
            OutputError: the file exists already, or cannot be written.
            TableError: the suffix is not known.
        """
        columns = {"row": int, "source": str, "target": str, "output": str}
        rows = (astuple(one) for one in self)
        write_rows(rows, path, columns=columns, overwrite=overwrite)


def predict(
    model: AnySeq2SeqNetwork,
    examples: Sequence[Example],
    tokenizer: Seq2SeqTokenizer,
    *,
    compute: ComputeDevice,
    batching: BatchConfig,
) -> Predictions:
    """Let a model write freely for every example, and compare with the references."""
    encodings = tokenizer.encode_examples(examples).encodings
    accuracy = Accuracy()
    outputs: dict[int, str] = {}
    with progress_bar("predicting", total=len(examples)) as advance:
        for rows, output, target in write_freely(
            model, encodings, tokenizer, compute=compute, batching=batching
        ):
            accuracy += measure_accuracy(output, target)
            outputs |= zip(rows, decode_rows(output, tokenizer), strict=True)
            advance(len(rows))
    return Predictions(
        [
            Prediction(example.row, example.source, example.reference, outputs[index])
            for index, example in enumerate(examples)
        ],
        accuracy,
    )


def write_freely(
    model: AnySeq2SeqNetwork,
    examples: Sequence[Seq2SeqEncoding],
    tokenizer: Seq2SeqTokenizer,
    *,
    compute: ComputeDevice,
    batching: BatchConfig,
) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
    """Yield batch by batch the rows, the ids written for them (B, O), and the targets (B, T)."""
    model.to(compute.device).eval()
    for rows in longest_first(examples, batching):
        batch = collate(rows, examples)
        assert batch.target is not None
        limits = tokenizer.output_limits(batch.source_lengths)
        with compute.autocast():
            output, _ = decode_ids(model, batch.to(compute.device), limits=limits, choose=select_most_likely)
        yield batch.rows, output.cpu(), batch.target


def decode_rows(output: torch.Tensor, tokenizer: Seq2SeqTokenizer) -> list[str]:
    """Write the ids of each row, up to its end, as text."""
    return [tokenizer.decode(_until_end(ids)) for ids in output.tolist()]


def _until_end(ids: Sequence[int]) -> Iterator[int]:
    for id_ in ids:
        if id_ in {END, PAD}:
            return
        yield id_

"""Speed and quality of the training loop of the 2019 notebook on MEDDOCAN in a fixed time."""

from __future__ import annotations

import argparse
import datetime
import random
import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from annoseq.config import DeviceConfig
from annoseq.devices import ComputeDevice
from annoseq.errors import AnnoseqError, OptionError
from annoseq.evaluation.token_accuracy import Accuracy, measure_accuracy
from annoseq.tokenization.batching import collate
from benchmarks.measure import PeakMemory, describe_machine, markdown_table, write_report
from benchmarks.meddocan import FOLDER, load_rows
from benchmarks.notebook_loop import (
    BATCH_SIZE,
    LEARNING_RATE,
    NotebookModel,
    by_length,
    make_optimizer,
    predict,
    seq2seq_acc,
    sortish_batches,
    train_step,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding

REPORT = Path(__file__).with_suffix(".md")
WARM_UP = 3
"""First steps, left out of the speeds: on a GPU they load and choose kernels."""


@dataclass(frozen=True, slots=True)
class Training:
    """Training measurements; speeds leave out the first steps.

    `cores` is the processor time taken in a second: less than there are threads where other
    processes wanted the machine, too.
    """

    steps: int
    epochs: float
    seconds: float
    pairs_per_second: float
    tokens_per_second: float
    cores: float
    first_loss: float
    last_loss: float


def train(
    model: NotebookModel,
    examples: Sequence[Seq2SeqEncoding],
    *,
    seconds: float,
    max_steps: int | None = None,
    seed: int,
    device: torch.device,
) -> Training:
    """Train for `seconds`, or `max_steps` if those are over first. Target padding is no token."""
    optimizer = make_optimizer(model.train())
    generator = random.Random(seed)
    losses: list[float] = []
    pairs = tokens = 0
    began = counted_from = time.perf_counter()
    worked = time.process_time()
    batches: Iterator[list[int]] = iter(())
    while len(losses) != max_steps and time.perf_counter() - began < seconds:
        rows = next(batches, None)
        if rows is None:
            batches = sortish_batches(examples, generator)
            rows = next(batches)
        batch = collate(rows, examples).to(device)
        assert batch.target is not None
        losses.append(train_step(model, optimizer, batch.source, batch.target))
        pairs += len(rows)
        tokens += sum(len(examples[row].target) + 1 for row in rows)
        if len(losses) == WARM_UP:
            pairs, tokens, counted_from = 0, 0, time.perf_counter()
    ended = time.perf_counter()
    return Training(
        steps=len(losses),
        epochs=len(losses) * BATCH_SIZE / len(examples),
        seconds=ended - began,
        pairs_per_second=pairs / (ended - counted_from),
        tokens_per_second=tokens / (ended - counted_from),
        cores=(time.process_time() - worked) / (ended - began),
        first_loss=losses[0],
        last_loss=losses[-1],
    )


@dataclass(frozen=True, slots=True)
class Prediction:
    """Greedy prediction of the dev rows.

    `accuracy` is annoseq's own score; `padded_accuracy` is fastai's, the mean over batches.
    """

    lines_per_second: float
    padded_accuracy: float
    accuracy: Accuracy


def predict_all(
    model: NotebookModel, examples: Sequence[Seq2SeqEncoding], *, limit: int, device: torch.device
) -> Prediction:
    """Predict every example in batches of like length, and score what comes out."""
    model.eval()
    rows = by_length(examples, range(len(examples)))
    accuracy, agreeing, seconds = Accuracy(), 0.0, 0.0
    for start in range(0, len(rows), BATCH_SIZE):
        began = time.perf_counter()
        batch = collate(rows[start : start + BATCH_SIZE], examples)
        output = predict(model, batch.source.to(device), limit=limit).cpu()
        seconds += time.perf_counter() - began
        assert batch.target is not None
        accuracy += measure_accuracy(output, batch.target)
        agreeing += seq2seq_acc(output, batch.target) * len(batch.rows)
    return Prediction(len(rows) / seconds, agreeing / len(rows), accuracy)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.notebook",
        description="Measure the 2019 notebook's training loop and greedy prediction.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--minutes", type=float, default=3.0, help="training time")
    add("--steps", type=int, help="stop training after this many steps, if that is sooner")
    add("--data", type=Path, default=FOLDER, help="folder of train.csv and dev.csv")
    add("--rows", type=int, help="use only this many first rows of each table")
    add("--max-tokens", type=int, default=60, help="leave out rows with a longer source")
    add("--seed", type=int, default=42, help="seed of weights, dropout and the order of rows")
    add("--threads", type=int, help="threads of torch, which chooses where this is not given")
    add("--device", default="cpu", help="cpu, cuda, cuda:1, or auto")
    add("--out", type=Path, default=REPORT, help="Markdown file that the results replace")
    options = parser.parse_args(arguments)
    for name in ("minutes", "steps", "rows", "max_tokens", "threads"):
        value = getattr(options, name)
        if value is not None and value <= 0:
            parser.error(f"--{name.replace('_', '-')} {value}: a number above 0 was expected")
    return options


def run(options: argparse.Namespace) -> tuple[Training, Prediction, PeakMemory, dict[str, str]]:
    """Load the rows, then train and predict with the memory watched.

    Raises:
        AnnoseqError: the data or the device cannot be used.
    """
    if options.threads:
        torch.set_num_threads(options.threads)
    device = _device(options.device)
    machine = describe_machine(device)
    rows = load_rows(
        options.data, max_tokens=options.max_tokens, at_least=BATCH_SIZE, first=options.rows
    )
    torch.manual_seed(options.seed)
    with PeakMemory(device) as memory:
        model = NotebookModel(rows.source_size, rows.target_size).to(device)
        training = train(
            model,
            rows.train,
            seconds=options.minutes * 60,
            max_steps=options.steps,
            seed=options.seed,
            device=device,
        )
    limit = max(len(example.target) for example in rows.train) + 1
    prediction = predict_all(model, rows.dev, limit=limit, device=device)
    facts = {
        **rows.facts,
        "batch": f"{BATCH_SIZE} rows",
        "output limit": f"{limit} tokens, the longest training target",
        "seed": str(options.seed),
        **machine,
    }
    return training, prediction, memory, facts


def _device(name: str) -> torch.device:
    try:
        config = DeviceConfig(device=name)
    except ValueError as error:
        raise OptionError(
            f"--device {name}: cpu, cuda, cuda:1, mps or auto was expected."
        ) from error
    return ComputeDevice.select(config).device


def results(training: Training, prediction: Prediction, memory: PeakMemory) -> str:
    """Write the figures as a table."""
    values = prediction.accuracy.values()
    rows = [
        ["training, pairs/s", f"{training.pairs_per_second:,.1f}"],
        ["training, target tokens/s (padding not counted)", f"{training.tokens_per_second:,.0f}"],
        ["peak memory above the baseline, training", f"{memory.above_baseline / 2**20:,.0f} MiB"],
        ["greedy prediction, lines/s", f"{prediction.lines_per_second:,.1f}"],
        ["training time", f"{training.seconds:,.0f} s"],
        ["training, processor seconds per second", f"{training.cores:.2f}"],
        ["steps", f"{training.steps:,}"],
        ["epochs", f"{training.epochs:.2f}"],
        ["loss of the first and the last step", f"{training.first_loss:.3f}, "
         f"{training.last_loss:.3f}"],
        ["dev, token accuracy, free-running", f"{values['token_accuracy']:.4f}"],
        ["dev, padded accuracy (the notebook's), free-running",
         f"{prediction.padded_accuracy:.4f}"],
        ["dev, exact match, free-running", f"{values['exact_match']:.4f}"],
    ]  # fmt: skip
    return markdown_table(["figure", "value"], rows)


ABOUT = f"""\
The 2019 notebook's training step and greedy prediction, literally, in plain PyTorch: the encoder
reads the padding, no teacher forcing, output weights assigned instead of tied, AdamW at a constant
rate of {LEARNING_RATE:g}, random embeddings of fastText's scale. `benchmarks/notebook_loop.py` says
what differs from the notebook. The first {WARM_UP} steps are left out of the speeds. The baseline
of memory is the process with torch imported and the encoded rows, before the model is built. The
speed of prediction depends on the training: a batch is decoded until the output of every row is
padding."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark, print its table, and replace its report."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parse_arguments(given)
    command = shlex.join(["python", "-m", "benchmarks.notebook", *given])
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    try:
        training, prediction, memory, facts = run(options)
        table = results(training, prediction, memory)
        print(table)
        write_report(
            options.out,
            title="The notebook's loop on MEDDOCAN",
            about=ABOUT,
            tables=[table],
            facts={**facts, "date": today, "command": f"`{command}`"},
        )
    except AnnoseqError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

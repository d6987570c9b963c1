"""The tagger that reads words by the word embeddings of a pre-trained encoder, beside the tagger.

Training rows are split as `annoseq train` does, with a tenth kept for the choice of the epoch and
for calibration. The dev rows choose nothing.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annoseq.config import TrainingConfig
from annoseq.training.learner import Learner
from annoseq.vectors.lookup import fingerprint_vectors
from benchmarks.budget import TIMING_NOTE, log
from benchmarks.command import Benchmark, command_line, make_parser, read_options
from benchmarks.dev_scores import (
    CORPORA,
    SEEDS,
    evaluate,
    score_tables,
    split_corpus,
)
from benchmarks.meddocan import FOLDER
from benchmarks.saved_runs import (
    add_run_options,
    load_outcomes,
    run_and_join,
)
from benchmarks.tagger_runs import CPU

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

REPORT = Path(__file__).with_suffix(".md")
SYSTEMS = {"plain": "tagger", "vectors": "tagger with word embeddings"}
RUNS = tuple(
    f"{system}-{corpus}-{seed}" for seed in SEEDS for corpus in CORPORA for system in SYSTEMS
)


def perform(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Train and evaluate a tagger, with the word embeddings of an encoder or without."""
    system, corpus, seed = name.split("-")
    dataset, train, dev = split_corpus(
        options.data, corpus, rows=options.rows, train_rows=options.train_rows
    )
    encoder = options.spanish if corpus == "meddocan" else options.encoder
    training = TrainingConfig(seed=int(seed))
    vectors = encoder if system == "vectors" else None
    learner = Learner(dataset, training=training, device=CPU, vectors=vectors)
    began = time.process_time()
    learner.fit_one_cycle(options.epochs, report=log)
    seconds = time.process_time() - began
    learner.save(folder := options.results / f"{name}.model", overwrite=True)
    return evaluate(folder, train, dev, "cpu") | {"seconds": seconds}


def join(options: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """Return the tables of all saved runs, and the facts of the report.

    Raises:
        OptionError: there are none.
    """
    outcomes, machine = load_outcomes(options.results, RUNS)
    folders = {"word embeddings": options.encoder, "of meddocan": options.spanish}
    facts = {
        title: f"{folder.name}, sha256 {fingerprint_vectors(folder)[:12]} of samples"
        for title, folder in folders.items()
        if folder
    }
    facts |= machine
    return score_tables(outcomes, SYSTEMS), facts


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser("word_embeddings", "Train taggers with word embeddings.", report=REPORT)
    parser.set_defaults(data=FOLDER.parents[1])
    add = parser.add_argument
    add("--encoder", type=Path, help="folder of the pre-trained encoder, or of static embeddings")
    add("--spanish", type=Path, help="that for meddocan")
    add("--train-rows", type=int, help="train on the first rows of train.csv alone")
    add("--epochs", type=int, help="epochs of every run; by default the tagger's own")
    add_run_options(parser, cache="word-embeddings", runs=RUNS)
    return read_options(parser, arguments, above_zero=("epochs", "train_rows"))


ABOUT = f"""\
The tagger with its defaults, and one that reads words by the word embeddings of a pre-trained
encoder too (`--vectors FOLDER`); the encoder itself is not run. A tenth of the training rows is
kept for the choice of the epoch and for calibration; the dev rows choose nothing. Means over seeds,
and the standard deviation of F1. The calibration error is that of calibrated scores.
{TIMING_NOTE}"""

BENCHMARK = Benchmark(name="word_embeddings", title="Word embeddings of an encoder", about=ABOUT)


def main(given: Sequence[str] | None = None) -> int:
    """Perform the runs that are asked for, print the tables, and replace the report."""
    arguments = command_line(given)
    options = parse_arguments(arguments)
    return run_and_join(BENCHMARK, options, arguments, RUNS, perform=perform, join=join)


if __name__ == "__main__":
    sys.exit(main())

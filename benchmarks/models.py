"""Quality and speed of all models of annoseq after equal processor time."""

from __future__ import annotations

import shutil
import sys
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from annoseq.config import (
    AttentionConfig,
    BatchConfig,
    DataConfig,
    GruConfig,
    TrainingConfig,
    TransformerConfig,
)
from annoseq.errors import OptionError
from annoseq.tokenization.dataset import Dataset
from annoseq.training.learner import Learner
from benchmarks.budget import TIMING_NOTE, ProcessorTimer, TrainingPlan, log, seconds_per_row
from benchmarks.command import Benchmark, command_line, make_parser, read_options
from benchmarks.evaluation import CPU, FIGURES, Result, Trained, evaluate_model, split_words
from benchmarks.measure import describe_machine, markdown_table
from benchmarks.meddocan import read_tables
from benchmarks.saved_runs import add_run_options, load_results, perform_runs, save_results
from benchmarks.subsets import draw, draw_disjoint, keep_short, take

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from annoseq.config import AnyNetworkConfig
    from annoseq.data.pairs import Pairs

REPORT = Path(__file__).with_suffix(".md")
WORD, BPE = DataConfig(tokens="word"), DataConfig(tokens="bpe")
WATCHED = 64
"""Dev rows of the validation after each epoch, not evaluated afterwards; the time counts."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Network, tokens and training settings."""

    data: DataConfig
    network: AnyNetworkConfig
    max_lr: float
    batch_size: int


MODELS = {
    "gru-word": Recipe(WORD, GruConfig(), 5e-3, 16),
    "attention-word": Recipe(WORD, AttentionConfig(), 4e-3, 16),
    "attention-bpe": Recipe(BPE, AttentionConfig(), 4e-3, 16),
    "transformer-bpe": Recipe(BPE, TransformerConfig(), 3e-3, 16),
}


def train(
    recipe: Recipe,
    pairs: Pairs,
    watched: Pairs,
    folder: Path,
    *,
    seconds: float,
    max_tokens: int,
    seed: int,
) -> Trained:
    """Train for about `seconds` of processor time, and save the model.

    The vocabularies are those of all pairs, the rows learned from those of up to `max_tokens`. A
    learner that is thrown away first tells how many epochs there is time for.
    """
    whole = keep_short(
        Dataset.from_pairs(pairs, valid=watched, config=recipe.data), max_tokens=max_tokens
    )
    learner = _learner(recipe, whole, seed=seed)
    speed = seconds_per_row(learner, max_lr=recipe.max_lr)
    plan = TrainingPlan.fit(len(whole.train), seconds_per_row=speed, seconds=seconds)
    rows = take(whole.train, draw(len(whole.train), plan.rows, seed=seed))
    learner = _learner(recipe, replace(whole, train=rows), seed=seed)
    with ProcessorTimer() as watch:
        learner.fit_one_cycle(plan.epochs, recipe.max_lr, report=log)
    learner.save(folder)
    words = sum(len(split_words(pair.target)) + 1 for pair in rows)
    return Trained(
        watch.seconds,
        plan.epochs * words,
        f"{plan.epochs} epochs of {plan.rows:,} of {len(whole.train):,} rows, "
        f"batches of {recipe.batch_size}, highest rate {recipe.max_lr:g}",
    )


def _learner(recipe: Recipe, dataset: Dataset, *, seed: int) -> Learner:
    training = TrainingConfig(max_lr=recipe.max_lr, clip_norm=1.0, keep="last", seed=seed)
    batching = BatchConfig(batch_size=recipe.batch_size)
    return Learner(dataset, model=recipe.network, training=training, batching=batching, device=CPU)


def run_one(name: str, options: argparse.Namespace) -> None:
    """Train and evaluate a model, and save it with its results.

    Raises:
        AnnoseqError: the data cannot be used, or the folder cannot be written.
    """
    machine = describe_machine(torch.device("cpu"))
    pairs, dev = read_tables(options.data, first=options.rows)
    lines, watched = draw_disjoint(
        dev, (options.dev_rows, WATCHED), max_tokens=options.max_dev_tokens, seed=options.seed
    )
    log(f"{name}: {options.minutes:g} minutes of processor time")
    folder = options.results / f"{name}.model"
    if folder.exists():
        shutil.rmtree(folder)
    trained = train(
        MODELS[name],
        pairs,
        watched,
        folder,
        seconds=options.minutes * 60,
        max_tokens=options.max_tokens,
        seed=options.seed,
    )
    result, signature = evaluate_model(folder, lines, trained)
    shared = {
        "minutes": f"{options.minutes:g} of processor time for each",
        "train rows": f"of {len(pairs):,}, those of up to {options.max_tokens} source words "
        f"(SHA-256 of all: {pairs.fingerprint()[:12]})",
        "dev rows": f"{len(lines):,} of {len(dev):,}, drawn by the seed from those of 1 to "
        f"{options.max_dev_tokens} source words (SHA-256 of all: {dev.fingerprint()[:12]})",
        "BLEU": signature,
        "seed": str(options.seed),
    }
    kept = {"result": asdict(result), "shared": shared, "machine": machine}
    save_results(options.results, name, kept)
    cells = zip(FIGURES, result.cells(), strict=True)
    log(f"{name}: " + ", ".join(f"{figure} {cell}" for figure, cell in cells))


def join(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Return the table of the saved results of all models, and the facts of the report.

    Raises:
        OptionError: a model's are missing, or they were not made alike.
    """
    kept = load_results(folder, MODELS)
    for name in MODELS:
        if name not in kept:
            raise OptionError(f"{folder}: there are no results of {name}. Run --only {name} first.")
    first, *others = kept
    shared = kept[first]["shared"]
    for name in others:
        for fact, value in kept[name]["shared"].items():
            if value != shared[fact]:
                raise OptionError(
                    f"{folder}: the results of {first} and {name} were made with different "
                    f"{fact}. Run one of them again, with the other's options."
                )
    results = {name: Result.from_dict(one["result"]) for name, one in kept.items()}
    columns = zip(*(result.cells() for result in results.values()), strict=True)
    rows = [[figure, *cells] for figure, cells in zip(FIGURES, columns, strict=True)]
    stories = {f"training of {name}": one.trained.story for name, one in results.items()}
    facts = shared | stories | kept[first]["machine"]
    facts["load"] = "; ".join(f"{name}: {one['machine']['load']}" for name, one in kept.items())
    return [markdown_table(["figure", *results], rows)], facts


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        "models", "Train all models for equal processor time, and compare them.", report=REPORT
    )
    add = parser.add_argument
    add("--minutes", type=float, default=20, help="of processor time for each model's training")
    add("--max-tokens", type=int, default=200, help="leave out training rows with more words")
    add("--dev-rows", type=int, default=500, help="so many dev rows, drawn by the seed")
    add("--max-dev-tokens", type=int, default=200, help="leave out dev rows with more words")
    add_run_options(parser, cache="models", runs=MODELS)
    names = ("minutes", "max_tokens", "dev_rows", "max_dev_tokens")
    return read_options(parser, arguments, above_zero=names)


ABOUT = f"""\
Every model is trained on MEDDOCAN's training rows for the same processor time, with a one-cycle
schedule, gradients clipped to norm 1 and otherwise annoseq's defaults. A short run before each
training determines the number of epochs and rows; the table has the time that was taken. The model
then decodes the same dev rows greedily in batches of 64: freely, and constrained, which only places
tags. Span F1 is strict. Token accuracy is the share of the target's words, tags and the end symbol
included, that are correct at their position in the free output; BLEU compares the same texts. Words
are the same for all models, whatever their tokens. Loading, vocabularies and the short run are not
counted; the validation on {WATCHED} other dev rows after each epoch is. {TIMING_NOTE}"""


BENCHMARK = Benchmark(name="models", title="All models after equal time", about=ABOUT)


def main(given: Sequence[str] | None = None) -> int:
    """Run models, print the table, and replace the report."""
    arguments = command_line(given)
    options = parse_arguments(arguments)
    make, all_of_them = partial(run_one, options=options), partial(join, options.results)
    return BENCHMARK.run(
        options, arguments, lambda: perform_runs(options, MODELS, make=make, join=all_of_them)
    )


if __name__ == "__main__":
    sys.exit(main())

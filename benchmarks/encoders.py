"""A pre-trained encoder beside the hashed features of the tagger, and what each part of it brings.

The learning rate is chosen, and the parts are compared, on rows kept from the training rows of one
corpus. Then taggers with and without the encoder are trained on all training rows, and evaluated
once on the dev rows. Runs are processes of their own; on a GPU several share it.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any, Literal

from annoseq.config import DataConfig, DeviceConfig, TaggerConfig, TrainingConfig
from annoseq.data.pairs import Pairs
from annoseq.devices import ComputeDevice
from annoseq.inference.annotator import Annotator
from annoseq.models.encoder_folder import open_encoder
from annoseq.tokenization.dataset import Dataset
from annoseq.training.learner import Learner
from benchmarks.budget import log
from benchmarks.command import Benchmark, command_line, make_parser, read_options
from benchmarks.dev_scores import dataset_of_all_rows
from benchmarks.measure import markdown_table
from benchmarks.meddocan import FOLDER
from benchmarks.saved_runs import (
    add_run_options,
    load_outcomes,
    load_results,
    run_and_join,
    run_side_by_side,
)
from benchmarks.tagger_runs import Quality, read_corpus

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

REPORT = Path(__file__).with_suffix(".md")
CORPORA = ("bc5cdr", "ncbi_disease", "asq_phi")
SEEDS = (42, 1, 2)
CHOICE_CORPUS = "bc5cdr"
RATES = ("5e-5", "1e-4", "2e-4", "4e-4")
"""Learning rates of the encoder to choose from."""
PARTS: dict[str, tuple[TaggerConfig, dict[str, Any]]] = {
    "linear": (TaggerConfig(encoder="linear"), {}),
    "shape": (TaggerConfig(features="shape"), {}),
    "shape-linear": (TaggerConfig(features="shape", encoder="linear"), {}),
    "frozen": (TaggerConfig(), {"freeze": "encoder"}),
    "whole": (TaggerConfig(), {"freeze": "none"}),
    "one-rate": (TaggerConfig(), {"layer_decay": 1.0}),
    "dropout": (TaggerConfig(dropout=0.2), {}),
    "head-rate": (TaggerConfig(), {"max_lr": 3e-3}),
}
"""Taggers that differ in one part from that of the chosen rate."""
DESCRIPTIONS = {
    "linear": "without the BiLSTM on top",
    "shape": "in place of the hashed features (shape and lists stay)",
    "shape-linear": "in place of the features, without the BiLSTM",
    "frozen": "encoder not trained",
    "whole": "word embeddings trained too",
    "one-rate": "the same rate for all layers",
    "dropout": "half the dropout around the BiLSTM",
    "head-rate": "a rate of 3e-3 for all but the encoder",
    "none": "no encoder",
}
CHOICES = tuple(f"rate-{rate}" for rate in RATES)
COMPARED = ("part-none", *(f"part-{name}" for name in PARTS))
DEV = tuple(
    f"{system}-{corpus}-{seed}"
    for seed in SEEDS
    for corpus in CORPORA
    for system in ("encoder", "tagger")
)
FIRST_SEED = DEV[: len(DEV) // len(SEEDS)]
RUNS = (*CHOICES, *FIRST_SEED, *COMPARED, *DEV[len(FIRST_SEED) :])
"""All runs, in the order in which they are made."""


def train(
    options: argparse.Namespace,
    train_pairs: Pairs,
    *,
    seed: int,
    tagger: TaggerConfig | None = None,
    has_encoder: bool = True,
    keeps_rows: bool,
    settings: dict[str, Any],
) -> Learner:
    """Train a tagger; with `keeps_rows`, a fifth of the rows is kept, and the best epoch too."""
    config = DataConfig(task="annotate")
    dataset = (
        Dataset.from_pairs(train_pairs, config=config)
        if keeps_rows
        else dataset_of_all_rows(train_pairs)
    )
    keep: Literal["best", "last"] = "best" if keeps_rows else "last"
    learner = Learner(
        dataset,
        model=tagger or TaggerConfig(),
        training=TrainingConfig.model_validate({"seed": seed, "keep": keep, **settings}),
        device=DeviceConfig(device=options.device),
        encoder=options.encoder if has_encoder else None,
    )
    learner.fit_one_cycle(options.epochs, report=log)
    return learner


def perform(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Perform one run, and return its figures."""
    kind, _, what = name.partition("-")
    if kind in {"rate", "part"}:
        return _choose(kind, what, options)
    corpus, _, seed = what.rpartition("-")
    return _report(kind, corpus, int(seed), options)


def _choose(kind: str, what: str, options: argparse.Namespace) -> dict[str, Any]:
    """Train on a part of the training rows; score the others."""
    rows, _ = read_rows(options, CHOICE_CORPUS)
    tagger, settings = PARTS.get(what, (TaggerConfig(), {})) if kind == "part" else (None, {})
    has_encoder = what != "none"
    if has_encoder:
        rate = float(what) if kind == "rate" else chosen_rate(options)
        settings = {"encoder_lr": rate, **settings}
    clock = _clock(options)
    began = clock()
    learner = train(
        options,
        rows,
        seed=options.seed,
        tagger=tagger,
        has_encoder=has_encoder,
        keeps_rows=True,
        settings=settings,
    )
    best = max(learner.recorder.epochs, key=lambda epoch: epoch.score)
    return {
        "f1": best.score,
        "epochs": learner.epochs,
        "rows": len(learner.dataset.train),
        "seconds": clock() - began,
        "pairs_per_second": learner.recorder.epochs[-1].pairs_per_second,
    }


def _report(system: str, corpus: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train on all training rows, and evaluate once on the dev rows."""
    rows, dev = read_rows(options, corpus)
    has_encoder = system == "encoder"
    settings = {"encoder_lr": chosen_rate(options)} if has_encoder else {}
    clock = _clock(options)
    began = clock()
    learner = train(
        options, rows, seed=seed, has_encoder=has_encoder, keeps_rows=False, settings=settings
    )
    trained = clock() - began
    folder = options.results / f"{system}-{corpus}-{seed}.model"
    learner.save(folder, overwrite=True)
    annotator = Annotator.load(folder, device=DeviceConfig(device=options.device))
    texts = [pair.source for pair in dev]
    annotator.annotate(texts[:200], advance=_ignore)  # warm
    began = clock()
    found = annotator.annotate(texts, advance=_ignore)
    seconds = clock() - began
    quality = Quality.of([list(one.spans or ()) for one in found], rows, dev)
    return {
        "precision": quality.precision,
        "recall": quality.recall,
        "f1": quality.f1,
        "epochs": learner.epochs,
        "seconds": trained,
        "chars_per_second": sum(map(len, texts)) / seconds,
    }


def _clock(options: argparse.Namespace) -> Callable[[], float]:
    """Return the clock of a device: processor time on a CPU, which other processes may share."""
    is_cpu = ComputeDevice.select(options.device).device.type == "cpu"
    return time.process_time if is_cpu else time.perf_counter


def _ignore(_: int) -> None:
    pass


def read_rows(options: argparse.Namespace, corpus: str) -> tuple[Pairs, Pairs]:
    """Return training and dev pairs, only the first `--rows` of each if that is given."""
    train_pairs, dev = (
        Pairs(pairs[: options.rows], name=pairs.name) for pairs in read_corpus(options.data, corpus)
    )
    return train_pairs, dev


def chosen_rate(options: argparse.Namespace) -> float:
    """Return the rate with the best F1 on kept rows."""
    kept = load_results(options.results, CHOICES)
    rates = {rate: kept[name] for rate in RATES if (name := f"rate-{rate}") in kept}
    if not rates:
        return float(RATES[0])
    return float(max(rates, key=lambda rate: float(rates[rate]["outcome"]["f1"])))


def join(options: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """Return the tables of all saved runs, and the facts of the report.

    Raises:
        OptionError: there are none.
    """
    outcomes, machine = load_outcomes(options.results, RUNS)
    facts = {"encoder": open_encoder(options.encoder).record.summary()}
    facts |= {"runs side by side": str(options.jobs)}
    if missing := [name for name in RUNS if name not in outcomes]:
        facts["not run"] = ", ".join(missing)
    tables = [_choice_table(outcomes), _dev_table(outcomes)]
    return [table for table in tables if table], facts | machine


def _choice_table(outcomes: dict[str, Any]) -> str:
    rows = []
    for name in (*CHOICES, *COMPARED):
        if name not in outcomes:
            continue
        kind, _, what = name.partition("-")
        about = f"encoder, rate {what}" if kind == "rate" else DESCRIPTIONS[what]
        figures = outcomes[name]
        speed = f"{figures['pairs_per_second']:,.0f}"
        rows.append([about, f"{figures['f1']:.4f}", str(figures["epochs"]), speed])
    head = [f"kept rows of {CHOICE_CORPUS}", "F1", "epochs", "pairs/s of training"]
    return markdown_table(head, rows) if rows else ""


def _dev_table(outcomes: dict[str, Any]) -> str:
    rows = []
    for corpus in CORPORA:
        for system in ("tagger", "encoder"):
            names = [f"{system}-{corpus}-{seed}" for seed in SEEDS]
            found = [outcomes[name] for name in names if name in outcomes]
            if not found:
                continue
            scores = [one["f1"] for one in found]
            spread = f"{stdev(scores):.4f}" if len(scores) > 1 else ""
            rows.append([
                corpus,
                {"tagger": "tagger", "encoder": "tagger with encoder"}[system],
                *(f"{mean(one[key] for one in found):.4f}" for key in ("precision", "recall")),
                f"{mean(scores):.4f}",
                spread,
                str(len(found)),
                f"{mean(one['seconds'] for one in found):,.0f}",
                f"{mean(one['chars_per_second'] for one in found):,.0f}",
            ])  # fmt: skip
    head = [
        *("dev rows", "model", "precision", "recall", "F1", "spread", "seeds"),
        *("training, s", "characters/s"),
    ]
    return markdown_table(head, rows) if rows else ""


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser("encoders", "Train taggers with a pre-trained encoder.", report=REPORT)
    parser.set_defaults(data=FOLDER.parents[1])
    add = parser.add_argument
    add("--encoder", type=Path, required=True, help="folder of a pre-trained encoder")
    add("--device", default="auto", help="device to train on")
    add("--epochs", type=int, help="epochs of every run; by default the tagger's own")
    add("--jobs", type=int, default=1, help="runs side by side")
    add("--minutes", type=float, default=1_000.0, help="time after which no run goes on")
    add_run_options(parser, cache="encoders", runs=RUNS)
    return read_options(parser, arguments, above_zero=("epochs", "jobs", "minutes"))


ABOUT = """\
The tagger with a pre-trained encoder, beside the tagger alone. First table: trained on four fifths
of the training rows of one corpus, and scored on the others; the learning rate of the encoder was
chosen by it, and the rows below differ from the one with that rate in one thing. Second table:
trained on all training rows with that rate, the last epoch kept, and evaluated on the dev rows,
which were used for nothing else. Means over seeds, and the standard deviation of F1. A span is
correct if its offsets and its label are. Times are wall times of runs that shared a GPU, or
processor time on a CPU."""


BENCHMARK = Benchmark(name="encoders", title="Pre-trained encoders", about=ABOUT)


def main(given: Sequence[str] | None = None) -> int:
    """Perform runs, print the tables, and replace the report."""
    arguments = command_line(given)
    options = parse_arguments(arguments)
    if options.jobs > 1 and not (options.only or options.join):
        options.results.mkdir(parents=True, exist_ok=True)
        stages = CHOICES, RUNS[len(CHOICES) :]
        run_side_by_side(options, arguments, stages, benchmark="encoders")
        options.join, options.core = True, None
    if options.only and options.jobs > 1:
        options.core = None
    return run_and_join(
        BENCHMARK, options, arguments, RUNS, perform=perform, join=join, device=options.device
    )


if __name__ == "__main__":
    sys.exit(main())

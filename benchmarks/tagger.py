"""The tagger on real corpora: compared with spaCy's NER, and with other encoders and seeds."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

import torch

from annoseq.config import TaggerConfig
from annoseq.errors import OptionError
from benchmarks.budget import TIMING_NOTE, log
from benchmarks.command import Benchmark, command_line, make_parser, read_options
from benchmarks.measure import describe_machine, markdown_table
from benchmarks.meddocan import FOLDER
from benchmarks.saved_runs import add_run_options, load_results, perform_runs, save_results
from benchmarks.tagger_lists import write_lists
from benchmarks.tagger_runs import LANGUAGES, read_corpus, run_spacy, run_tagger

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from benchmarks.tagger_runs import RunResult

REPORT = Path(__file__).with_suffix(".md")
SEEDS = (42, 1, 2)
ENCODERS = {
    "lstm": TaggerConfig(),
    "lstm-2x192": TaggerConfig(hidden=192, layers=2),
    "convolution": TaggerConfig(encoder="convolution"),
    "transformer": TaggerConfig(encoder="transformer"),
}
CORPORA = (*LANGUAGES, "gum_open")
RUNS = (
    *(f"tagger-{corpus}" for corpus in CORPORA),
    *(f"spacy-{corpus}" for corpus in LANGUAGES),
    *(f"seed-{seed}" for seed in SEEDS[1:]),
    *(f"encoder-{name}" for name in ENCODERS),
    "lists",
)
"""Everything there is to train; the first seed is the tagger's on MEDDOCAN."""
ENCODER_EPOCHS = 5


def perform(name: str, options: argparse.Namespace) -> RunResult:
    """Perform one run."""
    kind, _, what = name.partition("-")
    folder = options.results / f"{name}.model"
    match kind:
        case "tagger":
            return run_tagger(options.data, what, folder)
        case "spacy":
            return run_spacy(options.data, what, folder)
        case "seed":
            return run_tagger(options.data, "meddocan", folder, seed=int(what))
        case "encoder":
            return run_tagger(
                options.data,
                "bc5cdr",
                folder,
                tagger=ENCODERS[what],
                epochs=ENCODER_EPOCHS,
            )
        case _:
            lexicon_features = write_lists(options.results / "lists")
            return run_tagger(options.data, "meddocan", folder, lexicon_features=lexicon_features)


def run_one(name: str, options: argparse.Namespace) -> None:
    """Perform one run, and save its results and the description of the machine."""
    machine = describe_machine(torch.device("cpu"))
    outcome = perform(name, options)
    kept = {"outcome": outcome.to_dict(), "machine": machine}
    save_results(options.results, name, kept)
    log(f"{name}: F1 {outcome.quality.f1:.4f} after {outcome.seconds:,.0f} s")


def join(options: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """Return the tables of all saved runs, and the facts of the report.

    Raises:
        OptionError: there are none of the tagger on MEDDOCAN.
    """
    kept = load_results(options.results, RUNS)
    first = kept.get("tagger-meddocan")
    if first is None:
        raise OptionError(f"{options.results}: run --only tagger-meddocan first.")
    outcomes = {name: one["outcome"] for name, one in kept.items()}
    tables = [_corpora(outcomes), _nested(outcomes), _seeds(outcomes), _encoders(outcomes)]
    facts = {
        f"{corpus} rows": "{:,} training, {:,} dev".format(
            *map(len, read_corpus(options.data, corpus))
        )
        for corpus in CORPORA
    }
    facts["curve on meddocan"] = _curve(outcomes["tagger-meddocan"])
    if missing := [name for name in RUNS if name not in kept]:
        facts["not run"] = ", ".join(missing)
    loads = "; ".join(f"{name}: {one['machine']['load'].split()[0]}" for name, one in kept.items())
    return [one for one in tables if one], facts | first["machine"] | {"load before": loads}


def _cells(outcome: dict[str, Any]) -> list[str]:
    quality = outcome["quality"]
    return [
        f"{quality['precision']:.4f}",
        f"{quality['recall']:.4f}",
        f"{quality['f1']:.4f}",
        f"{quality['unseen']:.4f}",
        f"{outcome['seconds'] / 60:.1f}",
        f"{outcome['chars_per_second']:,.0f}",
    ]


_HEAD = ["precision", "recall", "F1", "F1, unseen rows", "training, CPU minutes", "characters/s"]


def _corpora(outcomes: dict[str, Any]) -> str:
    rows = [
        [corpus, system, *_cells(outcomes[f"{system}-{corpus}"])]
        for corpus in LANGUAGES
        for system in ("tagger", "spacy")
        if f"{system}-{corpus}" in outcomes
    ]
    if "lists" in outcomes:
        rows.append(["meddocan", "tagger with lists", *_cells(outcomes["lists"])])
    return markdown_table(["corpus", "model", *_HEAD], rows)


def _nested(outcomes: dict[str, Any]) -> str:
    if "tagger-gum_open" not in outcomes:
        return ""
    outcome = outcomes["tagger-gum_open"]
    inner = outcome["quality"]["inner"]
    row = ["gum_open", f"{outcome['quality']['f1']:.4f}", f"{inner:.4f}"]
    return markdown_table(["nested spans", "F1, all", "F1, inner spans"], [row])


def _seeds(outcomes: dict[str, Any]) -> str:
    names = ["tagger-meddocan", *(f"seed-{seed}" for seed in SEEDS[1:])]
    found = [outcomes[name]["quality"] for name in names if name in outcomes]
    if len(found) < 2:
        return ""
    rows = [
        [what, *(f"{one[key]:.4f}" for one in found), f"{mean(some):.4f}", f"{stdev(some):.4f}"]
        for what, key in (("F1", "f1"), ("F1, unseen rows", "unseen"))
        for some in [[one[key] for one in found]]
    ]
    seeds = [f"seed {seed}" for seed in SEEDS[: len(found)]]
    return markdown_table(["meddocan", *seeds, "mean", "spread"], rows)


def _encoders(outcomes: dict[str, Any]) -> str:
    rows = [
        [name, *_cells(outcomes[f"encoder-{name}"])]
        for name in ENCODERS
        if f"encoder-{name}" in outcomes
    ]
    if not rows:
        return ""
    return markdown_table([f"encoder, {ENCODER_EPOCHS} epochs on bc5cdr", *_HEAD], rows)


def _curve(outcome: dict[str, Any]) -> str:
    return ", ".join(
        f"{f1:.3f} after {cpu / 60:.1f} CPU minutes" for cpu, _, f1 in outcome["curve"]
    )


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser("tagger", "Train taggers, and spaCy's NER, and compare.", report=REPORT)
    parser.set_defaults(data=FOLDER.parents[1])
    add_run_options(parser, cache="tagger", runs=RUNS)
    return read_options(parser, arguments, above_zero=())


ABOUT = f"""\
The tagger with its defaults, and spaCy's NER with its default configuration for a CPU, trained on
the same rows. Both select the epoch on the dev rows, or stop early on them, and are evaluated on
the same dev rows, so the figures of both are slightly optimistic. A span is correct if its offsets
and its label are. Rows are unseen if no training row has the same text. Training time includes the
validation after each epoch; spaCy's is that of its training loop. Characters/s are those of
annotating all dev rows with the model loaded. {TIMING_NOTE}"""


BENCHMARK = Benchmark(name="tagger", title="The tagger", about=ABOUT)


def main(given: Sequence[str] | None = None) -> int:
    """Perform runs, print the tables, and replace the report."""
    arguments = command_line(given)
    options = parse_arguments(arguments)
    make, all_of_them = partial(run_one, options=options), partial(join, options)
    return BENCHMARK.run(
        options, arguments, lambda: perform_runs(options, RUNS, make=make, join=all_of_them)
    )


if __name__ == "__main__":
    sys.exit(main())

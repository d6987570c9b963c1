"""annoseq beside eole 0.6, the living heir of OpenNMT-py: the same rows, the same processor time.

eole runs in a virtual environment of its own (`benchmarks/eole_peer.py`). Both sides train on
MEDDOCAN's training rows, on one core, for so many minutes of processor time, and then write for
the same dev lines. eole gets annoseq's word tokens: the space before a token is part of it, and a
tag is one token.
"""

from __future__ import annotations

import random
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from annoseq.annotator.annotator import Annotator
from annoseq.config import (
    AttentionConfig,
    BatchConfig,
    DataConfig,
    DeviceConfig,
    SearchConfig,
    TrainingConfig,
)
from annoseq.pairs.pairs import Pairs
from annoseq.text.dataset import Dataset
from annoseq.training.learner import Learner
from benchmarks import eole_peer
from benchmarks.budget import Plan, Stopwatch, cache_folder, note, one_core, row_seconds
from benchmarks.command import guarded, made_by, make_parser, read_options
from benchmarks.eole_rows import Quality, Tokens, choose_lines, judge, spell, tags_of, unspell
from benchmarks.measure import describe_machine, markdown_table, write_report
from benchmarks.meddocan import read_tables

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

REPORT = Path(__file__).with_suffix(".md")
CPU = DeviceConfig(device="cpu")
DATA = DataConfig(tokens="bpe", bpe_vocab=4_000, min_frequency=1)
OURS_RATE = 4e-3
OURS: dict[str, Any] = {
    "model": AttentionConfig(),
    "training": TrainingConfig(max_lr=OURS_RATE, clip_norm=1.0),
    "batching": BatchConfig(batch_size=16),
    "device": CPU,
}
"""How annoseq's side is trained."""
WATCHED = 64
"""Dev rows that annoseq validates on after each epoch; the time counts as training."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a side's training came to; `seconds` are of processor time, `tokens` are words."""

    seconds: float
    tokens: int
    story: str


@dataclass(frozen=True, slots=True)
class Result:
    """A column of the table."""

    trained: Trained
    quality: Quality
    seconds: float

    def cells(self) -> list[str]:
        """Return the figures in the order of `FIGURES`."""
        rows, quality = self.quality.rows, self.quality
        return [
            f"{self.trained.seconds:,.0f} s",
            f"{self.trained.tokens / self.trained.seconds:,.0f}",
            f"{quality.unchanged / rows:.1%}",
            f"{quality.malformed / rows:.1%}",
            f"{quality.exact / rows:.1%}",
            f"{quality.spans.precision:.3f}",
            f"{quality.spans.recall:.3f}",
            f"{quality.spans.f1:.3f}",
            f"{rows / self.seconds:,.0f}",
        ]


FIGURES = (
    "training, processor time",
    "training, target tokens/s",
    "text unchanged",
    "malformed",
    "exact match",
    "span precision",
    "span recall",
    "span F1",
    "greedy lines/s",
)


def eole_config(
    folder: Path, *, tokens: Tokens, steps: int, seed: int, learning_rate: float, batch: int
) -> dict[str, Any]:
    """Write the files of eole's training into `folder`, and return its configuration.

    One vocabulary of every training word serves both sides and the output, whose weights are
    tied: a text that is copied gains most from that.
    """
    folder.mkdir(parents=True, exist_ok=True)
    eole_peer.write_lines(folder / "train.source", tokens.source)
    eole_peer.write_lines(folder / "train.target", tokens.target)
    size = eole_peer.write_vocabulary(folder / "words.txt", [*tokens.source, *tokens.target])
    return {
        "seed": seed,
        "report_every": 1,
        "src_vocab": str(folder / "words.txt"),
        "tgt_vocab": str(folder / "words.txt"),
        "share_vocab": True,
        "src_vocab_size": size + 16,  # special symbols count
        "tgt_vocab_size": size + 16,
        "data": {
            "train": {
                "path_src": str(folder / "train.source"),
                "path_tgt": str(folder / "train.target"),
            }
        },
        "model": {
            "architecture": "rnn",
            "rnn_type": "LSTM",
            "layers": 2,
            "hidden_size": 256,
            "input_feed": 1,
            "share_embeddings": True,
            "share_decoder_embeddings": True,
            "embeddings": {"word_vec_size": 256},
            "encoder": {"encoder_type": "brnn"},
            "decoder": {"decoder_type": "rnn", "global_attention": "general"},
        },
        "training": {
            "model_path": str(folder / "model"),
            "train_steps": steps,
            "valid_steps": steps + 1,
            "save_checkpoint_steps": max(1, steps // 20),
            "keep_checkpoint": 2,
            "batch_type": "tokens",
            "batch_size": batch,
            "normalization": "tokens",
            "bucket_size": 4096,
            "num_workers": 0,
            "optim": "adam",
            "learning_rate": learning_rate,
            "decay_method": "cosine",
            "warmup_steps": max(1, steps // 20),
            "max_grad_norm": 5,
            "dropout": [0.1],
            "log_attention_entropy": False,
        },
    }


def run_eole(
    python: Path,
    train: Pairs,
    lines: Pairs,
    folder: Path,
    *,
    seconds: float,
    core: int | None,
    seed: int,
    learning_rate: float,
    batch: int,
) -> Result:
    """Train eole in `folder`, unless it holds a trained model, and let it write for lines.

    A tenth of the time, at most half a minute, first tells how many steps there is time for, as
    the schedule of its rate must know; it is not part of the training.

    Raises:
        PeerError: eole failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokens, tags = spell(train), tags_of(train)
    done = eole_peer.remembered(folder)
    if done is None:
        config = partial(
            eole_config, tokens=tokens, seed=seed, learning_rate=learning_rate, batch=batch
        )
        probe = config(folder / "probe", steps=100_000)
        tried = eole_peer.train(
            python, probe, folder / "probe", seconds=min(30, seconds / 10), core=core
        )
        steps = max(1, int(tried.steps_per_second * seconds))
        note(f"eole: {steps:,} steps for {seconds:,.0f} s")
        whole = config(folder, steps=steps)
        done = eole_peer.train(python, whole, folder, seconds=seconds, core=core)
        eole_peer.remember(done, folder)
    eole_peer.write_lines(folder / "lines.source", spell(lines).source)
    settings = {
        "model_path": str(done.model) if done.model else "",
        "src": str(folder / "lines.source"),
        "output": str(folder / "lines.output"),
        "beam_size": 1,
        "batch_size": BatchConfig().batch_size,
        "replace_unk": True,
        "world_size": 1,
        "gpu_ranks": [],
        "seed": seed,
    }
    decoded = eole_peer.decode(python, settings, folder, core=core)
    outputs = [unspell(row, tags=tags) for row in decoded.rows]
    trained = Trained(
        done.seconds,
        done.tokens,
        f"{done.steps:,} steps of up to {batch} tokens at {learning_rate:g}",
    )
    return Result(trained, judge(outputs, lines), decoded.seconds)


def train_ours(train: Pairs, watched: Pairs, folder: Path, *, seconds: float, seed: int) -> Trained:
    """Train annoseq's network for about `seconds` of processor time, and save the model.

    A learner that is thrown away first takes some steps to tell how many epochs there is time
    for; that is not part of the training, but the validation after each epoch is.
    """
    whole = Dataset.from_pairs(train, valid=watched, config=DATA)
    probe = Learner(whole, **OURS)
    each = row_seconds(probe, max_lr=OURS_RATE)
    plan = Plan.fit(len(train), row_seconds=each, seconds=seconds)
    chosen = sorted(random.Random(seed).sample(range(len(train)), plan.rows))
    rows = Pairs([train[row] for row in chosen], name=train.name)
    dataset = Dataset.from_pairs(rows, valid=watched, config=DATA, codec=whole.codec)
    learner = Learner(dataset, **OURS)
    with Stopwatch() as watch:
        learner.fit_one_cycle(plan.epochs, report=note)
    learner.save(folder)
    story = f"{plan.epochs} epochs of {plan.rows:,} rows"
    return Trained(watch.seconds, plan.epochs * spell(train).count(chosen), story)


def run_ours(
    train: Pairs, watched: Pairs, lines: Pairs, folder: Path, *, seconds: float, seed: int
) -> dict[str, Result]:
    """Train annoseq and let it write for lines, freely and faithfully."""
    trained = train_ours(train, watched, folder, seconds=seconds, seed=seed)
    annotator = Annotator.load(folder, device=CPU)
    texts = [pair.source for pair in lines]
    results: dict[str, Result] = {}
    for name, is_free in (("annoseq, free", True), ("annoseq, faithful", False)):
        search = SearchConfig(free=is_free)
        annotator.annotate(texts, search=search)  # warm
        with Stopwatch() as watch:
            found = annotator.annotate(texts, search=search)
        quality = judge([one.annotated for one in found], lines)
        results[name] = Result(trained, quality, watch.seconds)
    return results


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        "eole", "Train annoseq and eole for equal processor time, and compare.", report=REPORT
    )
    add = parser.add_argument
    add("--minutes", type=float, default=9.5, help="of processor time for each side's training")
    add("--lines", type=int, default=200, help="first dev rows of 1 to --max-tokens tokens")
    add("--max-tokens", type=int, default=100, help="leave out dev rows with a longer source")
    add("--train-tokens", type=int, default=100, help="leave out longer training rows")
    environment = cache_folder("eole-0.6.0")
    add("--environment", type=Path, default=environment, help="eole's, made if missing")
    add("--reuse", type=Path, help="folder to keep eole's model in, and to take it from")
    add("--only", choices=["eole", "annoseq"], help="run one side, and write no report")
    add("--learning-rate", type=float, default=2e-3, help="eole's highest rate")
    add("--batch-tokens", type=int, default=512, help="most tokens in a batch of eole's")
    numbers = ("minutes", "lines", "max_tokens", "train_tokens", "learning_rate", "batch_tokens")
    return read_options(parser, arguments, above_zero=numbers)


ABOUT = """\
Both sides train on MEDDOCAN's training rows for the same processor time, on one core, and write
greedily for the same dev lines in batches of 64. eole ({eole}, torch 2.13) trains a bidirectional
LSTM of 2 layers and width 256 with attention over annoseq's word tokens, its vocabulary all words
of the training rows; an unknown word that it writes is replaced by the source's (`replace_unk`).
Tokens and lines are counted in a second of processor time; a token is a word on both sides, the end
symbol counted. Loading and vocabularies are not counted, nor the short run before each training
that tells how many steps there is time for."""


def main(given: Sequence[str] | None = None) -> int:
    """Run both sides, print the table, and replace the report."""
    arguments = list(sys.argv[1:] if given is None else given)
    options = parse_arguments(arguments)

    def work() -> None:
        machine = describe_machine(torch.device("cpu"))
        results, facts = _run(options)
        table = _table(results)
        print(table)
        if options.only is None and not options.reuse:
            write_report(
                options.out,
                title="Beside eole",
                about=ABOUT.format(eole=eole_peer.EOLE.replace("==", " ")),
                tables=[table],
                facts=facts | machine | made_by("eole", arguments),
            )

    return guarded(work, error=eole_peer.PeerError)


def _table(results: dict[str, Result]) -> str:
    columns = [result.cells() for result in results.values()]
    rows = [[name, *cells] for name, *cells in zip(FIGURES, *columns, strict=True)]
    return markdown_table(["figure", *results], rows)


def _run(options: argparse.Namespace) -> tuple[dict[str, Result], dict[str, str]]:
    train, dev = read_tables(options.data, first=options.rows)
    train = choose_lines(train, max_tokens=options.train_tokens, first=len(train))
    lines = choose_lines(dev, max_tokens=options.max_tokens, first=options.lines)
    watched = Pairs(list(dev)[-WATCHED:], name=dev.name)
    seconds = options.minutes * 60
    results: dict[str, Result] = {}
    with tempfile.TemporaryDirectory() as name:
        if options.only != "annoseq":
            python = eole_peer.install(options.environment)
            results["eole"] = run_eole(
                python,
                train,
                lines,
                options.reuse or Path(name) / "eole",
                seconds=seconds,
                core=options.core,
                seed=options.seed,
                learning_rate=options.learning_rate,
                batch=options.batch_tokens,
            )
            note(_table(results))
        if options.only != "eole":
            with one_core(options.core):
                results |= run_ours(
                    train, watched, lines, Path(name) / "ours", seconds=seconds, seed=options.seed
                )
    facts = {
        "train rows": f"{len(train):,} with 1 to {options.train_tokens} word tokens (SHA-256 of "
        f"these: {train.fingerprint()[:12]})",
        "dev lines": f"the first {len(lines):,} of {len(dev):,} rows with 1 to "
        f"{options.max_tokens} word tokens (SHA-256 of all: {dev.fingerprint()[:12]})",
        "training": "; ".join(f"{side}: {one.trained.story}" for side, one in results.items()),
        "seed": str(options.seed),
    }
    return results, facts


if __name__ == "__main__":
    sys.exit(main())

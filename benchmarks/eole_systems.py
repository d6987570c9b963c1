"""Both systems of the comparison with eole: training, and decoding of the lines."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from annoseq.config import (
    AttentionConfig,
    BatchConfig,
    DataConfig,
    DeviceConfig,
    SearchConfig,
    TrainingConfig,
)
from annoseq.data.pairs import Pairs
from annoseq.inference.annotator import Annotator
from annoseq.tokenization.dataset import Dataset
from annoseq.training.learner import Learner
from benchmarks import eole_peer
from benchmarks.budget import ProcessorTimer, TrainingPlan, log, seconds_per_row
from benchmarks.eole_data import (
    Quality,
    Tokens,
    evaluate_outputs,
    from_eole_tokens,
    tags_of,
    to_eole_tokens,
)

if TYPE_CHECKING:
    from pathlib import Path

CPU = DeviceConfig(device="cpu")
DATA = DataConfig(tokens="bpe", bpe_vocab=4_000, min_frequency=1)
OURS_RATE = 4e-3
OURS: dict[str, Any] = {
    "model": AttentionConfig(),
    "training": TrainingConfig(max_lr=OURS_RATE, clip_norm=1.0),
    "batching": BatchConfig(batch_size=16),
    "device": CPU,
}
"""Settings of the training of annoseq."""


@dataclass(frozen=True, slots=True)
class Trained:
    """Training of a system; `seconds` are of processor time, `tokens` are words."""

    seconds: float
    tokens: int
    story: str


@dataclass(frozen=True, slots=True)
class Result:
    """Column of the table."""

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

    Encoder, decoder and output layer share one vocabulary of all training words, and tied weights,
    which help most where text is copied.
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
    """Train eole in `folder`, unless it holds a trained model, and decode the lines.

    A tenth of the time, at most half a minute, first tells how many steps there is time for, as
    the schedule of its rate must know; it is not part of the training.

    Raises:
        PeerError: eole failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokens, tags = to_eole_tokens(train), tags_of(train)
    done = eole_peer.load_training(folder)
    if done is None:
        config = partial(
            eole_config, tokens=tokens, seed=seed, learning_rate=learning_rate, batch=batch
        )
        probe = config(folder / "probe", steps=100_000)
        tried = eole_peer.train(
            python, probe, folder / "probe", seconds=min(30, seconds / 10), core=core
        )
        steps = max(1, int(tried.steps_per_second * seconds))
        log(f"eole: {steps:,} steps for {seconds:,.0f} s")
        whole = config(folder, steps=steps)
        done = eole_peer.train(python, whole, folder, seconds=seconds, core=core)
        eole_peer.save_training(done, folder)
    eole_peer.write_lines(folder / "lines.source", to_eole_tokens(lines).source)
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
    outputs = [from_eole_tokens(row, tags=tags) for row in decoded.rows]
    trained = Trained(
        done.seconds,
        done.tokens,
        f"{done.steps:,} steps of up to {batch} tokens at {learning_rate:g}",
    )
    return Result(trained, evaluate_outputs(outputs, lines), decoded.seconds)


def train_ours(train: Pairs, watched: Pairs, folder: Path, *, seconds: float, seed: int) -> Trained:
    """Train annoseq's network for about `seconds` of processor time, and save the model.

    A learner that is thrown away first takes some steps to tell how many epochs there is time
    for; that is not part of the training, but the validation after each epoch is.
    """
    whole = Dataset.from_pairs(train, valid=watched, config=DATA)
    probe = Learner(whole, **OURS)
    each = seconds_per_row(probe, max_lr=OURS_RATE)
    plan = TrainingPlan.fit(len(train), seconds_per_row=each, seconds=seconds)
    chosen = sorted(random.Random(seed).sample(range(len(train)), plan.rows))
    rows = Pairs([train[row] for row in chosen], name=train.name)
    dataset = Dataset.from_pairs(rows, valid=watched, config=DATA, tokenizer=whole.tokenizer)
    learner = Learner(dataset, **OURS)
    with ProcessorTimer() as watch:
        learner.fit_one_cycle(plan.epochs, report=log)
    learner.save(folder)
    story = f"{plan.epochs} epochs of {plan.rows:,} rows"
    return Trained(watch.seconds, plan.epochs * to_eole_tokens(train).count(chosen), story)


def run_ours(
    train: Pairs, watched: Pairs, lines: Pairs, folder: Path, *, seconds: float, seed: int
) -> dict[str, Result]:
    """Train annoseq and decode the lines, unconstrained and constrained."""
    trained = train_ours(train, watched, folder, seconds=seconds, seed=seed)
    annotator = Annotator.load(folder, device=CPU)
    texts = [pair.source for pair in lines]
    results: dict[str, Result] = {}
    for name, is_free in (("annoseq, free", True), ("annoseq, constrained", False)):
        search = SearchConfig(free=is_free)
        annotator.annotate(texts, search=search)  # warm
        with ProcessorTimer() as watch:
            found = annotator.annotate(texts, search=search)
        quality = evaluate_outputs([one.annotated for one in found], lines)
        results[name] = Result(trained, quality, watch.seconds)
    return results

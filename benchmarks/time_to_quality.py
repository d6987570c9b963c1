"""Training time of the attention model to the quality of the notebook's loop after 20 minutes.

Both train on the same short rows of MEDDOCAN, with the same word vocabularies, and both are
evaluated by the token accuracy of unconstrained decoding on the same dev rows. Evaluation is not
part of the time.
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from annoseq.atomic_io import atomic_file
from annoseq.config import AttentionConfig, BatchConfig, DeviceConfig, TrainingConfig
from annoseq.devices import ComputeDevice
from annoseq.inference.network_predictors import Seq2SeqGenerator
from annoseq.models.build import build_seq2seq
from annoseq.tokenization.batching import collate
from annoseq.tokenization.dataset import Dataset
from annoseq.training.learner import Learner
from annoseq.training.loop import OneCycle, Trainer
from annoseq.training.objectives import Seq2SeqObjective
from benchmarks.budget import (
    PROBE_STEPS,
    TIMING_NOTE,
    ProcessorTimer,
    TrainingPlan,
    log,
    pinned_to_core,
    seconds_per_row,
)
from benchmarks.command import exit_status, make_parser, provenance, read_options
from benchmarks.measure import describe_machine, markdown_table, write_report
from benchmarks.meddocan import read_tables
from benchmarks.notebook import predict_all
from benchmarks.notebook_loop import (
    BATCH_SIZE,
    LEARNING_RATE,
    NotebookModel,
    make_optimizer,
    sortish_batches,
    train_step,
)
from benchmarks.subsets import describe_rows, draw, keep_short, take

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from annoseq.evaluation.token_accuracy import Accuracy

REPORT = Path(__file__).with_suffix(".md")
CPU = DeviceConfig(device="cpu")
OURS, OURS_BATCHES = AttentionConfig(), BatchConfig(batch_size=16)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Metrics of a model after some processor seconds of training."""

    seconds: float
    token_accuracy: float
    exact_match: float


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """Points by time, the last at the end of training."""

    points: list[CurvePoint]
    steps: int
    epochs: float

    @property
    def end(self) -> CurvePoint:
        """Point at the end of training."""
        return self.points[-1]

    def seconds_to_reach(self, token_accuracy: float) -> float | None:
        """Return the seconds of the first point with at least this accuracy, or None."""
        good = (one.seconds for one in self.points if one.token_accuracy >= token_accuracy)
        return next(good, None)


@dataclass
class PeriodicEvaluation:
    """Evaluation of a model every `every` processor seconds of its training."""

    name: str
    evaluate: Callable[[], Accuracy]
    every: float
    points: list[CurvePoint]

    def evaluate_if_due(self, watch: ProcessorTimer, *, is_over: bool = False) -> None:
        """Evaluate if it is due, with the timer stopped."""
        last = self.points[-1].seconds if self.points else 0.0
        if not is_over and watch.seconds - last < self.every:
            return
        with watch.paused():
            values = self.evaluate().values()
            point = CurvePoint(watch.seconds, values["token_accuracy"], values["exact_match"])
            self.points.append(point)
            log(
                f"{self.name}: {point.seconds:,.0f} s, token accuracy {point.token_accuracy:.4f}, "
                f"exact match {point.exact_match:.4f}"
            )


def train_notebook(dataset: Dataset, *, seconds: float, every: float, seed: int) -> LearningCurve:
    """Train with the notebook's loop for `seconds`."""
    examples, limit = dataset.encoded_train.encodings, _longest_target(dataset)
    device = torch.device("cpu")
    torch.manual_seed(seed)
    model = NotebookModel(len(dataset.tokenizer.source), len(dataset.tokenizer.target))
    optimizer = make_optimizer(model)

    def evaluate() -> Accuracy:
        found = predict_all(
            model, dataset.encoded_valid.encodings, limit=limit, device=device
        ).accuracy
        model.train()
        return found

    observer = PeriodicEvaluation("the notebook's loop", evaluate, every, [])
    batches, steps = _endless_batches(dataset, seed=seed), 0
    model.train()
    with ProcessorTimer() as watch:
        while watch.seconds < seconds:
            observer.evaluate_if_due(watch)
            batch = collate(next(batches), examples)
            assert batch.target is not None
            train_step(model, optimizer, batch.source, batch.target)
            steps += 1
        observer.evaluate_if_due(watch, is_over=True)
    return LearningCurve(observer.points, steps, steps * BATCH_SIZE / len(examples))


def _endless_batches(dataset: Dataset, *, seed: int) -> Iterator[list[int]]:
    generator = random.Random(seed)
    while True:
        yield from sortish_batches(dataset.encoded_train.encodings, generator)


def _longest_target(dataset: Dataset) -> int:
    return max(len(example.target) for example in dataset.encoded_train.encodings) + 1


def train_attention(
    dataset: Dataset,
    *,
    seconds: float,
    every: float,
    max_lr: float,
    seed: int,
) -> LearningCurve:
    """Train the attention model for one cycle of about `seconds`.

    The number of epochs that fit is measured first with another learner.
    """
    config = TrainingConfig(max_lr=max_lr, clip_norm=1.0, seed=seed)
    probe = Learner(dataset, model=OURS, training=config, batching=OURS_BATCHES, device=CPU)
    speed = seconds_per_row(probe, max_lr=max_lr, validates=False)
    plan = TrainingPlan.fit(len(dataset.train), seconds_per_row=speed, seconds=seconds)
    chosen = draw(len(dataset.train), plan.rows, seed=seed)
    rows = take(dataset.encoded_train.encodings, chosen)
    network = build_seq2seq(probe.model_config, dataset.tokenizer, seed=seed)
    compute = ComputeDevice.select(CPU)

    def evaluate() -> Accuracy:
        network.eval()
        generator = Seq2SeqGenerator(network, dataset.tokenizer, compute)
        found = generator.predict(dataset.valid, batching=BatchConfig()).accuracy
        network.train()
        return found

    torch.manual_seed(seed)
    objective = Seq2SeqObjective(network, probe.config, train_rows=rows)
    trainer = Trainer(objective, probe.config, OURS_BATCHES, compute)
    observer = PeriodicEvaluation("attention", evaluate, every, [])
    steps = train_one_cycle(trainer, observer, epochs=plan.epochs, max_lr=max_lr)
    return LearningCurve(observer.points, steps, plan.epochs * plan.rows / len(dataset.train))


def train_one_cycle(
    trainer: Trainer, observer: PeriodicEvaluation, *, epochs: int, max_lr: float
) -> int:
    """Train for one cycle with an evaluation when due; return the number of steps."""
    run = OneCycle(trainer, first=0, epochs=epochs, max_lr=max_lr)
    batches = [rows for epoch in range(epochs) for rows in trainer.order(epoch)]
    trainer.objective.train()
    with ProcessorTimer() as watch:
        for number, rows in enumerate(batches, start=1):
            trainer.step(rows, run.optimizer, run.scaler, forcing=1.0)
            if number < len(batches):
                run.schedule.step()
                observer.evaluate_if_due(watch)
        observer.evaluate_if_due(watch, is_over=True)
    return len(batches)


def results(notebook: LearningCurve, attention: LearningCurve) -> tuple[str, str]:
    """Return the table of results and a sentence about them."""
    target = notebook.end.token_accuracy
    seconds_to_reach = attention.seconds_to_reach(target)
    curves = (notebook, attention)
    head = ["figure", "the notebook's loop", "attention"]
    rows = [
        ["training, processor minutes", *(f"{one.end.seconds / 60:.2f}" for one in curves)],
        ["steps", *(f"{one.steps:,}" for one in curves)],
        ["epochs", *(f"{one.epochs:.2f}" for one in curves)],
        ["token accuracy at the end", *(f"{one.end.token_accuracy:.4f}" for one in curves)],
        ["exact match at the end", *(f"{one.end.exact_match:.4f}" for one in curves)],
        [
            f"token accuracy of {target:.4f} reached after",
            f"{notebook.end.seconds:,.0f} s",
            "never" if seconds_to_reach is None else f"{seconds_to_reach:,.0f} s",
        ],
    ]
    if seconds_to_reach is None:
        return markdown_table(head, rows), "The attention model did NOT reach the accuracy."
    ratio = notebook.end.seconds / seconds_to_reach
    return markdown_table(head, rows), f"That is **{ratio:,.1f} times** sooner."


def curve_table(name: str, curve: LearningCurve) -> str:
    """Return the points of a curve as a table."""
    head = [f"{name}, processor seconds", "token accuracy", "exact match"]
    rows = [
        [f"{one.seconds:,.0f}", f"{one.token_accuracy:.4f}", f"{one.exact_match:.4f}"]
        for one in curve.points
    ]
    return markdown_table(head, rows)


def plot(notebook: LearningCurve, attention: LearningCurve, path: Path) -> None:
    """Draw token accuracy by processor seconds, on a logarithmic scale."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    plt.close(figure)
    for name, curve in (("the notebook's loop", notebook), ("attention", attention)):
        seconds = [point.seconds for point in curve.points]
        axes.plot(seconds, [point.token_accuracy for point in curve.points], "o-", label=name)
    axes.axhline(notebook.end.token_accuracy, color="C0", linewidth=0.8, linestyle="--")
    axes.set(
        xscale="log", xlabel="processor seconds of training",
        ylabel="dev token accuracy, free-running", ylim=(0, 1),
    )  # fmt: skip
    axes.legend()
    with atomic_file(path, overwrite=True) as new:
        figure.savefig(new, format="png", dpi=100)


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        "time_to_quality",
        "Measure how much sooner attention is as good as the notebook's loop.",
        report=REPORT,
    )
    add = parser.add_argument
    add("--minutes", type=float, default=20, help="of processor time for the notebook's loop")
    add("--ours-minutes", type=float, default=2, help="that the attention model's cycle is for")
    add("--max-lr", type=float, default=3e-3, help="the attention model's highest rate")
    add("--max-tokens", type=int, default=60, help="leave out rows with a longer source")
    add("--dev-rows", type=int, default=1000, help="so many dev rows, drawn by the seed")
    add("--every", type=float, default=120, help="seconds between evaluations, notebook's loop")
    add("--ours-every", type=float, default=15, help="seconds between evaluations, attention")
    names = ("minutes", "ours_minutes", "max_lr", "max_tokens", "dev_rows", "every", "ours_every")
    return read_options(parser, arguments, above_zero=names)


ABOUT = f"""\
The 2019 notebook's loop (batches of {BATCH_SIZE} rows, a constant rate of {LEARNING_RATE:g}) trains
for a fixed processor time. Its token accuracy at the end is the target of the attention model (its
default sizes, words as tokens, batches of {OURS_BATCHES.batch_size} rows, gradients clipped to norm
1, a one-cycle schedule). Both are evaluated by the same metric, with free greedy decoding of the
same dev rows. Not counted are the evaluation, and the {PROBE_STEPS} steps that determine the length
of the attention model's cycle. {TIMING_NOTE}"""


def run(options: argparse.Namespace) -> tuple[LearningCurve, LearningCurve, dict[str, str]]:
    """Train and evaluate both models.

    Raises:
        AnnoseqError: the data cannot be used.
    """
    facts = describe_machine(torch.device("cpu"))
    train, dev = read_tables(options.data, first=options.rows)
    whole = keep_short(
        Dataset.from_pairs(train, valid=dev), max_tokens=options.max_tokens, at_least=BATCH_SIZE
    )
    chosen = draw(len(whole.valid), options.dev_rows, seed=options.seed)
    dataset = replace(whole, valid=take(whole.valid, chosen))
    notebook = train_notebook(
        dataset, seconds=options.minutes * 60, every=options.every, seed=options.seed
    )
    attention = train_attention(
        dataset,
        seconds=options.ours_minutes * 60,
        every=options.ours_every,
        max_lr=options.max_lr,
        seed=options.seed,
    )
    facts |= describe_rows(dataset, train, dev, max_tokens=options.max_tokens) | {
        "vocabulary": f"{len(dataset.tokenizer.source):,} source, "
        f"{len(dataset.tokenizer.target):,} target tokens",
        "highest rate of attention": f"{options.max_lr:g}",
        "seed": str(options.seed),
    }
    return notebook, attention, facts


def main(given: Sequence[str] | None = None) -> int:
    """Train both models, print the table, and replace the report and its plot."""
    arguments = list(sys.argv[1:] if given is None else given)
    options = parse_arguments(arguments)

    def work() -> None:
        notebook, attention, facts = run(options)
        table, sentence = results(notebook, attention)
        print(f"{table}\n\n{sentence}")
        picture = options.out.with_suffix(".png")
        plot(notebook, attention, picture)
        curves = [("the notebook's loop", notebook), ("attention", attention)]
        shown = f"![token accuracy against processor seconds]({picture.name})"
        write_report(
            options.out,
            title="Time to quality",
            about=ABOUT,
            tables=[table, sentence, shown, *(curve_table(*one) for one in curves)],
            facts=facts | provenance("time_to_quality", arguments),
        )

    with pinned_to_core(options.core):
        return exit_status(work)


if __name__ == "__main__":
    sys.exit(main())

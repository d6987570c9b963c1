"""Every search, free and constrained, over the notebook's GRU: fidelity, span F1 and speed.

The network is annoseq's `gru` (the notebook's, without its faults), trained for a fixed time
on MEDDOCAN's short training rows, and run on the short dev rows. The results are written to
`benchmarks/decoding.md`.
"""

from __future__ import annotations

import argparse
import datetime
import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from annoseq.config import DeviceConfig, GruConfig, SearchConfig
from annoseq.data.examples import parse_pairs
from annoseq.data.pairs import Pairs, read_pairs
from annoseq.errors import AnnoseqError, OptionError
from annoseq.evaluation.span_matching import SpanScore, score_spans
from annoseq.inference.annotator import Annotator
from annoseq.tokenization.batching import shuffled_batches
from annoseq.tokenization.dataset import Dataset
from annoseq.tokenization.pretokenizer import build_pretokenizer
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer
from annoseq.training.learner import Learner
from benchmarks.measure import describe_machine, markdown_table, write_report
from benchmarks.meddocan import FOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.inference.annotation import Annotation

REPORT = Path(__file__).with_suffix(".md")
ABOUT = (
    "Every search, free and constrained, over annoseq's `gru` (the notebook's network), trained "
    "on MEDDOCAN's short training rows, on the short dev rows. "
    "Text changed is the share of outputs that, without their tags, are not their input; "
    "malformed is the share whose tags are not well nested; span F1 is strict (offsets and "
    "label), and an output that changed its text or is malformed has no spans."
)
MAX_LR = 5e-3
PROBE_STEPS = 40
"""Batches that measure the time of an epoch."""
VALIDATED = 1.15
"""Time of an epoch with validation, relative to one without."""
SEARCHES = {
    "free, greedy": SearchConfig(free=True),
    "free, beam 5": SearchConfig(free=True, search="beam", beam_size=5),
    "free, top-k 10": SearchConfig(free=True, search="top-k", k=10),
    "free, nucleus 0.9": SearchConfig(free=True, search="nucleus", p=0.9),
    "constrained, greedy": SearchConfig(),
    "constrained, beam 5": SearchConfig(search="beam", beam_size=5),
}


@dataclass(frozen=True)
class Result:
    """Measurements of a search on the dev rows."""

    rows: int
    changed: int
    malformed: int
    spans: SpanScore
    seconds: float

    def cells(self) -> list[str]:
        """Return the cells of the table."""
        return [
            f"{self.changed / self.rows:.1%}",
            f"{self.malformed / self.rows:.1%}",
            f"{self.spans.f1:.3f}",
            f"{self.rows / self.seconds:,.0f}",
        ]


def short_pairs(path: Path, *, max_tokens: int, first: int | None) -> Pairs:
    """Read the rows of up to `max_tokens` tokens.

    Raises:
        TableError: the table cannot be read.
        OptionError: no row is that short.
    """
    rule = build_pretokenizer()
    pairs = read_pairs(path)
    kept = [one for one in pairs if len(rule.pre_tokenize_str(one.source)) <= max_tokens][:first]
    if not kept:
        raise OptionError(f"{path}: no row has up to {max_tokens} tokens. Raise --max-tokens.")
    return Pairs(kept, name=pairs.name)


def train(dataset: Dataset, *, minutes: float, folder: Path) -> str:
    """Train for about `minutes`, save the model, and return a description of the training."""
    probe = Learner(dataset, model=GruConfig())
    start = time.perf_counter()
    finding = probe.lr_find(steps=PROBE_STEPS)
    batch_seconds = (time.perf_counter() - start) / len(finding.rates)
    batches = len(shuffled_batches(dataset.encoded_train.encodings, probe.batching, seed="probe"))
    epochs = max(1, round(minutes * 60 / (VALIDATED * batches * batch_seconds)))
    learner = Learner(dataset, model=GruConfig())
    start = time.perf_counter()
    learner.fit_one_cycle(epochs, MAX_LR, report=_note)
    learner.save(folder, overwrite=True)
    minutes = (time.perf_counter() - start) / 60
    return f"{epochs} epochs at a highest rate of {MAX_LR:g} in {minutes:.1f} minutes, seed 42"


def run(annotator: Annotator, pairs: Pairs, search: SearchConfig) -> Result:
    """Annotate the sources of pairs and compare with their targets."""
    texts = [pair.source for pair in pairs]
    annotator.annotate(texts[:64], search=search)  # warm
    start = time.perf_counter()
    annotations = annotator.annotate(texts, search=search)
    seconds = time.perf_counter() - start
    score = SpanScore()
    for annotation, example in zip(annotations, parse_pairs(pairs).examples, strict=True):
        score += score_spans(annotation.spans or (), example.spans or ())
    return Result(
        rows=len(texts),
        changed=sum(one.is_changed for one in annotations),
        malformed=sum(_is_malformed(one) for one in annotations),
        spans=score,
        seconds=seconds,
    )


def _is_malformed(annotation: Annotation) -> bool:
    return annotation.problem is not None and annotation.problem.startswith("malformed")


def tables(results: dict[str, Result]) -> list[str]:
    """Return the table of results as Markdown, and a sentence that compares the greedy searches."""
    head = ["search", "text changed", "malformed", "span F1", "lines/s"]
    table = markdown_table(head, [[name, *row.cells()] for name, row in results.items()])
    ratio = results["free, greedy"].seconds / results["constrained, greedy"].seconds
    sentence = (
        f"Constrained greedy search was {ratio:.1f} times as fast as free greedy search on the "
        "same rows in the same run."
    )
    return [table, sentence]


def _note(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=FOLDER, help="folder of MEDDOCAN's pairs")
    parser.add_argument(
        "--model",
        type=Path,
        default=Path("decoding-model"),
        help="model folder: used if it is there, else trained and written",
    )
    parser.add_argument("--minutes", type=float, default=20, help="of training")
    parser.add_argument("--max-tokens", type=int, default=60, help="longest row")
    parser.add_argument("--rows", type=int, help="first rows of each table only")
    parser.add_argument("--threads", type=int, help="of torch")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--report", type=Path, default=REPORT, help="Markdown file to write")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Train unless a model exists, run every search, and rewrite the report."""
    options = _arguments(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        _run(options, argv)
    except AnnoseqError as error:
        sys.exit(f"benchmarks.decoding: {error}")


def _run(options: argparse.Namespace, argv: Sequence[str] | None) -> None:
    limits = {"max_tokens": options.max_tokens, "first": options.rows}
    train_pairs, dev = (
        short_pairs(options.data / f"{name}.csv", **limits) for name in ("train", "dev")
    )
    story = options.model / "training.txt"
    if not story.exists():
        dataset = Dataset.from_pairs(train_pairs, valid=dev)
        done = train(dataset, minutes=options.minutes, folder=options.model)
        story.write_text(done, encoding="utf-8")
    annotator = Annotator.load(options.model, device=DeviceConfig(device=options.device))
    results: dict[str, Result] = {}
    for name, search in SEARCHES.items():
        results[name] = run(annotator, dev, search)
        _note(f"{name}: {', '.join(results[name].cells())}")
    tokenizer = annotator.model.tokenizer
    assert isinstance(tokenizer, Seq2SeqTokenizer)
    command = ["python", "-m", "benchmarks.decoding", *(argv or sys.argv[1:])]
    facts = {
        "data": f"MEDDOCAN, rows of up to {options.max_tokens} tokens: {len(train_pairs):,} "
        f"training, {len(dev):,} dev",
        "training": story.read_text(encoding="utf-8"),
        "vocabulary": f"{len(tokenizer.target):,} target tokens",
        **describe_machine(torch.device(annotator.device)),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": f"`{shlex.join(command)}`",
    }
    written = tables(results)
    print("\n\n".join(written))
    write_report(
        options.report, title="Searches on real text", about=ABOUT, tables=written, facts=facts
    )


if __name__ == "__main__":
    main()

"""Training of the tagger or of spaCy's NER, and span metrics on the dev rows."""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from annoseq.config import DeviceConfig, TaggerConfig, TrainingConfig
from annoseq.data.examples import parse_pairs
from annoseq.data.pairs import read_pairs
from annoseq.evaluation.span_matching import SpanScore, score_spans
from annoseq.inference.annotator import Annotator
from annoseq.tokenization.dataset import Dataset
from annoseq.training.learner import Learner
from benchmarks import spacy_peer
from benchmarks.budget import log

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from annoseq.data.markup import Span
    from annoseq.data.pairs import Pairs
    from annoseq.tokenization.gazetteer import LexiconFeatures
    from annoseq.training.recorder import Epoch

LANGUAGES = {"meddocan": "es", "asq_phi": "en", "bc5cdr": "en", "ncbi_disease": "en"}
CPU = DeviceConfig(device="cpu")


@dataclass(frozen=True, slots=True)
class Quality:
    """Strict span metrics on the dev rows; `unseen` counts rows whose text is not in training."""

    precision: float
    recall: float
    f1: float
    unseen: float
    inner: float | None

    @classmethod
    def of(cls, found: Sequence[Sequence[Span]], train: Pairs, dev: Pairs) -> Quality:
        """Compare with the spans of the dev pairs."""
        seen = {pair.source for pair in train}
        every, unseen, inner = SpanScore(), SpanScore(), SpanScore()
        examples = parse_pairs(dev, task="annotate").examples
        for example, spans in zip(examples, found, strict=True):
            expected = example.tight_spans
            score = score_spans(spans, expected)
            every += score
            inner += score_spans(_inner(spans), _inner(expected))
            if example.source not in seen:
                unseen += score
        nested = inner.f1 if inner.gold else None
        return cls(every.precision, every.recall, every.f1, unseen.f1, nested)


def _inner(spans: Sequence[Span]) -> list[Span]:
    """Return the spans, in opening order, that lie within one before them."""
    return [
        span
        for place, span in enumerate(spans)
        if any(span.end <= other.end for other in spans[:place])
    ]


@dataclass(frozen=True, slots=True)
class RunResult:
    """Training: processor and wall seconds with validation, dev F1 by epoch, and final metrics."""

    seconds: float
    wall: float
    curve: list[tuple[float, float, float]]
    quality: Quality
    chars_per_second: float
    story: str

    def to_dict(self) -> dict[str, Any]:
        """Return a dictionary of plain values."""
        return asdict(self)


def read_corpus(data: Path, corpus: str) -> tuple[Pairs, Pairs]:
    """Read the training and the dev pairs of a corpus."""
    folder = data / corpus / "pairs"
    return read_pairs(folder / "train.csv"), read_pairs(folder / "dev.csv")


def run_tagger(
    data: Path,
    corpus: str,
    folder: Path,
    *,
    seed: int = 42,
    tagger: TaggerConfig | None = None,
    lexicon_features: LexiconFeatures | None = None,
    epochs: int | None = None,
) -> RunResult:
    """Train a tagger with default settings, and evaluate its best epoch on the dev rows."""
    train, dev = read_corpus(data, corpus)
    dataset = Dataset.from_pairs(train, valid=dev)
    began, wall = time.process_time(), time.perf_counter()
    learner = Learner(
        dataset,
        model=tagger or TaggerConfig(),
        training=TrainingConfig(seed=seed),
        device=CPU,
        lexicon_features=lexicon_features,
    )
    curve: list[tuple[float, float, float]] = []

    def watch(row: Epoch) -> None:
        point = (time.process_time() - began, time.perf_counter() - wall, row.score)
        curve.append(point)
        log(f"{corpus}: epoch {row.epoch}, {point[0]:.0f} s, F1 {row.score:.4f}")

    learner.fit_one_cycle(epochs, report=lambda line: None, after_epoch=watch)
    seconds, passed = time.process_time() - began, time.perf_counter() - wall
    learner.save(folder, overwrite=True)
    annotator = Annotator.load(folder, device=CPU)
    found, speed = annotate(annotator, [pair.source for pair in dev])
    quality = Quality.of(found, train, dev)
    return RunResult(seconds, passed, curve, quality, speed, f"{learner.epochs} epochs")


def annotate(annotator: Annotator, texts: Sequence[str]) -> tuple[list[list[Span]], float]:
    """Return the spans of texts, and the characters read in a second of processor time."""
    annotator.annotate(texts[:200], advance=_ignore)  # warm
    began = time.process_time()
    found = annotator.annotate(texts, advance=_ignore)
    seconds = time.process_time() - began
    return [list(one.spans or ()) for one in found], sum(map(len, texts)) / seconds


def _ignore(_: int) -> None:
    pass


def run_spacy(data: Path, corpus: str, folder: Path) -> RunResult:
    """Train spaCy's NER on the same rows until it stops, and evaluate it on the dev rows."""
    train, dev = read_corpus(data, corpus)
    if folder.exists():
        shutil.rmtree(folder)
    wall = time.perf_counter()
    trained = spacy_peer.train(train, dev, folder, language=LANGUAGES[corpus])
    passed = time.perf_counter() - wall
    texts = [pair.source for pair in dev]
    found, seconds = spacy_peer.annotate(trained.folder, texts)
    quality = Quality.of(found, train, dev)
    speed = sum(map(len, texts)) / seconds
    return RunResult(trained.seconds, passed, [], quality, speed, "to its own early stop")

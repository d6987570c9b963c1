"""Evaluation of a trained model on dev rows: quality and speed, unconstrained and constrained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import torch

from annoseq.config import DeviceConfig, SearchConfig
from annoseq.evaluation.token_accuracy import Accuracy, measure_accuracy
from annoseq.inference.annotator import Annotator
from annoseq.tokenization.pretokenizer import build_pretokenizer
from annoseq.tokenization.vocabulary import END, SPECIALS
from benchmarks.budget import ProcessorTimer
from benchmarks.eole_data import evaluate_outputs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from annoseq.data.pairs import Pairs

CPU = DeviceConfig(device="cpu")


@dataclass(frozen=True, slots=True)
class Trained:
    """Training of a model: processor seconds, target words seen, and a description."""

    seconds: float
    words: int
    story: str


@dataclass(frozen=True, slots=True)
class Result:
    """Metrics of a model: shares of the dev rows, speeds in lines per processor second."""

    trained: Trained
    constrained_f1: float
    constrained_changed: float
    free_f1: float
    free_exact: float
    free_changed: float
    token_accuracy: float
    bleu: float | None
    free_speed: float
    constrained_speed: float

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return a result from its `asdict`."""
        return cls(**values | {"trained": Trained(**values["trained"])})

    def cells(self) -> list[str]:
        """Return the figures in the order of `FIGURES`."""
        return [
            f"{self.trained.seconds / 60:.1f}",
            f"{self.trained.words / self.trained.seconds:,.0f}",
            f"{self.constrained_f1:.3f}",
            f"{self.constrained_changed:.1%}",
            f"{self.free_f1:.3f}",
            f"{self.free_exact:.1%}",
            f"{self.token_accuracy:.4f}",
            "-" if self.bleu is None else f"{self.bleu:.1f}",
            f"{self.free_changed:.1%}",
            f"{self.free_speed:,.1f}",
            f"{self.constrained_speed:,.1f}",
        ]


FIGURES = (
    "training, processor minutes",
    "training, target words/s",
    "constrained, span F1",
    "constrained, texts changed",
    "free, span F1",
    "free, exact match",
    "free, token accuracy",
    "free, BLEU",
    "free, texts changed",
    "free, greedy lines/s",
    "constrained, greedy lines/s",
)


def split_words(annotated: str) -> list[str]:
    """Tokenize annotated text into words; a tag is one word."""
    rule = build_pretokenizer(keeps_tags=True)
    return [word for word, _ in rule.pre_tokenize_str(annotated)]


def word_accuracy(outputs: Sequence[str], targets: Sequence[str]) -> float:
    """Return the share of target words, end symbols included, that are correct at their position.

    The token accuracy of training, but over words of the text, so that it does not depend on the
    tokens or the vocabulary of a model.
    """
    ids: dict[str, int] = {}

    def row(text: str) -> torch.Tensor:
        known = [ids.setdefault(word, len(ids) + len(SPECIALS)) for word in split_words(text)]
        return torch.tensor([[*known, END]])

    pairs = zip(outputs, targets, strict=True)
    found = sum(
        (measure_accuracy(row(output), row(target)) for output, target in pairs), Accuracy()
    )
    return found.token.value


def bleu(outputs: Sequence[str], targets: Sequence[str]) -> tuple[float | None, str]:
    """Return sacrebleu's corpus BLEU with its signature, or none where it is not installed."""
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError:
        return None, "sacrebleu is not installed"
    metric = BLEU()
    score = metric.corpus_score(outputs, [targets]).score
    return score, str(metric.get_signature())


def evaluate_model(folder: Path, lines: Pairs, trained: Trained) -> tuple[Result, str]:
    """Decode lines, unconstrained and constrained; also return the signature of BLEU."""
    annotator = Annotator.load(folder, device=CPU)
    texts, targets = [pair.source for pair in lines], [pair.target for pair in lines]
    written: dict[bool, list[str]] = {}
    speeds: dict[bool, float] = {}
    for is_free in (True, False):
        search = SearchConfig(free=is_free)
        annotator.annotate(texts[:64], search=search)  # warm
        with ProcessorTimer() as watch:
            found = annotator.annotate(texts, search=search)
        written[is_free] = [one.annotated for one in found]
        speeds[is_free] = len(texts) / watch.seconds
    free, constrained = (evaluate_outputs(written[is_free], lines) for is_free in (True, False))
    score, signature = bleu(written[True], targets)
    result = Result(
        trained=trained,
        constrained_f1=constrained.spans.f1,
        constrained_changed=1 - constrained.unchanged / len(lines),
        free_f1=free.spans.f1,
        free_exact=free.exact / len(lines),
        free_changed=1 - free.unchanged / len(lines),
        token_accuracy=word_accuracy(written[True], targets),
        bleu=score,
        free_speed=speeds[True],
        constrained_speed=speeds[False],
    )
    return result, signature

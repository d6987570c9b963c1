"""Scores of trained taggers on dev rows that chose nothing, and their tables.

Runs are named SYSTEM-CORPUS-SEED; seed 0 is that of a system without one.
"""

from __future__ import annotations

import time
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from annoseq.config import DataConfig, DeviceConfig
from annoseq.data.examples import parse_pairs
from annoseq.data.pairs import Pairs
from annoseq.devices import ComputeDevice
from annoseq.evaluation.calibration import BinTotals, expected_calibration_error, judge_spans
from annoseq.evaluation.coverage_counter import count_coverage
from annoseq.inference.annotator import Annotator
from annoseq.tokenization.dataset import Dataset
from benchmarks.measure import markdown_table
from benchmarks.tagger_runs import Quality, read_corpus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from annoseq.evaluation.coverage import CoveragePoint

CORPORA = ("meddocan", "bc5cdr", "ncbi_disease", "asq_phi", "gum_open")
SEEDS = (42, 1, 2)
COSTS = (0.003, 0.01, 0.04)
"""Shares of other tokens at which the coverage is read off the curve."""
KEPT = 0.1
"""Share of the training rows that is kept for validation."""
MONITORED_ROWS = 50
"""Training rows that are scored after each epoch where none are kept: nothing is chosen by them,
and they have too few spans for a calibration."""
_ROOM = 1.05


def split_corpus(
    data: Path,
    corpus: str,
    *,
    rows: int | None = None,
    train_rows: int | None = None,
    kept: float = KEPT,
) -> tuple[Dataset, Pairs, Pairs]:
    """Return a corpus with a share of its training rows kept for validation, and its pairs.

    `rows` are the first rows of both tables, `train_rows` those of the training table alone. Where
    no share is kept, all rows are trained on.
    """
    train, dev = (Pairs(pairs[:rows], name=pairs.name) for pairs in read_corpus(data, corpus))
    train = Pairs(train[:train_rows], name=train.name)
    if not kept:
        return dataset_of_all_rows(train), train, dev
    config = DataConfig(task="annotate", valid_share=kept)
    return Dataset.from_pairs(train, config=config), train, dev


def dataset_of_all_rows(train: Pairs) -> Dataset:
    """Return the dataset of a training on all rows, of which some are monitored."""
    monitored = Pairs(train[:MONITORED_ROWS], name="monitored")
    return Dataset.from_pairs(train, valid=monitored, config=DataConfig(task="annotate"))


def evaluate(folder: Path, train: Pairs, dev: Pairs, device: str) -> dict[str, Any]:
    """Annotate the dev rows; return span scores, calibration error, coverage and speed."""
    annotator = Annotator.load(folder, device=DeviceConfig(device=device, precision="float32"))
    examples = parse_pairs(dev, task="annotate").examples
    texts = [example.source for example in examples]
    annotator.annotate(texts[:200], advance=_ignore)  # warm
    clock = device_clock(device)
    began = clock()
    found = [list(one.spans or ()) for one in annotator.annotate(texts, advance=_ignore)]
    seconds = clock() - began
    quality = Quality.of(found, train, dev)
    judged = [
        (span.score or 0.0, right)
        for example, spans in zip(examples, found, strict=True)
        for span, right in judge_spans(example.tight_spans, spans)
    ]
    scores, correct = map(list, zip(*judged, strict=True)) if judged else ([], [])
    totals = BinTotals.of_spans(scores, correct)
    curve = count_coverage(examples, annotator.score_coverage(texts)).curve()
    return {
        "precision": quality.precision,
        "recall": quality.recall,
        "f1": quality.f1,
        "error": float(expected_calibration_error(totals)) if judged else None,
        "coverage": [_at_cost(curve, cost) for cost in COSTS],
        "chars_per_second": sum(map(len, texts)) / seconds,
    }


def _at_cost(curve: Sequence[CoveragePoint], cost: float) -> list[float] | None:
    """Return coverage and share of documents without a miss where other tokens cost so much."""
    points = [point for point in curve if point.other_share <= _ROOM * cost]
    return [points[-1].coverage, points[-1].clean_share] if points else None


def device_clock(device: str) -> Callable[[], float]:
    """Return the clock of a device: processor time on a CPU, which other processes may share."""
    is_cpu = ComputeDevice.select(device).device.type == "cpu"
    return time.process_time if is_cpu else time.perf_counter


def _ignore(_: int) -> None:
    pass


def _found(outcomes: Mapping[str, Any], system: str, corpus: str) -> list[dict[str, Any]]:
    names = [f"{system}-{corpus}-{seed}" for seed in (0, *SEEDS)]
    return [outcomes[name] for name in names if name in outcomes]


def score_tables(outcomes: Mapping[str, Any], systems: Mapping[str, str]) -> list[str]:
    """Return the table of scores, and that of coverage where MEDDOCAN is among the corpora."""
    tables = [_score_table(outcomes, systems)]
    if any(_found(outcomes, system, "meddocan") for system in systems):
        tables.append(_coverage_table(outcomes, systems))
    return tables


def _score_table(outcomes: Mapping[str, Any], systems: Mapping[str, str]) -> str:
    """Return the table of span scores, calibration and speed: means over seeds."""
    rows = []
    for corpus in CORPORA:
        for system, title in systems.items():
            found = _found(outcomes, system, corpus)
            if not found:
                continue
            scores = [one["f1"] for one in found]
            errors = [one["error"] for one in found if one["error"] is not None]
            rows.append([
                corpus,
                title,
                *(f"{mean(one[key] for one in found):.4f}" for key in ("precision", "recall")),
                f"{mean(scores):.4f}",
                f"{stdev(scores):.4f}" if len(scores) > 1 else "",
                str(len(found)),
                f"{mean(errors):.4f}" if errors else "",
                f"{mean(one['seconds'] for one in found):,.0f}",
                f"{mean(one['chars_per_second'] for one in found):,.0f}",
            ])  # fmt: skip
    head = [
        *("dev rows", "model", "precision", "recall", "F1", "spread", "seeds"),
        *("calibration error", "training, s", "characters/s"),
    ]
    return markdown_table(head, rows)


def _coverage_table(outcomes: Mapping[str, Any], systems: Mapping[str, str]) -> str:
    """Return the table of what is covered on MEDDOCAN, at each cost in other tokens."""
    rows = []
    for system, title in systems.items():
        found = _found(outcomes, system, "meddocan")
        for place, cost in enumerate(COSTS):
            points = [point for one in found if (point := one["coverage"][place])]
            if points:
                covered, clean = (f"{mean(values):.4f}" for values in zip(*points, strict=True))
                rows.append([title, f"{cost:.1%}", covered, clean])
    head = ["meddocan, dev", "other tokens marked", "covered", "documents without a miss"]
    return markdown_table(head, rows)

"""Calibration of a tagger on held-out rows: streaming statistics and their runner."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, get_args

import numpy as np

from annoseq.config import BatchConfig
from annoseq.decoding.non_crossing import select_non_crossing
from annoseq.evaluation.calibration import (
    Calibration,
    Method,
    expected_calibration_error,
    judge_spans,
)
from annoseq.evaluation.recall_thresholds import MIN_GOLD_SPANS, CalibrationStatistics, score_bin
from annoseq.progress import progress_bar
from annoseq.tokenization.batching import collate_sources, longest_first
from annoseq.tokenization.bioes import token_spans_to_text
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from annoseq.data.markup import Span
    from annoseq.data.examples import Example
    from annoseq.devices import ComputeDevice
    from annoseq.models.tagger import Tagger
    from annoseq.tokenization.batching import Batch
    from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer


if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from annoseq.data.markup import Span
    from annoseq.evaluation.counts import Array

    Flags = NDArray[np.bool_]

_LIKELY = 0.1
"""How much more alike the spans of a document are is seen in those found at this score."""


class _Judged(NamedTuple):
    """Scores (N,), whether each was right, and whether its document has an even number."""

    scores: Array
    is_right: Flags
    is_even: Flags


class CalibrationAccumulator:
    """Takes rows, and makes evidence of them. Rows of a document must follow one another."""

    def __init__(self, *, floor: float) -> None:
        self.floor = floor
        self.rows = 0
        self._documents: list[tuple[int, int]] = []  # gold spans, and those found
        self._document: str | None = None
        self._right: Counter[tuple[str, int]] = Counter()
        self._wrong: Counter[tuple[str, int]] = Counter()
        self._missed: Counter[str] = Counter()
        self._candidates: list[tuple[float, bool, bool]] = []
        self._likeliest: list[tuple[float, bool, bool]] = []

    def add(
        self,
        gold: Sequence[Span],
        candidates: Sequence[Span],
        likeliest: Sequence[Span],
        *,
        document: str | None,
    ) -> None:
        """Take a row: its gold spans, all candidates that could stand together, the likeliest."""
        self.rows += 1
        if document is None or document != self._document or not self._documents:
            self._documents.append((0, 0))
            self._document = document
        is_even = len(self._documents) % 2 == 0
        self._missed.update(span.label for span in gold)
        found = 0
        for span, is_right in judge_spans(gold, candidates):
            score = span.score or 0.0
            self._candidates.append((score, is_right, is_even))
            (self._right if is_right else self._wrong)[span.label, score_bin(score)] += 1
            self._missed[span.label] -= is_right
            found += is_right and score >= _LIKELY
        self._likeliest += (
            (span.score or 0.0, is_right, is_even)
            for span, is_right in judge_spans(gold, likeliest)
        )
        before = self._documents[-1]
        self._documents[-1] = (before[0] + len(gold), before[1] + found)

    def evidence(self) -> CalibrationStatistics | None:
        """Return what is known, or None where there are too few spans to tell."""
        gold = sum(all_ for all_, _ in self._documents)
        candidates, likeliest = map(_judged, (self._candidates, self._likeliest))
        if gold < MIN_GOLD_SPANS or not _can_be_fitted(candidates):
            return None
        errors = {method: _crossed(candidates, likeliest, method) for method in get_args(Method)}
        method: Method = min(errors, key=errors.__getitem__)  # of equals the first, simpler one
        labels = sorted({label for label, _ in (*self._right, *self._wrong)})
        return CalibrationStatistics(
            rows=self.rows,
            documents=len(self._documents),
            floor=self.floor,
            calibration=Calibration.fit(*_lists(candidates), method=method),
            error_before=expected_calibration_error(*_lists(likeliest)),
            error_after=errors[method],
            clustering=_clustering(self._documents),
            curves={label: self._curve(label) for label in labels},
            missed={label: count for label, count in sorted(self._missed.items()) if count},
        )

    def _curve(self, label: str) -> tuple[tuple[int, int, int], ...]:
        places = {at for name, at in (*self._right, *self._wrong) if name == label}
        return tuple(
            (at, self._right[label, at], self._wrong[label, at])
            for at in sorted(places, reverse=True)
        )


def _judged(found: Sequence[tuple[float, bool, bool]]) -> _Judged:
    table = np.array(found, dtype=np.float64).reshape(-1, 3)
    return _Judged(table[:, 0], table[:, 1] > 0, table[:, 2] > 0)


def _lists(judged: _Judged) -> tuple[list[float], list[bool]]:
    return judged.scores.tolist(), judged.is_right.tolist()


def _half(judged: _Judged, is_even: bool) -> _Judged:
    chosen = judged.is_even == is_even
    return _Judged(*(one[chosen] for one in judged))


def _can_be_fitted(candidates: _Judged) -> bool:
    """Tell whether either half of the documents has right candidates and wrong ones."""
    halves = [_half(candidates, is_even).is_right for is_even in (False, True)]
    return all(len(one) > 1 and one.any() and not one.all() for one in halves)


def _crossed(candidates: _Judged, likeliest: _Judged, method: Method) -> float:
    """Return the calibration error of the likeliest spans, each half fitted on the other."""
    probabilities = np.empty(len(likeliest.scores))
    for is_even in (False, True):
        fitted = Calibration.fit(*_lists(_half(candidates, not is_even)), method=method)
        here = likeliest.is_even == is_even
        probabilities[here] = fitted.apply(likeliest.scores[here].tolist())
    return expected_calibration_error(probabilities.tolist(), likeliest.is_right.tolist())


def _clustering(documents: Sequence[tuple[int, int]]) -> float:
    """Return the design effect: the variance of the recall, of documents over that of spans."""
    gold, found = np.array(documents, dtype=np.float64).T
    recall = found.sum() / gold.sum()
    alone = gold.sum() * recall * (1 - recall)
    return max(1.0, float(((found - recall * gold) ** 2).sum() / alone)) if alone else 1.0


_FLOORS = (1e-2, 1e-3, 1e-4, 1e-5)
"""How likely a candidate must be: the lowest of these at which there are not too many.

On MEDDOCAN's dev rows 97.5 % of the gold spans have a candidate of at least 1e-2 that can be kept,
98.2 % at 1e-3, 98.7 % at 1e-4, 99.0 % at 1e-5, and 99.1 % at 1e-6: there are 1.1, 1.5, 2.6, 5 and
12 candidates for each gold span."""
_MOST = 10
"""Candidates to a token: beyond that, as of a network that has learned nothing, they are noise."""
_WIDE = BatchConfig(batch_size=256, batch_tokens=16_384)
"""What is read at once, as an annotator does."""
_CHUNK = 1_000
"""Rows whose candidates are in memory at once."""


@dataclass(frozen=True)
class CalibrationRunner:
    """A tagger, and what reading with it takes."""

    network: Tagger
    tokenizer: TaggerTokenizer
    compute: ComputeDevice

    def judge(self, examples: Sequence[Example]) -> CalibrationStatistics | None:
        """Compare the candidates of rows with their gold spans; None where spans are too few."""
        examples = [example for example in examples if example.source]
        if sum(len(example.spans or ()) for example in examples) < MIN_GOLD_SPANS:
            return None
        self.network.to(self.compute.device).eval()
        gathering = CalibrationAccumulator(floor=self._floor(examples))
        with progress_bar("calibrating", total=len(examples)) as advance:
            for start in range(0, len(examples), _CHUNK):
                chunk = examples[start : start + _CHUNK]
                found = self._read(chunk, floor=gathering.floor, advance=advance)
                for row, example in enumerate(chunk):
                    gathering.add(example.tight_spans, *found[row], document=example.document)
        return gathering.evidence()

    def _floor(self, pairs: Sequence[Example]) -> float:
        """Look at rows of middling length, and choose how likely a candidate must be."""
        batches = self._batches(pairs[:_CHUNK])
        batch = batches[len(batches) // 2]
        most, chosen = _MOST * int(batch.source_lengths.sum()), _FLOORS[0]
        for floor in _FLOORS[1:]:
            with self.compute.autocast():
                found = self.network.candidates(batch, floor=floor, longest=self.tokenizer.widest)
            if sum(len(one.spans) for one in found) > most:
                break
            chosen = floor
        return chosen

    def _read(
        self, pairs: Sequence[Example], *, floor: float, advance: Callable[[int], None]
    ) -> dict[int, tuple[list[Span], list[Span]]]:
        """Return of each row the candidates that can stand together, and the likeliest spans."""
        found = {}
        for batch in self._batches(pairs):
            with self.compute.autocast():
                candidates = self.network.candidates(batch, floor=floor, longest=self.tokenizer.widest)
                likeliest = self.network.spans(batch)
            for row, some, best in zip(batch.rows, candidates, likeliest, strict=True):
                text = pairs[row].source
                read = partial(
                    token_spans_to_text,
                    text,
                    self.tokenizer.tokenize(text).offsets,
                    labels=self.tokenizer.labels,
                )
                found[row] = (select_non_crossing(read(some.spans)), read(best.spans))
            advance(len(batch.rows))
        return found

    def _batches(self, pairs: Sequence[Example]) -> list[Batch]:
        examples = [Seq2SeqEncoding(self.tokenizer.encode_text(pair.source)[1], []) for pair in pairs]
        return [
            collate_sources(rows, examples, has_ends=False).to(self.compute.device)
            for rows in longest_first(examples, _WIDE)
        ]

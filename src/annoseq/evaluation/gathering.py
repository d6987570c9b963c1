"""Evidence gathered from rows that were not trained on, one at a time: only counts are kept."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, get_args

import numpy as np

from annoseq.evaluation.calibration import Calibration, Method, expected_calibration_error
from annoseq.evaluation.evidence import FEWEST, Evidence, place_of
from annoseq.evaluation.reliability import verdicts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from annoseq.evaluation.statistics import Array
    from annoseq.pairs.markup import Span

    Flags = NDArray[np.bool_]

_LIKELY = 0.1
"""How much more alike the spans of a document are is seen in those found at this score."""


class _Judged(NamedTuple):
    """Scores (N,), whether each was right, and whether its document has an even number."""

    scores: Array
    is_right: Flags
    is_even: Flags


class Gathering:
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
        for span, is_right in verdicts(gold, candidates):
            score = span.score or 0.0
            self._candidates.append((score, is_right, is_even))
            (self._right if is_right else self._wrong)[span.label, place_of(score)] += 1
            self._missed[span.label] -= is_right
            found += is_right and score >= _LIKELY
        self._likeliest += (
            (span.score or 0.0, is_right, is_even) for span, is_right in verdicts(gold, likeliest)
        )
        before = self._documents[-1]
        self._documents[-1] = (before[0] + len(gold), before[1] + found)

    def evidence(self) -> Evidence | None:
        """Return what is known, or None where there are too few spans to tell."""
        gold = sum(all_ for all_, _ in self._documents)
        candidates, likeliest = map(_judged, (self._candidates, self._likeliest))
        if gold < FEWEST or not _can_be_fitted(candidates):
            return None
        errors = {method: _crossed(candidates, likeliest, method) for method in get_args(Method)}
        method: Method = min(errors, key=errors.__getitem__)  # of equals the first, simpler one
        labels = sorted({label for label, _ in (*self._right, *self._wrong)})
        return Evidence(
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

"""Scores a stream of documents in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from annoseq._version import __version__
from annoseq.evaluation.bootstrap import REPLICATES, SEED, Bootstrap, interval
from annoseq.evaluation.reliability import BINS, calibration_error
from annoseq.evaluation.scores import (
    gold_spans,
    output_scores,
    predicted_spans,
    scheme_score,
    span_scores,
)
from annoseq.evaluation.statistics import Sums
from annoseq.evaluation.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from annoseq.evaluation.bootstrap import Interval
    from annoseq.evaluation.comparison import Comparison
    from annoseq.evaluation.statistics import Array, Statistics
    from annoseq.evaluation.text_scores import TextScorer


@dataclass(frozen=True, slots=True)
class Score:
    """A score and where 95 % of its replicates lie, if there are documents enough to say.

    `replicates` has the score of each replicate (R,).
    """

    value: float
    interval: Interval | None
    replicates: Array


@dataclass(frozen=True, slots=True)
class LabelScore:
    """The strict score of a label, its F1 under overlap, and how many spans it has."""

    gold: int
    predicted: int
    precision: Score
    recall: Score
    f1: Score
    partial_f1: float
    type_f1: float


class Part:
    """The rows of a table, or those of them that were not trained on."""

    def __init__(self, tally: Tally, *, replicates: int, seed: int) -> None:
        self._tally = tally
        self._size = replicates
        self._bootstrap = Bootstrap(replicates=replicates, seed=seed, keeps=_is_resampled)

    def add(self, rows: Sequence[Comparison]) -> None:
        """Count a document."""
        self._bootstrap.add(self._tally.count(rows))

    @property
    def counts(self) -> Statistics:
        """All sums."""
        return self._bootstrap.totals

    @property
    def rows(self) -> int:
        """How many rows were scored."""
        return self.counts["rows"]

    @property
    def documents(self) -> int:
        """How many documents they are of."""
        return self._bootstrap.documents

    def scores(self) -> dict[str, Score]:
        """Return all scores by name."""
        values, replicates = map(self._compute, (Sums(self.counts), self._bootstrap.replicates()))
        return {name: self._score(value, replicates[name]) for name, value in values.items()}

    def label_scores(self) -> dict[str, LabelScore]:
        """Return the scores of each label."""
        sums, samples = Sums(self.counts), self._bootstrap.replicates()
        found = {}
        for label in sums.labels:
            values = scheme_score(sums, "strict", label=label)
            replicates = scheme_score(samples, "strict", label=label)
            parts = {name: self._score(values[name], replicates[name]) for name in values}
            others = {
                f"{scheme}_f1": float(scheme_score(sums, scheme, label=label)["f1"])
                for scheme in ("partial", "type")
            }
            found[label] = LabelScore(
                int(gold_spans(sums, label)),
                int(predicted_spans(sums, label)),
                parts["precision"],
                parts["recall"],
                parts["f1"],
                others["partial_f1"],
                others["type_f1"],
            )
        return found

    def _score(self, value: Array, replicates: Array) -> Score:
        everywhere = np.broadcast_to(replicates, (self._size,))  # a count that is always 0 is one 0
        return Score(float(value), interval(everywhere, documents=self.documents), everywhere)

    def _compute(self, sums: Sums) -> dict[str, Array]:
        found = span_scores(sums) if self._tally.has_spans else {}
        found |= output_scores(sums)
        if self._tally.text and "output.rows" in sums:
            found |= self._tally.text.scores(sums)
        if any(name.startswith("reliability") for name in self.counts):
            found["calibration_error"] = calibration_error(sums)
        return found


class Scorer:
    """Scores documents one after the other, the rows that were not trained on apart.

    `labels` are those that an output may use.
    """

    def __init__(
        self,
        *,
        labels: Collection[str],
        text: TextScorer | None = None,
        has_spans: bool = True,
        replicates: int = REPLICATES,
        seed: int = SEED,
    ) -> None:
        tally = Tally(frozenset(labels), text, has_spans)
        self.all = Part(tally, replicates=replicates, seed=seed)
        self.unseen = Part(tally, replicates=replicates, seed=seed)
        self.replicates, self.seed = replicates, seed
        self._text = text
        self._has_spans = has_spans

    def add(self, rows: Sequence[Comparison]) -> None:
        """Score the rows of a document."""
        self.all.add(rows)
        if unseen := [row for row in rows if row.is_unseen]:
            self.unseen.add(unseen)

    def add_all(self, documents: Iterable[Sequence[Comparison]]) -> None:
        """Score documents."""
        for rows in documents:
            self.add(rows)

    @property
    def signature(self) -> str:
        """All that the scores depend on besides the rows."""
        parts = [f"annoseq:{__version__}"]
        if self._has_spans:
            parts += [
                "offsets:code points",
                "overlap:any",
                "macro:labels of the gold",
                "tokens:annoseq",
                "leak:missed spans per sentence",
                f"bins:{BINS}",
            ]
        parts.append(f"interval:95% Poisson bootstrap of {self.replicates}, seed {self.seed}")
        if self._text:
            parts += [f"{name}({one})" for name, one in self._text.signatures.items()]
        return "|".join(parts)


def _is_resampled(name: str) -> bool:
    """Of counts of single labels, only those of the strict score."""
    return name.startswith("strict.") or ("@" not in name and ":" not in name)

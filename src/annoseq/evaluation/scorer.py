"""Streaming scorer of documents, and its terminal rendering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from annoseq._version import __version__
from annoseq.evaluation.bootstrap import REPLICATES, SEED, PoissonBootstrap, percentile_interval
from annoseq.evaluation.calibration import BINS, calibration_error, count_reliability
from annoseq.evaluation.confusion_matrix import count_confusions
from annoseq.evaluation.counts import Counts, CountTotals, add_counts
from annoseq.evaluation.deid_metrics import (
    count_characters,
    count_document,
    count_merged,
    count_sentences,
)
from annoseq.evaluation.error_analysis import count_fidelity_errors
from annoseq.evaluation.metrics import (
    gold_spans,
    output_scores,
    predicted_spans,
    scheme_score,
    span_scores,
)
from annoseq.evaluation.span_matching import SCHEMES, count_matches

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from annoseq.data.markup import Span
    from annoseq.evaluation.bootstrap import ConfidenceInterval
    from annoseq.evaluation.counts import Array, SpanComparison
    from annoseq.evaluation.span_matching import Scheme
    from annoseq.evaluation.text_scores import TextScorer


_OF_ONE_LABEL: tuple[Scheme, ...] = ("strict", "partial", "type")
"""Among spans of one label, exact is strict."""


@dataclass(frozen=True)
class DocumentCounter:
    """Counts documents. `labels` are those that an output may use; `text` counts BLEU and others.

    Without `has_spans` (where models translate), spans are not counted.
    """

    labels: Collection[str]
    text: TextScorer | None = None
    has_spans: bool = True

    def count(self, rows: Sequence[SpanComparison]) -> Counts:
        """Count the rows of one document."""
        counts = Counts({"rows": len(rows), "documents": 1})
        for row in rows:
            if self.has_spans:
                add_counts(counts, _count_spans(row))
            if row.output is not None:
                add_counts(counts, self._count_output(row, row.output))
        if self.has_spans and any(row.gold or row.predicted for row in rows):
            add_counts(counts, count_merged(rows))
            add_counts(counts, count_document(rows))
        return counts

    def _count_output(self, row: SpanComparison, output: str) -> Counts:
        counts = Counts()
        if self.has_spans:
            add_counts(counts, count_fidelity_errors(row.text, output, labels=self.labels))
        if row.target is not None:
            add_counts(counts, {"output.rows": 1, "output.exact": int(output == row.target)})
            if self.text:
                add_counts(counts, self.text.count(output, row.target))
        return counts


def _count_spans(row: SpanComparison) -> Counts:
    counts = Counts({"sentences": count_sentences(row.text)})
    gold, predicted = sorted(row.gold), sorted(row.predicted)
    counts["perfect_rows"] = int(gold == predicted)
    if not gold and not predicted:
        return counts
    add_counts(counts, _count_schemes(gold, predicted, SCHEMES))
    labels = {span.label for span in (*gold, *predicted)}
    for label in labels:
        golds, found = gold, predicted
        if len(labels) > 1:
            golds = [span for span in gold if span.label == label]
            found = [span for span in predicted if span.label == label]
        add_counts(counts, _count_schemes(golds, found, _OF_ONE_LABEL, at=f"@{label}"))
    add_counts(counts, count_characters(row.text, gold, predicted))
    add_counts(counts, count_confusions(gold, predicted))
    add_counts(counts, count_reliability(gold, predicted))
    return counts


def _count_schemes(
    gold: Sequence[Span], predicted: Sequence[Span], schemes: Sequence[Scheme], *, at: str = ""
) -> dict[str, int]:
    """Count spans in order, `at` ending the counts' names."""
    if gold == predicted:  # most rows of a good model
        return {f"{scheme}.correct{at}": len(gold) for scheme in schemes}
    return {
        f"{scheme}.{verdict}{at}": count
        for scheme in schemes
        for verdict, count in count_matches(gold, predicted, scheme=scheme).items()
    }


@dataclass(frozen=True, slots=True)
class Score:
    """A score and where 95 % of its replicates lie, if there are documents enough to say.

    `replicates` has the score of each replicate (R,).
    """

    value: float
    interval: ConfidenceInterval | None
    replicates: Array


@dataclass(frozen=True, slots=True)
class LabelScores:
    """The strict score of a label, its F1 under overlap, and how many spans it has."""

    gold: int
    predicted: int
    precision: Score
    recall: Score
    f1: Score
    partial_f1: float
    type_f1: float


class SubsetScorer:
    """The rows of a table, or those of them that were not trained on."""

    def __init__(self, tally: DocumentCounter, *, replicates: int, seed: int) -> None:
        self._tally = tally
        self._size = replicates
        self._bootstrap = PoissonBootstrap(replicates=replicates, seed=seed, keeps=_is_resampled)

    def add(self, rows: Sequence[SpanComparison]) -> None:
        """Count a document."""
        self._bootstrap.add(self._tally.count(rows))

    @property
    def counts(self) -> Counts:
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
        values, replicates = map(
            self._compute, (CountTotals(self.counts), self._bootstrap.replicates())
        )
        return {name: self._score(value, replicates[name]) for name, value in values.items()}

    def label_scores(self) -> dict[str, LabelScores]:
        """Return the scores of each label."""
        sums, samples = CountTotals(self.counts), self._bootstrap.replicates()
        found = {}
        for label in sums.labels:
            values = scheme_score(sums, "strict", label=label)
            replicates = scheme_score(samples, "strict", label=label)
            parts = {name: self._score(values[name], replicates[name]) for name in values}
            others = {
                f"{scheme}_f1": float(scheme_score(sums, scheme, label=label)["f1"])
                for scheme in ("partial", "type")
            }
            found[label] = LabelScores(
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
        return Score(
            float(value), percentile_interval(everywhere, documents=self.documents), everywhere
        )

    def _compute(self, sums: CountTotals) -> dict[str, Array]:
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
        tally = DocumentCounter(frozenset(labels), text, has_spans)
        self.all = SubsetScorer(tally, replicates=replicates, seed=seed)
        self.unseen = SubsetScorer(tally, replicates=replicates, seed=seed)
        self.replicates, self.seed = replicates, seed
        self._text = text
        self._has_spans = has_spans

    def add(self, rows: Sequence[SpanComparison]) -> None:
        """Score the rows of a document."""
        self.all.add(rows)
        if unseen := [row for row in rows if row.is_unseen]:
            self.unseen.add(unseen)

    def add_all(self, documents: Iterable[Sequence[SpanComparison]]) -> None:
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


_WIDTH = 20
_FEW = (
    "span_precision",
    "span_recall",
    "span_f1",
    "macro_f1",
    "character_recall",
    "document_recall",
    "leak",
    "exact_match",
)
"""Scores that are shown of a part of the rows."""


def score_lines(part: SubsetScorer, *, apart: bool = False) -> Iterator[str]:
    """Write the scores of a part, one on a line; with `apart` the main ones, without labels."""
    for name, score in part.scores().items():
        if not apart or name in _FEW:
            yield f"{name:{_WIDTH}} {score_text(score)}"
    yield f"{'rows':{_WIDTH}} {part.rows}"
    if apart:
        return
    labels = part.label_scores()
    if labels:
        width = max(map(len, labels))
        yield ""
        yield f"{'label':{width}}  {'gold':>6}  {'found':>6}  precision  recall      f1  (95 %)"
        for label, one in sorted(labels.items(), key=lambda item: (-item[1].gold, item[0])):
            yield _label_line(f"{label:{width}}", one)


def score_text(score: Score) -> str:
    """Write a score and its interval."""
    if score.interval is None:
        return f"{score.value:.4f}"
    return f"{score.value:.4f}  ({score.interval.low:.4f} to {score.interval.high:.4f})"


def _label_line(label: str, one: LabelScores) -> str:
    return (
        f"{label}  {one.gold:6d}  {one.predicted:6d}  {one.precision.value:9.4f}  "
        f"{one.recall.value:6.4f}  {score_text(one.f1)}"
    )
